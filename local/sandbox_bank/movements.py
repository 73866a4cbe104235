"""The movements of the merchant's balance at the bank, from which reports and settlements are made."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from local.sandbox_bank.behaviour import BankSettings

HOUR_MS = 3_600_000


class Refused(Exception):
    """The bank refuses to execute the request. ``more`` are further members of the error."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **more}}


def new_charge_id() -> str:
    """Return a new, unique charge id."""
    return f"ch_{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Terms:
    """The bank's fee of a charge, and the delay until the merchant has the money."""

    fee_fixed_minor: int
    fee_basis_points: int
    settlement_delay_ms: int

    @classmethod
    def of(cls, settings: BankSettings) -> Terms:
        """Return the terms of a bank's settings."""
        delay_ms = settings.settlement_delay_hours * HOUR_MS
        return cls(settings.fee_fixed_minor, settings.fee_basis_points, delay_ms)

    def fee_minor(self, amount_minor: int) -> int:
        """Return the fee of a charge in minor units; a half is rounded up."""
        return self.fee_fixed_minor + (amount_minor * self.fee_basis_points + 5_000) // 10_000


def insert_charge(
    connection: sqlite3.Connection, bank: str, charge_id: str, charge: dict[str, Any], captured_minor: int
) -> None:
    """Insert a charge with the ``amount_minor``, ``currency`` and ``payment_method`` of ``charge``."""
    connection.execute(
        "INSERT INTO charges VALUES (?,?,?,?,?,?,0,0,0,0)",
        (charge_id, bank, charge["amount_minor"], charge["currency"], charge["payment_method"], captured_minor),
    )


def insert_operation(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Insert an executed or declined operation."""
    connection.execute(
        "INSERT INTO operations VALUES (:operation_id,:bank,:charge_id,:kind,:reference,:status,:amount_minor,"
        ":currency,:payment_method,:code,:created_at_ms,:visible_at_ms)",
        row,
    )


def move(connection: sqlite3.Connection, operation: dict[str, Any], terms: Terms) -> None:
    """Insert the movement of a captured payment, a capture or a refund, under the operation's id."""
    refund = operation["kind"] == "refund"
    amount_minor, created_at_ms = operation["amount_minor"], operation["created_at_ms"]
    insert_movement(
        connection,
        {
            "transaction_id": operation["operation_id"],
            "bank": operation["bank"],
            "kind": "refund" if refund else "charge",
            "charge_id": operation["charge_id"],
            "reference": operation["reference"],
            "amount_minor": -amount_minor if refund else amount_minor,
            "fee_minor": 0 if refund else terms.fee_minor(amount_minor),
            "currency": operation["currency"],
            "created_at_ms": created_at_ms,
            "available_at_ms": created_at_ms if refund else created_at_ms + terms.settlement_delay_ms,
            "payout_id": None,
        },
    )


def insert_movement(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Insert a movement."""
    connection.execute(
        "INSERT INTO movements VALUES (:transaction_id,:bank,:kind,:charge_id,:reference,:amount_minor,:fee_minor,"
        ":currency,:created_at_ms,:available_at_ms,:payout_id)",
        row,
    )


def movements_between(connection: sqlite3.Connection, bank: str, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Return the movements created in [``from_ms``, ``to_ms``), oldest first."""
    return [
        dict(row)
        for row in connection.execute(
            "SELECT * FROM movements WHERE bank=? AND created_at_ms>=? AND created_at_ms<? "
            "ORDER BY created_at_ms, rowid",
            (bank, from_ms, to_ms),
        )
    ]


def movement_of(connection: sqlite3.Connection, bank: str, reference: str) -> dict[str, Any]:
    """Return the oldest movement under ``reference``. Raises ``Refused`` if there is none."""
    row = connection.execute(
        "SELECT * FROM movements WHERE bank=? AND reference=? ORDER BY created_at_ms, rowid LIMIT 1", (bank, reference)
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_movement", f"no money was moved under {reference!r}")
    return dict(row)
