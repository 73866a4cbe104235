"""The transactional outbox: events with their exact bytes, committed together with the change that they report.

An event is marked as unrelayed until all its deliveries are written. The table's stream brings it to the relay within a
second; if the stream fails, a sweeper finds the event by its mark.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from payonce.ports import Adjust, Insert, Page, Table

if TYPE_CHECKING:
    from payonce.domain.events import Event
    from payonce.ports import Database, Item, Key, Write

BY_MERCHANT_INDEX = "events-by-merchant"
BY_ID_INDEX = "events-by-id"
UNRELAYED_INDEX = "unrelayed"
# One index partition takes about 1,000 writes a second, and each event makes two.
RELAY_SHARDS = 8
SHARD_ATTRIBUTE = "relay_shard"
# An event's time is taken before its commit, and the commit may be retried for a while. A reader that continued from an
# event younger than this could miss one that becomes visible later with an earlier time.
SETTLING_MS = 15_000


def partition_of(merchant_id: str, resource_id: str) -> str:
    """Return the partition of everything about one resource. It begins with the merchant, which keeps tenants apart."""
    return f"{merchant_id}#{resource_id}"


def created_key(created_at_ms: int, identity: str) -> str:
    """Return the sort key of a merchant's list of events, or of payments: by creation time, then id."""
    return f"{created_at_ms:013d}#{identity}"


def event_key(merchant_id: str, resource_id: str, version: int) -> Key:
    """Return the key of the event of this version of a resource."""
    return {"pk": partition_of(merchant_id, resource_id), "sk": f"{version:010d}"}


def event_item(event: Event) -> Item:
    """Return the stored form of an event."""
    item = {
        **event_key(event.merchant_id, event.resource_id, event.version),
        "event_id": event.event_id,
        "merchant_id": event.merchant_id,
        "event_type": event.event_type,
        "created_at_ms": event.created_at_ms,
        "created_key": created_key(event.created_at_ms, event.event_id),
        SHARD_ATTRIBUTE: str(zlib.crc32(event.event_id.encode()) % RELAY_SHARDS),
        "body": event.body,
    }
    if event.only_endpoint_id is not None:
        item["only_endpoint_id"] = event.only_endpoint_id
    return item


def event_write(event: Event) -> Write:
    """Return the write that stores an event with the bytes that every delivery of it carries."""
    return Insert(Table.OUTBOX, event_item(event))


def relayed_write(item: Item) -> Write:
    """Return the write that removes the mark of an event whose deliveries are all written."""
    return Adjust(table=Table.OUTBOX, key=_key_of(item), remove=(SHARD_ATTRIBUTE,))


def unrelayed(database: Database, shard: int, *, created_before_ms: int, limit: int) -> list[Item]:
    """Return up to ``limit`` unrelayed events of ``shard``, oldest first. Eventually consistent."""
    page = database.query(
        Table.OUTBOX,
        index=UNRELAYED_INDEX,
        partition=(SHARD_ATTRIBUTE, str(shard)),
        sort_at_most=("created_at_ms", created_before_ms),
        limit=limit,
    )
    return [found for item in page.items if (found := database.get(Table.OUTBOX, _key_of(item))) is not None]


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
    """Return the merchant's event with this id, or ``None``. Eventually consistent: a new event may be missing."""
    page = database.query(Table.OUTBOX, index=BY_ID_INDEX, partition=("event_id", event_id), limit=1)
    if not page.items or page.items[0]["merchant_id"] != merchant_id:
        return None
    return database.get(Table.OUTBOX, _key_of(page.items[0]))


def _key_of(item: Item) -> Key:
    return {"pk": item["pk"], "sk": item["sk"]}
