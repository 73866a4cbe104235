"""The rarer ends of a payment at a merchant's own account: each is asked, voided and released at that account alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import NotFound, OperationKind, Succeeded
from payonce.idempotency.release import ReleaseOrder
from payonce.payments.recovery_run import release_desk
from payonce.payments.settlement import LOST_AFTER_MS, settlement_id
from payonce.payments.stored_payments import find_payment
from tests.support.account_stage import MERCHANT_A, AccountStage
from tests.support.setup_shop import CHANGES, SetupShop

if TYPE_CHECKING:
    from payonce.domain.payment import Payment

PAYMENT = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_visa"}
OTHER_ACCOUNTS = ["another account", "the platform's account"]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> SetupShop:
    return SetupShop(AccountStage(monkeypatch))


def stored(shop: SetupShop, payment_id: str) -> Payment:
    payment = find_payment(shop.stage.database, MERCHANT_A, payment_id)
    assert payment is not None
    return payment


def release(shop: SetupShop, identity: str, *, force: bool) -> None:
    record = shop.process.store.get(settlement_id(MERCHANT_A, identity))
    assert record is not None
    order = ReleaseOrder(
        record_id=record.record_id,
        claim_id=record.claim_id,
        fence=record.fence,
        operator="ada",
        reason="ticket 7",
        finding="it is not there",
        force=force,
    )
    release_desk(shop.process.store, shop.process.gateway, shop.process.services).release(order)


@pytest.mark.parametrize("change", OTHER_ACCOUNTS)
def test_the_rest_is_voided_at_the_payments_account(shop: SetupShop, change: str) -> None:
    """Fails where the account in use is asked to void what it never authorized."""
    path = {"payment_id": shop.ask("create_payment", PAYMENT | {"capture": "manual"})["id"]}
    shop.ask("capture_payment", {"amount_minor": 400}, path=path)
    shop.change(change)
    assert shop.ask("cancel_payment", {}, path=path)["status"] == "succeeded"
    [void] = shop.bank.succeeded(OperationKind.VOID)
    assert void.instruction.money.amount_minor == 600
    payment = stored(shop, path["payment_id"])
    assert (payment.status.value, payment.captured_minor, payment.capturable_minor) == ("captured", 400, 0)
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", OTHER_ACCOUNTS)
def test_a_late_success_at_the_payments_account_is_shown_to_people(shop: SetupShop, change: str) -> None:
    """Fails (``applied``) where the account in use is asked, which knows nothing of the payment."""
    shop.bank.script = ["decline"]
    payment_id = shop.ask("create_payment", PAYMENT)["payment"]["id"]
    shop.change(change)
    named: Any = {"signed_by": MERCHANT_A, "account": "a", "gateway_reference": f"{payment_id}-1"}
    assert shop.tell(**named) == "applied"
    shop.bank.bookings[0].outcome = Succeeded("ch_late", "op_late")
    assert shop.tell(**named) == "failed"
    assert stored(shop, payment_id).status.value == "declined"
    assert shop.asked_elsewhere() == 0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("lost", ["payment", "capture", "refund"])
def test_what_the_payments_account_has_lost_is_named_and_released(
    shop: SetupShop, lost: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails where the settlement asks the account in use, where nobody is told at which account to look, or where a
    capture can't be released without the account's credentials.
    """
    if lost == "payment":
        identity = payment_id = shop.ask("create_payment", PAYMENT | {"payment_method": "pm_debit"})["id"]
    else:
        capture = "manual" if lost == "capture" else "automatic"
        payment_id = shop.ask("create_payment", PAYMENT | {"capture": capture})["id"]
        shop.bank.receives = True
        identity = shop.ask(f"{lost}_payment", {"amount_minor": 300}, path={"payment_id": payment_id})["id"]
    shop.bank.held[f"{identity}-1"] = NotFound()
    forgotten = change == "the secrets forgotten"
    if not forgotten:
        shop.change(change)
    shop.stage.clock.ms += LOST_AFTER_MS
    shop.settle(identity)
    if forgotten:
        shop.change(change)
    [line] = [record.__dict__ for record in caplog.records if record.message == "gateway lost what it held"]
    named = (line["payment_id"], line["merchant_id"], line["account"], line["gateway"])
    assert named == (payment_id, MERCHANT_A, "a", "bank")
    assert line.get("operation_id") == (None if lost == "payment" else identity)
    shop.stage.clock.ms += 120_000
    release(shop, identity, force=forgotten)
    payment = stored(shop, payment_id)
    given_back = (payment.status.value, payment.capturable_minor, payment.refundable_minor)
    assert (
        given_back
        == {
            "payment": ("failed", 0, 0),
            "capture": ("authorized", 1000, 0),
            "refund": ("captured", 0, 1000),
        }[lost]
    )
    assert shop.asked_elsewhere() == 0
