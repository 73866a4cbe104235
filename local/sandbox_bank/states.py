"""The changes of a status, of a payment or a set-up.

Each is made once, moves its money and records its event in one transaction.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import events, saved
from local.sandbox_bank.desk import SECOND_MS, schedule, unschedule
from local.sandbox_bank.movements import Refused, insert_movement, move
from local.sandbox_bank.present import payment_of
from local.sandbox_bank.tokens import Flow, token_of_payment

if TYPE_CHECKING:
    from local.sandbox_bank.desk import Desk

TYPES = {
    "requires_action": "payment.requires_action",
    "processing": "payment.processing",
    "succeeded": "payment.succeeded",
    "declined": "payment.failed",
    "canceled": "payment.canceled",
    "expired": "payment.expired",
}
SETUP_TYPES = {
    "succeeded": "setup.succeeded",
    "declined": "setup.failed",
    "canceled": "setup.canceled",
    "expired": "setup.expired",
}


def change(desk: Desk, payment: dict[str, Any], status: str, code: str | None = None) -> None:
    """Give a payment another status, end what waits for it, and record the event."""
    unschedule(desk, payment["charge_id"])
    values = (status, code, payment["operation_id"])
    desk.connection.execute("UPDATE operations SET status=?, code=? WHERE operation_id=?", values)
    touched = (desk.at_ms, payment["charge_id"])
    desk.connection.execute("UPDATE details SET changed_at_ms=? WHERE charge_id=?", touched)
    if payment["saves"] and status == "succeeded":
        saved.finish_saving(desk, payment)
    elif payment["saves"] and status != "processing":
        saved.give_up_saving(desk, payment)
    record_change(desk, {**payment, "status": status})


def record_change(desk: Desk, payment: dict[str, Any]) -> None:
    """Record the event of a payment's new status; a set-up tells only how it ended."""
    if payment["kind"] == "payment":
        return events.record(desk, TYPES[payment["status"]], "payment", payment["operation_id"], payment)
    if event_type := SETUP_TYPES.get(payment["status"]):
        saved_method, mandate = saved.saved_by(desk, payment["charge_id"])
        named = {name: payment[name] for name in ("reference", "status", "customer")}
        of_setup = {"object": "setup", "object_id": payment["charge_id"], **named, "saved_method": saved_method}
        mandate_id = mandate["mandate_id"] if mandate else None
        events.record_of_customer(desk, event_type, {**of_setup, "mandate_id": mandate_id})
    return None


def ask_payer(desk: Desk, payment: dict[str, Any]) -> None:
    """Let the payment wait for its payer, on a new page, until it expires."""
    page_id = f"auth_{uuid.uuid4().hex}"
    display = token_of_payment(payment).flow is Flow.DISPLAY
    wait_ms = int(desk.settings.authentication_expiry_seconds * SECOND_MS)
    expires_at_ms = desk.in_days(desk.settings.voucher_expiry_days) if display else desk.at_ms + wait_ms
    charge_id = payment["charge_id"]
    desk.connection.execute("INSERT INTO pages VALUES (?,?,?,NULL)", (page_id, desk.bank, charge_id))
    desk.connection.execute(
        "UPDATE details SET page_id=?, expires_at_ms=? WHERE charge_id=?", (page_id, expires_at_ms, charge_id)
    )
    change(desk, payment, "requires_action")
    schedule(desk, "expire", charge_id, expires_at_ms)
    if display and not token_of_payment(payment).unpaid:
        schedule(desk, "succeed", charge_id, desk.in_days(desk.settings.voucher_paid_days))


def start_debit(desk: Desk, payment: dict[str, Any]) -> None:
    """Send the debit on its way; it is decided some days later, and so is the mandate that it saves."""
    if payment["saves"]:
        saved.begin_saving(desk, payment)
    change(desk, payment, "processing")
    failing = token_of_payment(payment).code is not None
    at_ms = desk.in_days(desk.settings.debit_days)
    schedule(desk, "fail" if failing else "succeed", payment["charge_id"], at_ms)


