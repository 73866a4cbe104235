"""Whose set-ups and saved methods an event may speak of: those at the account whose secret has signed it, no others'.

Stripe's ``payment_method.detached`` and ``setup_intent.*`` of a connected account name the account at their top
(https://docs.stripe.com/connect/webhooks); an own account's events are signed by a secret of that account's endpoint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.gateway import AwaitsPayer, NotFound
from payonce.domain.setup import MethodStatus
from payonce.idempotency.release import ReleaseOrder
from payonce.payments.recovery_run import release_desk
from payonce.payments.settlement import LOST_AFTER_MS, settlement_id
from payonce.payments.setup_items import TOKENS_LOOKED_AT
from tests.support.account_stage import MERCHANT_A, MERCHANT_B, AccountStage
from tests.support.holding import HoldingGateway
from tests.support.setup_shop import SetupShop
from tests.support.setups import events_of, store_method

# Who says it, of which account the event is, and whether it may speak of what merchant B has at account b.
SPEAKERS = [
    ({"signed_by": MERCHANT_B, "account": "b"}, True),
    ({"account": "b"}, True),  # the platform's endpoint of a connected account
    ({"signed_by": MERCHANT_A, "account": "a"}, False),
    ({"signed_by": MERCHANT_A, "account": "b"}, False),  # both shops may have the account: each speaks for itself
    ({"signed_by": MERCHANT_B, "account": "b-retired"}, False),
    ({}, False),
    ({"account": "a"}, False),
]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> SetupShop:
    shop = SetupShop(AccountStage(monkeypatch))
    shop.stage.give("b", MERCHANT_B)
    return shop


def bank_b(shop: SetupShop) -> HoldingGateway:
    books = shop.stage.bank.accounts["b"]
    assert isinstance(books, HoldingGateway)
    return books


@pytest.mark.parametrize(("speaker", "heard"), SPEAKERS)
@pytest.mark.parametrize("by_setup", [False, True], ids=["by its token", "by its set-up"])
def test_whose_event_ends_a_saved_method(shop: SetupShop, speaker: Any, heard: bool, by_setup: bool) -> None:
    """Fails where the methods that an event names are not held against its account and its signer."""
    method = shop.saved(MERCHANT_B)
    bank_b(shop).revoked_elsewhere.add(method.token)
    asked = len(bank_b(shop).inquiries)
    names = {"gateway_reference": f"{method.made_by}-1"} if by_setup else {"saved_method": method.token}
    assert shop.tell(**speaker, **names) == ("applied" if heard else "unknown")
    ended = MethodStatus.REVOKED if heard else MethodStatus.ACTIVE
    assert shop.method(method.method_id, MERCHANT_B).status is ended
    assert (len(bank_b(shop).inquiries) > asked) is heard


@pytest.mark.parametrize(("speaker", "heard"), SPEAKERS)
@pytest.mark.parametrize("doubt", [False, True], ids=["waits", "in doubt"])
def test_whose_event_moves_a_set_up(shop: SetupShop, speaker: Any, heard: bool, doubt: bool) -> None:
    """Fails where a set-up, or its open claim, is not held against the event's account and its signer."""
    if doubt:
        bank_b(shop).script, bank_b(shop).lookup_fails = ["booked_lost"], True
    setup = shop.set_up(MERCHANT_B, payment_method="pm_visa" if doubt else "pm_3ds")
    bank_b(shop).lookup_fails = False
    if not doubt:
        bank_b(shop).pay()
    assert shop.tell(**speaker, gateway_reference=f"{setup['id']}-1") == ("applied" if heard else "unknown")
    assert shop.status(setup["id"], MERCHANT_B) == ("succeeded" if heard else setup["status"])


@pytest.mark.parametrize("doubt", [False, True], ids=["stored", "in doubt"])
@pytest.mark.parametrize("first", ["payment", "setup", "method"])
def test_an_event_that_names_ones_own_and_anothers_speaks_of_neither(shop: SetupShop, first: str, doubt: bool) -> None:
    """The sandbox bank's events have two names, and Stripe's metadata may say anything.

    Fails where the first thing that an event names vouches for the others: merchant A would let B's claims be asked.
    """
    own = shop.saved()
    mine = {
        "payment": {"gateway_reference": f"{shop.charge(own)['id']}-1"},
        "setup": {"gateway_reference": f"{own.made_by}-1"},
        "method": {"saved_method": own.token},
    }[first]
    if doubt:
        bank_b(shop).script, bank_b(shop).lookup_fails = ["booked_lost"], True
        other = shop.set_up(MERCHANT_B)
    else:
        other = shop.set_up(MERCHANT_B, payment_method="pm_3ds")
        bank_b(shop).pay()
    bank_b(shop).lookup_fails = False
    asked = len(bank_b(shop).inquiries)
    said = shop.tell(signed_by=MERCHANT_A, account="a", payment_id=other["id"], **mine)
    # Of two set-ups the first is looked at, and of the other nothing.
    assert said == ("applied" if first == "setup" and not doubt else "unknown")
    assert len(bank_b(shop).inquiries) == asked
    assert shop.status(other["id"], MERCHANT_B) == other["status"]


