"""Captures, voids and refunds of a charge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.sandbox_bank import events
from local.sandbox_bank.movements import Refused, insert_operation, move
from local.sandbox_bank.payments import Answer, new_operation
from local.sandbox_bank.states import refundable_minor

if TYPE_CHECKING:
    from local.sandbox_bank.desk import Desk

EVENTS = {"capture": "capture.succeeded", "refund": "refund.succeeded", "void": "payment.canceled"}


def follow_up(desk: Desk, charge_id: str, operation: dict[str, Any]) -> Answer:
    """Book an operation of a charge, for ``amount_minor`` or for all of it; a declined one moves nothing.

    Raises ``Refused`` for an unknown charge and for more than is left of it.
    """
    charge = desk.connection.execute(
        "SELECT * FROM charges WHERE bank=? AND charge_id=?", (desk.bank, charge_id)
    ).fetchone()
    if charge is None:
        raise Refused(404, "no_such_charge", "no such charge")
    kind, declined = operation["kind"], operation.get("decline_code")
    left = left_minor(desk, charge_id)[kind]
    amount_minor = operation.get("amount_minor") or (left if kind == "void" else charge["amount_minor"])
    if amount_minor > left or not left:
        raise Refused(409, "not_possible", f"only {left} left to {kind}")
    named = {**operation, "amount_minor": amount_minor}
    of_charge = {name: charge[name] for name in ("currency", "payment_method")}
    status = "declined" if declined else "succeeded"
    row = new_operation(desk, {**named, **of_charge}, charge_id=charge_id, kind=kind, status=status, code=declined)
    insert_operation(desk.connection, row)
    if declined:
        return 402, {"error": {"code": declined, "message": "the issuer declined"}, "operation": row}
    column = {"capture": "captured_minor", "refund": "refunded_minor"}.get(kind)
    change = f"{column}={column}+{amount_minor}" if column else "voided=1"
    if kind == "void" and charge["captured_minor"]:
        change = f"released_minor={amount_minor}"
    desk.connection.execute(f"UPDATE charges SET {change} WHERE charge_id=?", (charge_id,))  # noqa: S608
    if column:
        move(desk.connection, row, desk.terms)
    events.record(desk, EVENTS[kind], kind, row["operation_id"], row)
    return 201, row


def left_minor(desk: Desk, charge_id: str) -> dict[str, int]:
    """Return how much of a charge each kind of operation could still be for, in minor units."""
    charge = desk.connection.execute("SELECT * FROM charges WHERE charge_id=?", (charge_id,)).fetchone()
    payment = desk.connection.execute(
        "SELECT status FROM operations WHERE charge_id=? AND kind='payment'", (charge_id,)
    ).fetchone()
    if charge["voided"] or (payment is not None and payment["status"] != "succeeded"):
        return {"capture": 0, "void": 0, "refund": 0}
    not_captured_minor = charge["amount_minor"] - charge["captured_minor"] - charge["released_minor"]
    return {
        "capture": not_captured_minor,
        "void": not_captured_minor,
        "refund": refundable_minor(desk, charge_id),
    }
