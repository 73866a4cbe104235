"""The reversing entry, which corrects a movement that was booked twice, without any gateway.

Every later run matches the entry with its reversal, which proves that the break is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.ledger import reversed_postings
from payonce.payments.journal import correction_writes, entries_of

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.domain.ledger import JournalEntry
    from payonce.ports import Database, Write

REVERSAL = "reversal"


@dataclass(frozen=True, slots=True)
class Booked:
    """A booked entry, and whether another entry already reverses it."""

    entry: JournalEntry
    is_reversed: bool


def find_booked(database: Database, correction: Correction, entry_id: str) -> Booked | None:
    """Return the movement ``entry_id`` of the correction's payment, or ``None``."""
    booked = entries_of(database, correction.merchant_id, correction.payment_id)
    moved = {entry.entry_id: entry for entry in booked if entry.movement is not None}
    if entry_id not in moved:
        return None
    reversals = {entry.movement.reverses_entry_id for entry in moved.values() if entry.movement is not None}
    return Booked(moved[entry_id], entry_id in reversals)


def reversing_writes(booked: Booked, correction: Correction, entry_id: str, now_ms: int) -> list[Write]:
    """Return the writes of the entry that reverses ``entry_id``. Its id is derived from the break: it is unique."""
    entry = booked.entry
    assert entry.movement is not None  # noqa: S101 - narrows the type
    reversing = replace(
        entry,
        version=1,
        description="correction.reversed",
        booked_at_ms=now_ms,
        postings=reversed_postings(entry.postings),
        break_id=correction.break_id,
        movement=replace(entry.movement, reverses_entry_id=entry_id),
    )
    return correction_writes(reversing)
