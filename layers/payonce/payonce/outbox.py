"""The outbox: events with their exact bytes, committed together with the change that they tell of.

An event is marked as not relayed until all its deliveries are written. The stream brings it to the relay within a
second; the mark is what a sweeper finds when the stream did not.
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
# An event's time is taken before it is committed, and a commit may be tried again for a while: a reader that goes on
# from an event younger than this could pass one that becomes visible behind it.
SETTLING_MS = 15_000


def partition_of(merchant_id: str, resource_id: str) -> str:
    """Return the partition of everything about one resource. The merchant comes first: none reaches another's."""
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
    """Return the write of an outbox event, with the bytes that every delivery will carry."""
    return Insert(Table.OUTBOX, event_item(event))


def relayed_write(item: Item) -> Write:
    """Return the write that takes the mark off an event whose deliveries are all written."""
    return Adjust(table=Table.OUTBOX, key=_key_of(item), remove=(SHARD_ATTRIBUTE,))


def unrelayed(database: Database, shard: int, *, created_before_ms: int, limit: int) -> list[Item]:
    """Return up to ``limit`` events of ``shard`` that are still marked, oldest first. Eventually consistent."""
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
    """Return a page of a merchant's events in order of time, their ``created_key`` after ``after``, up to ``until``.

    Eventually consistent: see ``SETTLING_MS`` for how far behind a reader should stay.
    """
    if after + " " > until:
        return Page([], None)
    return database.query(
        Table.OUTBOX,
        index=BY_MERCHANT_INDEX,
        partition=("merchant_id", merchant_id),
        # No created_key lies between ``after`` and ``after`` with a space: ids hold no character that small.
        sort_at_least=("created_key", after + " "),
        sort_at_most=("created_key", until),
        descending=descending,
        limit=limit,
    )


def find_event(database: Database, merchant_id: str, event_id: str) -> Item | None:
    """Return the merchant's event with this id, or ``None``. A moment after its commit it may not be found yet."""
    page = database.query(Table.OUTBOX, index=BY_ID_INDEX, partition=("event_id", event_id), limit=1)
    if not page.items or page.items[0]["merchant_id"] != merchant_id:
        return None
    return database.get(Table.OUTBOX, _key_of(page.items[0]))


def _key_of(item: Item) -> Key:
    return {"pk": item["pk"], "sk": item["sk"]}
