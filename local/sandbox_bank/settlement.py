"""Settlement: pays the merchant's balance out to its bank account, and writes the account's statement."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import Refused, insert_movement

if TYPE_CHECKING:
    import sqlite3

ARMED = frozenset({"credit_twice", "return_payout", "withhold_payout", "skip_statement"})


def payout_id_of(bank: str, currency: str, batch: int) -> str:
    """Return the id of a batch's payout, within the 35 characters of an end-to-end id."""
    return "po_" + hashlib.sha256(f"{bank}|{currency}|{batch}".encode()).hexdigest()[:24]


def account_of(bank: str, currency: str) -> str:
    """Return the merchant's account for payouts of ``bank`` in ``currency``."""
    return f"{bank}-{currency}".upper()


def settle(connection: sqlite3.Connection, bank: str, as_of_ms: int) -> dict[str, Any]:
    """Close a batch: pay out, per currency, the unsettled movements up to ``as_of_ms``. Return the payouts.

    A currency without a positive balance waits for the next batch. If that applies to all, no batch is closed and
    ``batch`` is ``None``. Raises ``Refused`` for a time before the last batch, because statements are consecutive.
    """
    last = connection.execute(
        "SELECT COALESCE(MAX(batch), 0) AS batch, COALESCE(MAX(as_of_ms), 0) AS as_of_ms FROM settlements WHERE bank=?",
        (bank,),
    ).fetchone()
    if as_of_ms < last["as_of_ms"]:
        raise Refused(409, "too_early", f"the last batch was closed as of {last['as_of_ms']}")
    owed = connection.execute(
        "SELECT currency, SUM(amount_minor - fee_minor) AS net_minor FROM movements "
        "WHERE bank=? AND payout_id IS NULL AND created_at_ms<=? GROUP BY currency "
        "HAVING SUM(amount_minor - fee_minor) > 0 ORDER BY currency",
        (bank, as_of_ms),
    ).fetchall()
    if not owed:
        return {"batch": None, "payouts": []}
    batch = last["batch"] + 1
    connection.execute("INSERT INTO settlements VALUES (?,?,?)", (bank, batch, as_of_ms))
    payouts = [_pay_out(connection, bank, row["currency"], row["net_minor"], batch, as_of_ms) for row in owed]
    return {"batch": batch, "payouts": payouts}


def _pay_out(
    connection: sqlite3.Connection, bank: str, currency: str, net_minor: int, batch: int, as_of_ms: int
) -> dict[str, Any]:
    payout_id = payout_id_of(bank, currency, batch)
    connection.execute(
        "UPDATE movements SET payout_id=? WHERE bank=? AND currency=? AND payout_id IS NULL AND created_at_ms<=?",
        (payout_id, bank, currency, as_of_ms),
    )
    movement = {
        "transaction_id": payout_id,
        "bank": bank,
        "kind": "payout",
        "charge_id": None,
        "reference": None,
        "amount_minor": -net_minor,
        "fee_minor": 0,
        "currency": currency,
        "created_at_ms": as_of_ms,
        "available_at_ms": as_of_ms,
        "payout_id": payout_id,
    }
    insert_movement(connection, movement)
    armed = _disarm(connection, bank, currency)
    _write_statement(connection, bank, currency, as_of_ms, _entries(payout_id, net_minor, armed), armed)
    return {"payout_id": payout_id, "currency": currency, "amount_minor": net_minor}


def _entries(payout_id: str, net_minor: int, armed: set[str]) -> list[tuple[str, int, str]]:
    """Return the merchant's bank's entries for a payout: (payout id, signed amount in minor units, description)."""
    if "withhold_payout" in armed:
        return []
    entries = [(payout_id, net_minor, "payout")]
    if "credit_twice" in armed:
        entries.append((payout_id, net_minor, "payout"))
    if "return_payout" in armed:
        entries.append((payout_id, -net_minor, "payout returned"))
    return entries


def _write_statement(
    connection: sqlite3.Connection,
    bank: str,
    currency: str,
    as_of_ms: int,
    entries: list[tuple[str, int, str]],
    armed: set[str],
) -> None:
    """Write the account's next statement, which never changes afterwards; write none without an entry."""
    if not entries:
        return
    account = account_of(bank, currency)
    last = connection.execute(
        "SELECT sequence, closing_minor FROM statements WHERE account=? ORDER BY sequence DESC LIMIT 1", (account,)
    ).fetchone()
    sequence, opening_minor = (last["sequence"] + 1, last["closing_minor"]) if last else (1, 0)
    closing_minor = opening_minor + sum(amount for _, amount, _ in entries)
    skipped = "skip_statement" in armed
    connection.execute(
        "INSERT INTO statements VALUES (?,?,?,?,?,?,?,?)",
        (account, sequence, bank, currency, as_of_ms, opening_minor, closing_minor, skipped),
    )
    connection.executemany(
        "INSERT INTO entries VALUES (?,?,?,?,?,?)",
        [(account, sequence, number, *entry) for number, entry in enumerate(entries, start=1)],
    )


def arm(connection: sqlite3.Connection, bank: str, currency: str, fault: str) -> None:
    """Arm ``fault`` for the next payout of ``currency``, once."""
    connection.execute("INSERT OR IGNORE INTO armed_faults VALUES (?,?,?)", (bank, currency, fault))


def _disarm(connection: sqlite3.Connection, bank: str, currency: str) -> set[str]:
    found = connection.execute(
        "DELETE FROM armed_faults WHERE bank=? AND currency=? RETURNING fault", (bank, currency)
    ).fetchall()
    return {row["fault"] for row in found}
