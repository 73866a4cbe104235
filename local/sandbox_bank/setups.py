"""Set-ups: a method is saved for later without a payment, as by Stripe's SetupIntent.

https://docs.stripe.com/payments/setupintents/lifecycle. A set-up is an operation of no amount, whose ``charge_id`` is
the set-up's id: it waits for its payer, is confirmed, withdrawn and expires by the same code as a payment.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import payments, saved
from local.sandbox_bank.movements import Refused, insert_operation
from local.sandbox_bank.present import SELECT, next_action_of, payment_of
from local.sandbox_bank.states import ask_payer, record_change, start_debit
from local.sandbox_bank.tokens import Flow, checked_method_type, token_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.sandbox_bank.desk import Desk
    from local.sandbox_bank.payments import Answer

PREFIX = "su_"
_SHOWN = ("bank", "reference", "status", "code", "customer", "payment_method", "method_type", "created_at_ms")


def begin(desk: Desk, operation: dict[str, Any]) -> Answer:
    """Book a set-up as its token says, for ``customer``.

    Raises ``Refused`` for a token or a method type that is not possible, ``ValueError`` for an invalid value, and
    ``KeyError`` for a missing one. Then nothing is booked.
    """
    token = token_of(str(operation["payment_method"]))
    method_type = checked_method_type(token, operation.get("method_type"), "automatic")
    saved.check_saving(method_type, operation)
    code = payments.declined_at_once(token, operation)
    at_once = code or token.flow is Flow.AT_ONCE
    status = "declined" if code else "succeeded" if at_once else "requires_action"
    setup_id, nothing = f"{PREFIX}{uuid.uuid4().hex}", {"amount_minor": 0, "currency": "", "capture": "none"}
    asked = {**operation, **nothing, "save_method": True}
    row = payments.new_operation(desk, asked, charge_id=setup_id, kind="setup", status=status, code=code)
    insert_operation(desk.connection, row)
    payments.insert_details(desk, setup_id, asked, method_type, str(operation["payment_method"]))
    if status == "succeeded":
        saved.finish_saving(desk, payment_of(desk, setup_id))
    if at_once:
        record_change(desk, payment_of(desk, setup_id))
    else:
        (start_debit if token.flow is Flow.DEBIT else ask_payer)(desk, payment_of(desk, setup_id))
    return _answered(desk, setup_id, 201, code)


def confirm(desk: Desk, setup_id: str, operation: dict[str, Any]) -> Answer:
    """Take the second step of a set-up, as of a payment."""
    status, _ = payments.confirm(desk, setup_id, operation)
    return status, setup_of(desk, setup_id)


def cancel(desk: Desk, setup_id: str, operation: dict[str, Any]) -> Answer:
    """Withdraw a set-up that waits for its payer, as a payment. Raises ``Refused`` (409) for one that does not."""
    status, _ = payments.cancel(desk, setup_id, operation)
    return _answered(desk, setup_id, status, operation.get("decline_code") if status == 402 else None)


def setup_of(desk: Desk, setup_id: str) -> dict[str, Any]:
    """Return the present state of a set-up. Raises ``Refused`` (404) if there is none."""
    row = desk.connection.execute(
        SELECT + "WHERE o.bank=? AND o.charge_id=? AND o.kind='setup'", (desk.bank, setup_id)
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_setup", "no such set-up")
    return _shown(desk, row)


def setups_of(desk: Desk, reference: str) -> list[dict[str, Any]]:
    """Return the set-ups with ``reference`` that lookups can see now, oldest first."""
    rows = desk.connection.execute(
        SELECT + "WHERE o.bank=? AND o.reference=? AND o.kind='setup' AND o.visible_at_ms<=? ORDER BY o.rowid",
        (desk.bank, reference, desk.at_ms),
    )
    return [_shown(desk, row) for row in rows.fetchall()]


def _answered(desk: Desk, setup_id: str, status: int, code: str | None) -> Answer:
    if code:
        return 402, {"error": {"code": code, "message": "the issuer declined"}, "setup": setup_of(desk, setup_id)}
    return status, setup_of(desk, setup_id)


def _shown(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    saved_method, mandate = saved.saved_by(desk, row["charge_id"])
    return {
        "setup_id": row["charge_id"],
        **{name: row[name] for name in _SHOWN},
        "saved_method": saved_method,
        "mandate": mandate,
        "next_action": next_action_of(row),
        "changed_at_ms": row["changed_at_ms"],
    }
