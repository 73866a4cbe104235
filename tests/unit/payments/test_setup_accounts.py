"""A set-up and a saved payment method stay at the account where they were made, whatever account is used by then.

Stripe: a payment method that a connected account has "exists on the connected account", and no other account can charge
or detach it (https://docs.stripe.com/connect/direct-charges). Any other account answers "not found", which would look
like a set-up that was never made, or like a method that is still active.
"""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.gateway import OperationKind
from payonce.domain.setup import MethodStatus
from payonce.payments.settlement import LOST_AFTER_MS
from payonce.payments.stored_payments import find_payment
from payonce.ports import Table
from tests.support.account_stage import MERCHANT_A, AccountStage
from tests.support.setup_shop import CHANGES, CREDENTIALS_ARE_READ_AGAIN_MS, SetupShop

LEASE_IS_OVER_MS = 120_000


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> SetupShop:
    return SetupShop(AccountStage(monkeypatch))


@pytest.mark.parametrize("change", CHANGES)
def test_a_doubt_about_a_set_up_is_asked_at_its_account(shop: SetupShop, change: str) -> None:
    """Fails with a second set-up where recovery asks the account in use: it says "not found"."""
    shop.bank.script, shop.bank.lookup_fails = ["booked_lost"], True
    setup = shop.set_up()
    assert setup["status"] == "in_doubt"
    shop.bank.lookup_fails = False
    can_ask = shop.change(change)
    shop.stage.clock.ms += LEASE_IS_OVER_MS
    shop.stage.recover(shop.stage.process())
    assert shop.status(setup["id"]) == ("succeeded" if can_ask else "in_doubt")
    assert len(shop.bank.succeeded(OperationKind.SETUP)) == 1
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["confirm_setup", "cancel_setup"])
def test_a_set_up_is_confirmed_and_canceled_at_its_account(shop: SetupShop, step: str, change: str) -> None:
    setup = shop.set_up(payment_method="pm_3ds")
    can_ask = shop.change(change)
    body = {"payment_result": "ok"} if step == "confirm_setup" else {}
    answer = shop.ask(step, body, path={"setup_id": setup["id"]})
    ended = "succeeded" if step == "confirm_setup" else "canceled"
    assert answer["http"] == (201 if can_ask else 503)
    assert shop.status(setup["id"]) == (ended if can_ask else "requires_action")
    assert shop.asked_elsewhere() == 0
    if can_ask and step == "confirm_setup":
        assert shop.method(answer["saved_payment_method"]).account == "a"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("end", ["succeeded", "expired"])
def test_what_waits_is_looked_at_and_withdrawn_at_its_account(shop: SetupShop, end: str, change: str) -> None:
    """Fails where the settlement asks the account in use: what it never had is lost, or is not withdrawn."""
    setup = shop.set_up(payment_method="pm_3ds")
    can_ask = shop.change(change)
    if end == "succeeded":
        shop.bank.pay()
    else:
        shop.stage.clock.ms += LOST_AFTER_MS
    shop.settle(setup["id"])
    assert shop.status(setup["id"]) == (end if can_ask else "requires_action")
    assert len(shop.bank.withdrawn) == (end == "expired" and can_ask)
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", ["another account", "the platform's account"])
def test_a_saved_method_is_charged_at_its_account(shop: SetupShop, change: str) -> None:
    """Fails (a stranger's token at another account) where a payment's account is the one in use."""
    method = shop.saved()
    shop.change(change)
    payment = shop.charge(method)
    assert payment["http"] == 201
    stored = find_payment(shop.stage.database, MERCHANT_A, payment["id"])
    assert stored is not None
    assert stored.account == "a"
    assert shop.bank.submissions[-1].payment_method == method.token
    assert shop.asked_elsewhere() == 0


def test_a_method_of_the_platforms_account_stays_there(shop: SetupShop) -> None:
    """Fails where the platform's account, which is no account's name, is taken for "whichever is in use"."""
    shop.change("the platform's account")
    method = shop.saved()
    shop.stage.give("b")
    shop.stage.clock.ms += CREDENTIALS_ARE_READ_AGAIN_MS
    assert (method.account, shop.charge(method)["http"]) == ("", 201)
    charged = [name for name, books in shop.stage.bank.accounts.items() if books.succeeded(OperationKind.PAYMENT)]
    assert charged == ["platform"]


def test_a_method_whose_credentials_are_forgotten_is_refused_before_the_claim(
    shop: SetupShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails where the refusal comes after the claim: it costs two writes, and a killed process leaves it open."""
    method = shop.saved()
    shop.change("the secrets forgotten")
    written: list[Any] = []
    monkeypatch.setattr(shop.stage.database, "write", written.append)
    refused = shop.charge(method)
    assert (refused["http"], written) == (503, [])
    assert "credentials" in refused["detail"]
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_charge_of_a_saved_method_in_doubt_is_asked_at_its_account(shop: SetupShop, change: str) -> None:
    method = shop.saved()
    shop.bank.script, shop.bank.lookup_fails = ["booked_lost"], True
    payment = shop.charge(method)
    assert payment["status"] == "in_doubt"
    shop.bank.lookup_fails = False
    can_ask = shop.change(change)
    shop.stage.clock.ms += LEASE_IS_OVER_MS
    shop.stage.recover(shop.stage.process())
    stored = find_payment(shop.stage.database, MERCHANT_A, payment["id"])
    assert stored is not None
    assert stored.status.value == ("captured" if can_ask else "in_doubt")
    assert len(shop.bank.succeeded(OperationKind.PAYMENT)) == 1
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("word", ["booked_lost", "lost"])
def test_a_revocation_is_asked_about_and_repeated_at_its_account(shop: SetupShop, word: str, change: str) -> None:
    """Fails where the claim's owner asks the account in use: the method is active there, or nobody's."""
    method = shop.saved()
    shop.bank.script, shop.bank.lookup_fails = [word], True
    answer = shop.ask("revoke_payment_method", {}, path={"payment_method_id": method.method_id})
    assert answer["http"] == 202
    shop.bank.lookup_fails = False
    can_ask = shop.change(change)
    for _ in range(3):
        shop.stage.clock.ms += LEASE_IS_OVER_MS
        shop.stage.recover(shop.stage.process())
    assert shop.method(method.method_id).status is (MethodStatus.REVOKED if can_ask else MethodStatus.REVOKING)
    assert shop.charge(method)["http"] == (409 if can_ask else 503)
    assert shop.asked_elsewhere() == 0


def test_a_revocation_that_begins_after_the_change_is_made_at_the_methods_account(shop: SetupShop) -> None:
    method = shop.saved()
    shop.change("another account")
    answer = shop.ask("revoke_payment_method", {}, path={"payment_method_id": method.method_id})
    assert (answer["http"], answer["status"]) == (201, "revoked")
    assert len(shop.bank.succeeded(OperationKind.REVOCATION)) == 1
    assert shop.asked_elsewhere() == 0


def test_a_refused_revocation_of_a_forgotten_account_leaves_the_method_as_it_was(shop: SetupShop) -> None:
    method = shop.saved()
    shop.change("the secrets forgotten")
    before = dict(shop.stage.database._tables[Table.IDEMPOTENCY])  # type: ignore[attr-defined]
    answer = shop.ask("revoke_payment_method", {}, path={"payment_method_id": method.method_id})
    assert answer["http"] == 503
    assert shop.method(method.method_id).status is MethodStatus.ACTIVE
    assert shop.stage.database._tables[Table.IDEMPOTENCY] == before  # type: ignore[attr-defined]
