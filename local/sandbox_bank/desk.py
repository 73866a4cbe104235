"""The context of everything that a bank does: its open books, its settings, its time, and what it has to do later."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.sandbox_bank.movements import Terms

if TYPE_CHECKING:
    import sqlite3

    from local.sandbox_bank.behaviour import BankSettings

SECOND_MS = 1_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Desk:
    """One bank's books within one transaction, at the bank's time ``at_ms`` (epoch milliseconds)."""

    connection: sqlite3.Connection
    bank: str
    settings: BankSettings
    at_ms: int

    @property
    def terms(self) -> Terms:
        """Return the bank's terms."""
        return Terms.of(self.settings)

    def at(self, at_ms: int) -> Desk:
        """Return the same desk at another time."""
        return replace(self, at_ms=at_ms)

    def in_days(self, days: float) -> int:
        """Return the time ``days`` later, in epoch milliseconds."""
        return self.at_ms + int(days * DAY_MS)


def machine_ms() -> int:
    """Return the machine's time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def now_ms(connection: sqlite3.Connection, bank: str) -> int:
    """Return the bank's time in epoch milliseconds: the machine's, and what the bank's clock was moved."""
    row = connection.execute("SELECT offset_ms FROM clocks WHERE bank=?", (bank,)).fetchone()
    return machine_ms() + (row["offset_ms"] if row else 0)


def advance(connection: sqlite3.Connection, bank: str, advance_ms: int) -> None:
    """Move the bank's clock forward for good."""
    connection.execute(
        "INSERT INTO clocks VALUES (?,?) ON CONFLICT (bank) DO UPDATE SET offset_ms=offset_ms+excluded.offset_ms",
        (bank, advance_ms),
    )


def schedule(desk: Desk, step: str, object_id: str, at_ms: int) -> None:
    """Let ``step`` of ``steps.STEPS`` happen to the object at ``at_ms`` of the bank's time, instead of another time."""
    desk.connection.execute("INSERT OR REPLACE INTO due VALUES (?,?,?,?)", (desk.bank, step, object_id, at_ms))


def unschedule(desk: Desk, object_id: str) -> None:
    """Let nothing more happen to the object by itself."""
    desk.connection.execute("DELETE FROM due WHERE bank=? AND object_id=?", (desk.bank, object_id))