def succeed(desk: Desk, charge_id: str) -> None:
    """Authorise a payment, and capture it if it is captured automatically; or finish a set-up."""
    payment = payment_of(desk, charge_id)
    change(desk, payment, "succeeded")
    if payment["capture"] == "automatic":
        desk.connection.execute("UPDATE charges SET captured_minor=amount_minor WHERE charge_id=?", (charge_id,))
        move(desk.connection, {**payment, "created_at_ms": desk.at_ms}, desk.terms)
    if payment["kind"] == "payment" and token_of_payment(payment).reversed:
        schedule(desk, "reverse", charge_id, desk.in_days(desk.settings.reversal_days))


def fail(desk: Desk, charge_id: str, code: str | None = None) -> None:
    """Decline a payment that waited, with ``code`` or that of its token."""
    payment = payment_of(desk, charge_id)
    change(desk, payment, "declined", code or token_of_payment(payment).code or "declined")


def expire(desk: Desk, charge_id: str) -> None:
    """End a payment whose payer did not act in time."""
    change(desk, payment_of(desk, charge_id), "expired")


def refundable_minor(desk: Desk, charge_id: str) -> int:
    """Return what is left of a charge: captured, and neither given back, reversed nor disputed. At least 0."""
    row = desk.connection.execute(
        "SELECT captured_minor - refunded_minor - reversed_minor - (SELECT COALESCE(SUM(amount_minor), 0) "
        "FROM disputes d WHERE d.charge_id=c.charge_id AND d.status<>'won') AS rest FROM charges c WHERE charge_id=?",
        (charge_id,),
    ).fetchone()
    return max(0, int(row["rest"]))


def reverse(desk: Desk, charge_id: str, amount_minor: int | None = None) -> str | None:
    """Let the payer's bank take back ``amount_minor`` (None: all that is left) of a charge; it must be left.

    Return the id of the movement, or ``None`` if nothing was left.
    """
    amount_minor = refundable_minor(desk, charge_id) if amount_minor is None else amount_minor
    if amount_minor == 0:
        return None
    payment = payment_of(desk, charge_id)
    transaction_id = f"rv_{uuid.uuid4().hex}"
    desk.connection.execute(
        "UPDATE charges SET reversed_minor=reversed_minor+? WHERE charge_id=?", (amount_minor, charge_id)
    )
    withdraw(desk, payment, "charge_reversal", transaction_id, amount_minor, desk.settings.reversal_fee_minor)
    row = {**payment, "amount_minor": amount_minor, "status": "succeeded"}
    events.record(desk, "payment.reversed", "reversal", transaction_id, row)
    return transaction_id


def return_refund(desk: Desk, charge_id: str, operation_id: str | None = None) -> dict[str, Any]:
    """Let a refund of a charge come back, the newest that stands unless it is named, and return it.

    Raises ``Refused`` if there is none. Its money moves back under its own reference.
    """
    found = desk.connection.execute(
        "SELECT * FROM operations WHERE charge_id=? AND kind='refund' AND status='succeeded' "
        "AND operation_id=COALESCE(?, operation_id) ORDER BY rowid DESC LIMIT 1",
        (charge_id, operation_id),
    ).fetchone()
    if found is None:
        raise Refused(409, "not_possible", "no such refund stands")
    refund = {**dict(found), "status": "returned"}
    desk.connection.execute("UPDATE operations SET status='returned' WHERE operation_id=?", (refund["operation_id"],))
    desk.connection.execute(
        "UPDATE charges SET refunded_minor=refunded_minor-? WHERE charge_id=?", (refund["amount_minor"], charge_id)
    )
    withdraw(desk, refund, "refund_reversal", f"rr_{uuid.uuid4().hex}", -refund["amount_minor"], 0)
    events.record(desk, "refund.returned", "refund", refund["operation_id"], refund)
    return refund


def withdraw(
    desk: Desk, payment: dict[str, Any], kind: str, transaction_id: str, amount_minor: int, fee_minor: int
) -> None:
    """Move money of a payment, or of a refund, out of the merchant's balance (in, if negative), under its reference."""
    movement = {
        **payment,
        "transaction_id": transaction_id,
        "kind": kind,
        "amount_minor": -amount_minor,
        "fee_minor": fee_minor,
        "created_at_ms": desk.at_ms,
        "available_at_ms": None,
        "payout_id": None,
    }
    insert_movement(desk.connection, movement)
