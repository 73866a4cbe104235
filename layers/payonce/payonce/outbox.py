"""The transactional outbox: events with their exact bytes, committed together with the change that they report.

Items are appended and never changed. The table's stream brings an event to the relay within a second. If the stream
fails, the sweeper reads the event in the index by day, and finds that deliveries of it are missing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.ids import event_place
from payonce.ports import Insert, Page, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.events import Event
    from payonce.ports import Database, Item, Key, Write

BY_MERCHANT_INDEX = "events-by-merchant"
BY_DAY_INDEX = "events-by-day"
# One index partition takes about 1,000 writes a second, and each event makes one in the index by day: 32 shards take
# 10,000 payments a second with two thirds to spare.
DAY_SHARDS = 32
# An event's time is taken before its commit, and the commit may be retried for a while. A reader that continued from an
# event younger than this could miss one that becomes visible later with an earlier time.
SETTLING_MS = 15_000


def partition_of(merchant_id: str, resource_id: str) -> str:
    """Return the partition of everything about one resource. It begins with the merchant, which keeps tenants apart."""
    return f"{merchant_id}#{resource_id}"


def created_key(created_at_ms: int, identity: str) -> str:
    """Return the sort key of a merchant's list of events, or of payments: by creation time, then id."""
    return f"{created_at_ms:013d}#{identity}"


def event_key(resource_id: str, version: int) -> Key:
    """Return the key of the event of this version of a resource. A resource's id is unique across merchants."""
    return {"pk": resource_id, "sk": f"{version:010d}"}


def day_partition(at_ms: int, shard: int) -> str:
    """Return the partition of the index by day that a UTC day's events of this shard are in."""
    return f"{at_ms // DAY_MS}#{shard:02d}"


def event_item(event: Event) -> Item:
    """Return the stored form of an event."""
    shard = zlib.crc32(event.event_id.encode()) % DAY_SHARDS
    item = {
        **event_key(event.resource_id, event.version),
        "event_id": event.event_id,
        "merchant_id": event.merchant_id,
        "event_type": event.event_type,
        "created_at_ms": event.created_at_ms,
        "created_key": created_key(event.created_at_ms, event.event_id),
        "day_shard": day_partition(event.created_at_ms, shard),
        "body": event.body,
    }
    if event.only_endpoint_id is not None:
        item["only_endpoint_id"] = event.only_endpoint_id
    return item


def opened(item: Item) -> Item:
    """Return a stored event with ``event_id``, ``merchant_id``, ``event_type``, ``created_at_ms`` and ``body``.

    Whoever reads an event's item, from the table, an index or the stream, passes it through here. Idempotent. Raises
    ``KeyError`` for an item that is no event.
    """
    return item


def event_write(event: Event) -> Write:
    """Return the write that stores an event with the bytes that every delivery of it carries."""
    return Insert(Table.OUTBOX, event_item(event))


def events_of_day(
    database: Database, shard: int, *, from_ms: int, until_ms: int, start: Item | None = None, limit: int
) -> Page:
    """Return a page of one shard's events of the UTC day of ``from_ms``, up to ``until_ms``, both included, by time.

    Eventually consistent. The items are as they are stored (``opened``).
    """
    return database.query(
        Table.OUTBOX,
        index=BY_DAY_INDEX,
        partition=("day_shard", day_partition(from_ms, shard)),
        sort_at_least=("created_at_ms", from_ms),
        sort_at_most=("created_at_ms", until_ms),
        start=start,
        limit=limit,
    )


def events_of_merchant(
    database: Database, merchant_id: str, *, after: str, until: str, limit: int, descending: bool = False
) -> Page:
    """Return a page of a merchant's events by time, with a ``created_key`` after ``after`` and not after ``until``.

    Eventually consistent: ``SETTLING_MS`` says how far a reader should stay behind.
    """
    if after + " " > until:
        return Page([], None)
    return database.query(
        Table.OUTBOX,
        index=BY_MERCHANT_INDEX,
        partition=("merchant_id", merchant_id),
        # No created_key lies between ``after`` and ``after`` plus a space: ids contain no character that small.
        sort_at_least=("created_key", after + " "),
        sort_at_most=("created_key", until),
        descending=descending,
        limit=limit,
    )


def find_event(database: Database, merchant_id: str, event_id: str) -> Item | None:
    """Return the merchant's event with this id, ``None`` where there is none or where it is another merchant's."""
    try:
        item = database.get(Table.OUTBOX, event_key(*event_place(event_id)))
    except ValueError:
        return None
    return None if item is None or item["merchant_id"] != merchant_id else opened(item)


def find_events(database: Database, event_ids: Sequence[str]) -> dict[tuple[str, str], Item]:
    """Return those of up to 100 events that are stored, by merchant and id, in one round trip."""
    keys = {tuple(event_key(*event_place(event_id)).items()) for event_id in event_ids}
    items = map(opened, database.get_many(Table.OUTBOX, [dict(key) for key in keys])) if keys else ()
    return {(item["merchant_id"], item["event_id"]): item for item in items}
