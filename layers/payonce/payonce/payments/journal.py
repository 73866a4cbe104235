"""The journal: each entry lies in the item of the change that it books, with the change's event (``payonce.outbox``).

A correction's entry has no event, so it has an item of its own, in the payment's partition too. What each account holds
is counted beside the entries, in the same transaction.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from payonce.domain.ledger import JournalEntry, Movement, MovementKind, Posting
from payonce.outbox import CORRECTION_PREFIX, DAY_SHARDS, day_partition, events_of_day, is_event, opened
from payonce.packing import pack, unpack
from payonce.paging import every_item
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item, Key, Write

ACCOUNT_PREFIX = "account:"
# A merchant's balance is the sum of its counters, because transactions that meet in one item conflict. Reading it takes
# all that were hit, in a query for each partition: with 2,048 from the beginning, the page of a merchant with 100,000
# payments took 190 ms, where that of one with 1,000 took 31. So a process begins with few, which is enough for 300
# payments a second of one merchant, and spreads over many once its transactions have met another's there. With 10 of a
# merchant committing at any moment (1,000 a second, 10 ms each), one in 35 meets another in 320, one in 200 in 2,048.
BALANCE_COUNTERS = 320
SPREAD_COUNTERS = 2_048  # at most 0.5 MB a currency to read
# A partition takes 1,000 write units a second, and a payment makes two: 2,000 payments a second for one merchant.
BALANCE_PARTITIONS = 4
PAGE_SIZE = 1_000  # about 0.8 MB; DynamoDB limits a page to 1 MB


def balance_partition(merchant_id: str, counter: int) -> str:
    """Return the partition of one counter of a merchant's balances."""
    return f"BALANCE#{merchant_id}#{counter % BALANCE_PARTITIONS}"


def balance_write(*entries: JournalEntry) -> Write:
    """Return the write that adds entries to one counter of their merchant's balance, of few or, if need be, of many.

    All entries must have one merchant and currency, because a transaction may change the counter only once.
    """
    first = entries[0]
    chosen = zlib.crc32(first.entry_id.encode())
    totals: Counter[str] = Counter()
    for entry in entries:
        totals.update(entry.by_account())
    return Adjust(
        table=Table.LEDGER,
        key=_counter_key(first, chosen % BALANCE_COUNTERS),
        spread_key=_counter_key(first, chosen % SPREAD_COUNTERS),
        add={ACCOUNT_PREFIX + account: amount for account, amount in totals.items()},
        upsert=True,
    )


def _counter_key(entry: JournalEntry, counter: int) -> Key:
    return {"pk": balance_partition(entry.merchant_id, counter), "sk": f"{entry.currency}#{counter:04d}"}


def told_of(entry: JournalEntry) -> dict[str, Any]:
    """Return what is stored of an entry. The rest is in the item of its change: who, which version, when, what."""
    told: dict[str, Any] = {
        "currency": entry.currency,
        "postings": [[posting.account, posting.amount_minor] for posting in entry.postings],
    }
    if entry.movement is not None:
        move = entry.movement
        told["movement"] = [
            move.kind.value,
            move.gateway,
            move.gateway_reference,
            move.gateway_payment_id,
            move.payer,
            move.idempotency_record_id,
            move.reverses_entry_id,
            *([] if move.gateway_refund_id is None else [move.gateway_refund_id]),
        ]
    return told


def correction_writes(*entries: JournalEntry) -> list[Write]:
    """Return the writes that append a correction's entries and add them to the balance: see ``balance_write``."""
    return [*(Insert(Table.OUTBOX, _correction_item(entry)) for entry in entries), balance_write(*entries)]


def entry_of(item: Item) -> JournalEntry | None:
    """Return the entry in a stored item, or ``None``. Raises ``KeyError`` for an item that is neither."""
    if is_event(item):
        event = opened(item)
        told = event["told"].get("entry")
        return None if told is None else _entry(item, told, version=int(item["sk"]), description=event["event_type"])
    break_id, _, version = item["sk"].removeprefix(CORRECTION_PREFIX).rpartition("#")
    told = json.loads(unpack(item["packed"]))
    return _entry(item, told, version=int(version), description=told["description"], break_id=break_id)


def entries_of(database: Database, merchant_id: str, payment_id: str) -> Iterator[JournalEntry]:
    """Yield the entries of the merchant's payment, its own in order of their changes, then those of corrections."""
    for item in every_item(
        lambda start: database.query(Table.OUTBOX, partition=("pk", payment_id), limit=PAGE_SIZE, start=start)
    ):
        entry = entry_of(item) if item["merchant_id"] == merchant_id else None
        if entry is not None:
            yield entry


def movements(database: Database, shard: int, *, from_ms: int, until_ms: int) -> Iterator[JournalEntry]:
    """Yield one shard's entries that moved money, booked on the UTC day of ``from_ms`` and by ``until_ms``, by time.

    Eventually consistent: an entry younger than a second may be missing.
    """
    for item in every_item(
        lambda start: events_of_day(database, shard, from_ms=from_ms, until_ms=until_ms, start=start, limit=PAGE_SIZE)
    ):
        entry = entry_of(item)
        if entry is not None and entry.movement is not None:
            yield entry


def _correction_item(entry: JournalEntry) -> Item:
    told = {**told_of(entry), "description": entry.description}
    return {
        "pk": entry.payment_id,
        "sk": f"{CORRECTION_PREFIX}{entry.break_id}#{entry.version:010d}",
        "merchant_id": entry.merchant_id,
        "day_shard": day_partition(entry.booked_at_ms, zlib.crc32(entry.entry_id.encode()) % DAY_SHARDS),
        "created_at_ms": entry.booked_at_ms,
        "packed": pack(json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()),
    }


def _entry(
    item: Item, told: dict[str, Any], *, version: int, description: str, break_id: str | None = None
) -> JournalEntry:
    movement = None
    if "movement" in told:
        kind, gateway, reference, gateway_payment_id, payer, record_id, reverses, *refund = told["movement"]
        movement = Movement(
            kind=MovementKind(kind),
            gateway=gateway,
            gateway_reference=reference,
            gateway_payment_id=gateway_payment_id,
            payer=payer,
            idempotency_record_id=record_id,
            reverses_entry_id=reverses,
            gateway_refund_id=refund[0] if refund else None,
        )
    return JournalEntry(
        merchant_id=item["merchant_id"],
        payment_id=item["pk"],
        version=version,
        currency=told["currency"],
        description=description,
        booked_at_ms=item["created_at_ms"],
        postings=tuple(Posting(account, amount) for account, amount in told["postings"]),
        break_id=break_id,
        movement=movement,
    )