def test_a_token_that_two_accounts_have_ends_the_one_of_the_event(shop: SetupShop) -> None:
    """Fails where a token ends every account's method of that name."""
    methods = [shop.saved(merchant_id) for merchant_id in (MERCHANT_A, MERCHANT_B)]
    assert methods[0].token == methods[1].token
    for books in (shop.bank, bank_b(shop)):
        books.revoked_elsewhere.add(methods[0].token)
    assert shop.tell(signed_by=MERCHANT_B, account="b", saved_method=methods[0].token) == "applied"
    assert shop.method(methods[0].method_id).status is MethodStatus.ACTIVE
    assert shop.method(methods[1].method_id, MERCHANT_B).status is MethodStatus.REVOKED


def test_a_token_is_found_however_many_other_accounts_have_it(shop: SetupShop) -> None:
    """Fails where a token is looked for at a gateway, and not in the account: those looked at are all others'."""
    method = shop.saved(MERCHANT_B)
    for number in range(TOKENS_LOOKED_AT):
        alike = replace(
            method, method_id=f"method_{number:026}", made_by=f"setup_{number:026}", account=f"other-{number}"
        )
        store_method(shop.stage.database, alike)
    bank_b(shop).revoked_elsewhere.add(method.token)
    assert shop.tell(signed_by=MERCHANT_B, account="b", saved_method=method.token) == "applied"
    assert shop.method(method.method_id, MERCHANT_B).status is MethodStatus.REVOKED


def test_an_event_about_a_set_up_does_not_end_what_a_second_one_that_it_names_has_saved(shop: SetupShop) -> None:
    """Fails where what a second set-up has saved is not held against the event's account."""
    shop.change("the platform's account")
    own, other = shop.saved(), shop.saved(MERCHANT_B)
    bank_b(shop).revoked_elsewhere.add(other.token)
    asked = len(bank_b(shop).inquiries)
    assert own.account == ""
    assert shop.tell(gateway_reference=f"{own.made_by}-1", payment_id=other.made_by) == "applied"
    assert shop.method(other.method_id, MERCHANT_B).status is MethodStatus.ACTIVE
    assert len(bank_b(shop).inquiries) == asked


def test_an_event_of_a_retired_account_is_asked_there(shop: SetupShop) -> None:
    setup = shop.set_up(payment_method="pm_3ds")
    shop.change("another account")
    shop.bank.pay()
    assert shop.tell(signed_by=MERCHANT_A, account="a", gateway_reference=f"{setup['id']}-1") == "applied"
    assert shop.status(setup["id"]) == "succeeded"
    assert shop.asked_elsewhere() == 0


def test_an_event_of_a_forgotten_account_is_tried_again_and_asks_no_other(shop: SetupShop) -> None:
    setup = shop.set_up(payment_method="pm_3ds")
    shop.change("the secrets forgotten")
    said = shop.tell(signed_by=MERCHANT_A, account="a", gateway_reference=f"{setup['id']}-1")
    assert said == "later: CredentialsUnavailable"
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_a_set_up_that_the_gateway_saves_after_its_end_is_shown_to_people(shop: SetupShop, end: str) -> None:
    """Fails (``applied``, and a mandate that nobody knows) where an event about an ended set-up is not asked about."""
    setup = shop.set_up(payment_method="pm_3ds")
    reference = f"{setup['id']}-1"
    if end == "canceled":
        shop.ask("cancel_setup", {}, path={"setup_id": setup["id"]})
    else:
        shop.stage.clock.ms += LOST_AFTER_MS
        shop.settle(setup["id"])
    assert shop.status(setup["id"]) == end
    named: Any = {"signed_by": MERCHANT_A, "account": "a", "gateway_reference": reference}
    assert shop.tell(**named) == "applied"  # the gateway says the same
    shop.change("another account")
    shop.bank.held[reference] = AwaitsPayer(f"ch_{reference}", "requires_action")
    shop.bank.pay(reference)
    assert shop.tell(**named) == "failed"
    assert shop.status(setup["id"]) == end
    assert events_of(shop.stage.database, setup["id"]) == ["setup.requires_action", f"setup.{end}"]
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", ["another account", "the secrets forgotten"])
def test_a_set_up_that_the_gateway_has_lost_is_named_and_can_be_ended(
    shop: SetupShop, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails where a lost set-up is named as a payment, where nobody can end it, or where ending it needs the key."""
    setup = shop.set_up(payment_method="pm_3ds")
    shop.bank.held[f"{setup['id']}-1"] = NotFound()
    shop.stage.clock.ms += LOST_AFTER_MS
    shop.settle(setup["id"])
    [line] = [record for record in caplog.records if record.message == "gateway lost what it held"]
    assert (line.__dict__["setup_id"], line.__dict__["gateway"]) == (setup["id"], "bank")
    assert "payment_id" not in line.__dict__
    shop.change(change)
    record = shop.process.store.get(settlement_id(MERCHANT_A, setup["id"]))
    assert record is not None
    desk = release_desk(shop.process.store, shop.process.gateway, shop.process.services)
    order = ReleaseOrder(
        record_id=record.record_id,
        claim_id=record.claim_id,
        fence=record.fence,
        operator="ada",
        reason="ticket 7",
        finding="the bank's support: it is not there, and never will be",
        force=change == "the secrets forgotten",
    )
    desk.release(order)
    assert shop.status(setup["id"]) == "failed"
    assert events_of(shop.stage.database, setup["id"]) == ["setup.requires_action", "setup.failed"]
    assert shop.asked_elsewhere() == 0
