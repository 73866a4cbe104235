"""A set-up and a saved payment method stay at the account where they were made, whatever account is used by then.

Stripe: a payment method that a connected account has "exists on the connected account", and no other account can charge
or detach it (https://docs.stripe.com/connect/direct-charges). Any other account answers "not found", which would look
like a set-up that was never made, or like a method that is still active.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import CredentialsUnavailable
from payonce.domain.gateway import OperationKind
from payonce.domain.setup import MethodStatus
from payonce.payments.settlement import LOST_AFTER_MS, settlement_id
from payonce.payments.setups.load import load_method, load_setup
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline, Table
from tests.support.account_stage import MERCHANT_A, AccountStage
from tests.support.events import call
from tests.support.holding import HoldingGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.setup import SavedMethod
    from payonce.wiring.notices import NoticeApplication

LEASE_IS_OVER_MS = 120_000
CREDENTIALS_ARE_READ_AGAIN_MS = 60_000
SETUP = {"customer": "cus_1", "payment_method": "pm_visa", "currency": "EUR"}
OTHERS = ("b", "platform")


def _forget(stage: AccountStage) -> None:
    stage.give("b")
    stage.desk.forget(MERCHANT_A, "bank", "a")
    del stage.bank.keys["key-of-a"]


CHANGES: dict[str, Callable[[AccountStage], Any]] = {
    "another account": lambda stage: stage.give("b"),
    "the platform's account": lambda stage: stage.desk.retire(MERCHANT_A, "bank"),
    "the secrets forgotten": _forget,
}


class Shop:
    """A merchant with account a of a bank that holds set-ups for their payers, and what it asks for."""

    def __init__(self, stage: AccountStage) -> None:
        self.stage = stage
        self.process: NoticeApplication = stage.process()
        for account in ("platform", "a", "b"):
            stage.bank.open(account)
            stage.bank.accounts[account] = HoldingGateway(stage.clock)
        stage.give("a")
        self._keys = 0

    @property
    def bank(self) -> HoldingGateway:
        """Account a's books."""
        books = self.stage.bank.accounts["a"]
        assert isinstance(books, HoldingGateway)
        return books

    def ask(self, operation: str, body: Any, *, path: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the status and the document of a request."""
        self._keys += 1
        key = f"key-of-a-request-{self._keys:04d}"
        said = call(self.process, operation, body, key=key, merchant_id=MERCHANT_A, gateway="bank", path=path)
        return {"http": said["statusCode"], **json.loads(said["body"])}

    def set_up(self, **body: str) -> dict[str, Any]:
        return self.ask("create_setup", SETUP | body)

    def saved(self) -> SavedMethod:
        return self.method(self.set_up()["saved_payment_method"])

    def method(self, method_id: str) -> SavedMethod:
        return load_method(self.stage.database, MERCHANT_A, method_id)

    def status(self, setup_id: str) -> str:
        return load_setup(self.stage.database, MERCHANT_A, setup_id).status.value

    def charge(self, method: SavedMethod) -> dict[str, Any]:
        return self.ask(
            "create_payment",
            {"amount_minor": 1050, "currency": "EUR", "payment_method": method.method_id, "off_session": True},
        )

    def change(self, change: str) -> bool:
        """Change the account, let every process know, and return whether account a can still be asked."""
        CHANGES[change](self.stage)
        self.stage.clock.ms += CREDENTIALS_ARE_READ_AGAIN_MS
        return "key-of-a" in self.stage.bank.keys

    def settle(self, setup_id: str) -> None:
        """Let the settlement look, as recovery does."""
        deadline = Deadline(self.stage.clock.ms + 40_000)
        with contextlib.suppress(CredentialsUnavailable):
            self.stage.process().recovery.recover(settlement_id(MERCHANT_A, setup_id), deadline, early=True)

    def asked_elsewhere(self) -> int:
        """Return how often another account than a was asked about anything."""
        return sum(
            len(books.inquiries) + len(books.submissions) + len(books.confirmed) + len(books.withdrawn)
            for account in OTHERS
            if isinstance(books := self.stage.bank.accounts[account], HoldingGateway)
        )


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(AccountStage(monkeypatch))


@pytest.mark.parametrize("change", CHANGES)
def test_a_doubt_about_a_set_up_is_asked_at_its_account(shop: Shop, change: str) -> None:
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
def test_a_set_up_is_confirmed_and_canceled_at_its_account(shop: Shop, step: str, change: str) -> None:
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
def test_what_waits_is_looked_at_and_withdrawn_at_its_account(shop: Shop, end: str, change: str) -> None:
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
def test_a_saved_method_is_charged_at_its_account(shop: Shop, change: str) -> None:
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


def test_a_method_of_the_platforms_account_stays_there(shop: Shop) -> None:
    """Fails where the platform's account, which is no account's name, is taken for "whichever is in use"."""
    shop.change("the platform's account")
    method = shop.saved()
    shop.stage.give("b")
    shop.stage.clock.ms += CREDENTIALS_ARE_READ_AGAIN_MS
    assert (method.account, shop.charge(method)["http"]) == ("", 201)
    charged = [name for name, books in shop.stage.bank.accounts.items() if books.succeeded(OperationKind.PAYMENT)]
    assert charged == ["platform"]


def test_a_method_whose_credentials_are_forgotten_is_refused_before_the_claim(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
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
def test_a_charge_of_a_saved_method_in_doubt_is_asked_at_its_account(shop: Shop, change: str) -> None:
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
def test_a_revocation_is_asked_about_and_repeated_at_its_account(shop: Shop, word: str, change: str) -> None:
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


def test_a_revocation_that_begins_after_the_change_is_made_at_the_methods_account(shop: Shop) -> None:
    method = shop.saved()
    shop.change("another account")
    answer = shop.ask("revoke_payment_method", {}, path={"payment_method_id": method.method_id})
    assert (answer["http"], answer["status"]) == (201, "revoked")
    assert len(shop.bank.succeeded(OperationKind.REVOCATION)) == 1
    assert shop.asked_elsewhere() == 0


def test_a_refused_revocation_of_a_forgotten_account_leaves_the_method_as_it_was(shop: Shop) -> None:
    method = shop.saved()
    shop.change("the secrets forgotten")
    before = dict(shop.stage.database._tables[Table.IDEMPOTENCY])  # type: ignore[attr-defined]
    answer = shop.ask("revoke_payment_method", {}, path={"payment_method_id": method.method_id})
    assert answer["http"] == 503
    assert shop.method(method.method_id).status is MethodStatus.ACTIVE
    assert shop.stage.database._tables[Table.IDEMPOTENCY] == before  # type: ignore[attr-defined]
