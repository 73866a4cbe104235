"""The present state of payments, set-ups and charges, as lookups show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import Refused
from local.sandbox_bank.saved import saved_by
from local.sandbox_bank.tokens import Flow, token_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.sandbox_bank.desk import Desk

OPERATION = (
    "operation_id",
    "bank",
    "charge_id",
    "kind",
    "reference",
    "status",
    "amount_minor",
    "currency",
    "payment_method",
    "code",
    "created_at_ms",
    "visible_at_ms",
)
# A payment's details and the payer's present page are null for a payment that asked for nothing of them.
SELECT = """
SELECT o.*, d.token, d.capture, d.return_url, d.method_type, d.customer, d.description, d.changed_at_ms, d.base_url,
       d.page_id, d.expires_at_ms, d.saves, p.answer
FROM operations o LEFT JOIN details d ON d.charge_id = o.charge_id AND o.kind IN ('payment', 'setup')
LEFT JOIN pages p ON p.page_id = d.page_id
"""


def payment_of(desk: Desk, charge_id: str) -> dict[str, Any]:
    """Return the payment of a charge, or the set-up, with its details. Raises ``Refused`` (404) if there is none."""
    row = desk.connection.execute(
        SELECT + "WHERE o.bank=? AND o.charge_id=? AND o.kind IN ('payment', 'setup') ORDER BY o.rowid LIMIT 1",
        (desk.bank, charge_id),
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_charge", "no such charge")
    return dict(row)


def operations_of(desk: Desk, reference: str) -> list[dict[str, Any]]:
    """Return the operations of charges with ``reference`` that lookups can see now, oldest first."""
    rows = desk.connection.execute(
        SELECT + "WHERE o.bank=? AND o.reference=? AND o.kind<>'setup' AND o.visible_at_ms<=? ORDER BY o.created_at_ms",
        (desk.bank, reference, desk.at_ms),
    )
    return [shown(desk, row) for row in rows.fetchall()]


def shown(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a merchant sees of an operation."""
    operation = {name: row[name] for name in OPERATION}
    return {**operation, **_details(desk, dict(row))}


def charge_of(desk: Desk, charge_id: str) -> dict[str, Any] | None:
    """Return the present state of a charge, or ``None``."""
    charge = desk.connection.execute(
        "SELECT * FROM charges WHERE bank=? AND charge_id=?", (desk.bank, charge_id)
    ).fetchone()
    if charge is None:
        return None
    first = desk.connection.execute(
        SELECT + "WHERE o.charge_id=? ORDER BY o.kind='payment' DESC, o.rowid LIMIT 1",
        (charge_id,),
    ).fetchone()
    refunds = desk.connection.execute(
        "SELECT operation_id, reference, amount_minor, status FROM operations "
        "WHERE charge_id=? AND kind='refund' AND status IN ('succeeded', 'returned') ORDER BY rowid",
        (charge_id,),
    )
    disputes = desk.connection.execute("SELECT * FROM disputes WHERE charge_id=? ORDER BY rowid", (charge_id,))
    return {
        **dict(charge),
        **{name: first[name] for name in ("status", "code", "reference")},
        "refunds": [dict(row) for row in refunds.fetchall()],
        "disputes": [dict(row) for row in disputes.fetchall()],
        **_details(desk, dict(first)),
    }


def _details(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("token") is None:
        return {}
    names = ("method_type", "customer", "description", "changed_at_ms")
    details = {**{name: row[name] for name in names}, "next_action": next_action_of(row)}
    if row["saves"]:
        details["saved_method"], details["mandate"] = saved_by(desk, row["charge_id"])
    return details


def next_action_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a payment or set-up needs of its payer, or ``None``."""
    if row["status"] != "requires_action":
        return None
    token = token_of(row["token"])
    if token.confirmed and row["answer"] is not None:
        return {"type": "confirm", "expires_at_ms": row["expires_at_ms"]}
    kind = "display" if token.flow is Flow.DISPLAY else "redirect"
    return {"type": kind, "url": page_url(row), "expires_at_ms": row["expires_at_ms"]}


def page_url(row: Mapping[str, Any]) -> str:
    """Return the address of the payer's present page of a payment."""
    return f"{row['base_url']}/banks/{row['bank']}/authentication/{row['page_id']}"
