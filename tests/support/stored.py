"""What is stored, for tests that look past the use cases: payments, their journal entries and their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.outbox import is_event, opened
from payonce.payments.journal import entry_of
from payonce.payments.payment_items import PAYMENT_SORT_KEY, payment_from, payment_of_first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from payonce.ports import Item


def payments_in(heads: Iterable[Item], outbox: Iterable[Item]) -> list[Payment]:
    """Return the payments of the items of the two tables: heads, and first versions of those that have none."""
    found: dict[str, Payment] = {}
    for item in outbox:
        if is_event(item) and "payment" in opened(item)["told"]:
            found[item["pk"]] = payment_of_first(item)
    for item in heads:
        if item["sk"] == PAYMENT_SORT_KEY:
            found[item["payment_id"]] = payment_from(item)
    return list(found.values())


def entries_in(outbox: Iterable[Item]) -> list[JournalEntry]:
    """Return the journal entries of the outbox's items."""
    return [entry for item in outbox if (entry := entry_of(item)) is not None]


def events_in(outbox: Iterable[Item]) -> list[Item]:
    """Return the events of the outbox's items, ``opened``."""
    return [opened(item) for item in outbox if is_event(item)]
