"""The reversing entry, which corrects a movement that was booked twice, without any gateway.

Every later run matches the entry with its reversal, which proves that the break is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.ledger import JournalEntry, Movement, MovementKind, Posting, reversed_postings
from payonce.payments.payment_items import journal_partition, journal_writes
from payonce.ports import Table

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.ports import Database, Item, Write

REVERSAL = "reversal"
MAX_ENTRIES = 1_000  # per payment; far more than a payment has operations


@dataclass(frozen=True, slots=True)
class Booked:
    """A booked entry, and whether another entry already reverses it."""

    entry: JournalEntry
    is_reversed: bool


def find_booked(database: Database, correction: Correction, entry_id: str) -> Booked | None:
    """Return the movement ``entry_id`` of the correction's payment, or ``None``."""
    partition = ("pk", journal_partition(correction.merchant_id, correction.payment_id))
    items = database.query(Table.LEDGER, partition=partition, limit=MAX_ENTRIES).items
    movements = {item["entry_id"]: item for item in items if "movement" in item}
    if entry_id not in movements:
        return None
    reversals = {item["movement"]["reverses_entry_id"] for item in movements.values()}
    return Booked(_entry(correction, movements[entry_id]), entry_id in reversals)


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
    return journal_writes(reversing)


def _entry(correction: Correction, item: Item) -> JournalEntry:
    movement = item["movement"]
    return JournalEntry(
        merchant_id=correction.merchant_id,
        payment_id=correction.payment_id,
        version=1,
        currency=item["currency"],
        description=item["description"],
        booked_at_ms=item["booked_at_ms"],
        postings=tuple(Posting(row["account"], row["amount_minor"]) for row in item["postings"]),
        movement=Movement(**{**movement, "kind": MovementKind(movement["kind"])}),
    )
