"""The transactional outbox: events with their exact bytes, committed together with the change that they report.

One item holds all of a change: the event's bytes and, packed with them, what else is to be kept of the change, such as
a payment's journal entry. Items are appended and never changed. The table's stream brings an event to the relay within
a second. If the stream fails, the sweeper reads the event in the index by day, and finds that deliveries of it are
missing.
"""

from __future__ import annotations

import json
import zlib
from itertools import batched
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS
from payonce.domain.ids import event_id, event_place
from payonce.merged_lists import merged_page
from payonce.packing import pack, unpack
from payonce.ports import Insert, Page, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.domain.events import Event
    from payonce.ports import Database, Item, Key, Write

BY_MERCHANT_INDEX = "events-by-merchant"
BY_REFERENCE_INDEX = "payments-by-reference"
BY_CUSTOMER_INDEX = "payments-by-customer"
BY_DAY_INDEX = "events-by-day"
# One index partition takes about 1,000 writes a second, and each event makes one in the index by day: 32 shards take
# 10,000 payments a second with two thirds to spare.
DAY_SHARDS = 32
# A merchant's lists: the first versions of payments, which is the list of the payments too, and all other events.
FIRSTS, CHANGES = "P", "E"
# The list of a merchant's disputes stands in the index by reference, under a reference that no payment can have. Only
# the event that opens a dispute is in it: an ordinary payment's events cost nothing for this list.
DISPUTES = ""
LIST_SHARDS = 4  # of each list: some 4,000 events a second of one merchant
CORRECTION_PREFIX = "CORRECTION#"  # letters sort after digits: corrections follow the resource's own versions
KEYS_AT_ONCE = 100  # the most that a batch of keys may have
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


def list_partition(merchant_id: str, listed: str, shard: int) -> str:
    """Return the partition of the index by merchant that holds this shard of one of the merchant's lists."""
    return f"{merchant_id}#{listed}#{shard}"


def reference_partition(merchant_id: str, reference: str, shard: int) -> str:
    """Return the partition of the index by reference that holds this shard of payments with one of your references.

    It has shards because a shop may give all its payments one reference.
    """
    return f"{merchant_id}#{reference}#{shard}"


def customer_partition(merchant_id: str, customer: str, shard: int) -> str:
    """Return the partition of the index by customer that holds this shard of a customer's payments."""
    return f"{merchant_id}#{customer}#{shard}"


def day_partition(at_ms: int, shard: int) -> str:
    """Return the partition of the index by day that a UTC day's events of this shard are in."""
    return f"{at_ms // DAY_MS}#{shard:02d}"


def event_item(
    event: Event,
    told: Mapping[str, Any] | None = None,
    *,
    listed: str = CHANGES,
    reference: str | None = None,
    customer: str | None = None,
) -> Item:
    """Return the stored form of an event. ``told``: what else is kept of the change, as JSON.

    ``listed``: in which of the merchant's lists it stands, ``FIRSTS`` or ``CHANGES``. ``reference``: the merchant's
    own, by which a payment can be looked up, or ``DISPUTES``. ``customer``: whose payment's first version it is.
    """
    kept = json.dumps({"type": event.event_type, **(told or {})}, separators=(",", ":"), ensure_ascii=False)
    item = {
        **event_key(event.resource_id, event.version),
        "merchant_id": event.merchant_id,
        "list_shard": list_partition(event.merchant_id, listed, _shard(event.resource_id, LIST_SHARDS)),
        "created_key": created_key(event.created_at_ms, event.event_id),
        "day_shard": day_partition(event.created_at_ms, _shard(event.event_id, DAY_SHARDS)),
        "created_at_ms": event.created_at_ms,
        # No line break is in the first part: JSON escapes it.
        "packed": pack(kept.encode() + b"\n" + event.body),
    }
    if reference is not None:
        shard = _shard(event.resource_id, LIST_SHARDS)
        item["reference_shard"] = reference_partition(event.merchant_id, reference, shard)
    if customer is not None:
        shard = _shard(event.resource_id, LIST_SHARDS)
        item["customer_shard"] = customer_partition(event.merchant_id, customer, shard)
    if event.only_endpoint_id is not None:
        item["only_endpoint_id"] = event.only_endpoint_id
    return item


def opened(item: Item) -> Item:
    """Return a stored event as ``event_id``, ``merchant_id``, ``event_type``, ``created_at_ms``, ``body`` and more.

    Whoever reads an event's item, from the table, the index by day or the stream, passes it through here. ``told`` is
    what else was kept of the change. Idempotent. Raises ``KeyError`` for an item that is no event.
    """
    if "body" in item:
        return item
    try:
        kept, _, body = unpack(item["packed"]).partition(b"\n")
        told = json.loads(kept)
        version = int(item["sk"])
    except ValueError as error:
        raise KeyError("packed") from error
    return {
        **{name: value for name, value in item.items() if name != "packed"},
        "event_id": event_id(item["pk"], version),
        "event_type": told.pop("type"),
        "told": told,
        "body": body,
    }


def is_event(item: Item) -> bool:
    """Return whether an item of the table is an event's, and not a correction's entry in the journal."""
    return not str(item.get("sk")).startswith(CORRECTION_PREFIX)


def event_write(
    event: Event,
    told: Mapping[str, Any] | None = None,
    *,
    listed: str = CHANGES,
    reference: str | None = None,
    customer: str | None = None,
) -> Write:
    """Return the write that stores an event with the bytes that every delivery of it carries: see ``event_item``."""
    return Insert(Table.OUTBOX, event_item(event, told, listed=listed, reference=reference, customer=customer))


def events_of_day(
    database: Database, shard: int, *, from_ms: int, until_ms: int, start: Item | None = None, limit: int
) -> Page:
    """Return a page of one shard's events of the UTC day of ``from_ms``, up to ``until_ms``, both included, by time.

    Eventually consistent. The items are as they are stored (see ``opened``); corrections' entries are among them.
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


def events_of_merchant(database: Database, merchant_id: str, *, after: str, until: str, limit: int) -> Page:
    """Return a page of a merchant's events by time, with a ``created_key`` after ``after`` and not after ``until``.

    The events are ``opened``; the page's ``next_key`` holds the last one's ``created_key``. Eventually consistent:
    ``SETTLING_MS`` says how far a reader should stay behind.
    """
    page = listed_keys(database, merchant_id, (FIRSTS, CHANGES), after=after, until=until, limit=limit)
    found = {item["pk"] + item["sk"]: opened(item) for item in _items_of(database, page.items)}
    return Page([found[key["pk"] + key["sk"]] for key in page.items], page.next_key)


def listed_keys(
    database: Database,
    merchant_id: str,
    lists: Sequence[str],
    *,
    after: str,
    until: str,
    limit: int,
    descending: bool = False,
) -> Page:
    """Return the keys of a page of a merchant's ``lists``, merged by time: after ``after`` and not after ``until``.

    A list is spread over ``LIST_SHARDS`` partitions, so that one merchant may grow. The page's ``next_key`` holds the
    last one's ``created_key``. Eventually consistent.
    """
    partitions = [list_partition(merchant_id, listed, shard) for listed in lists for shard in range(LIST_SHARDS)]
    index = (BY_MERCHANT_INDEX, "list_shard")
    return _merged(database, index, partitions, after, until, limit=limit, descending=descending)


def keys_by_reference(
    database: Database, merchant_id: str, reference: str, *, after: str, until: str, limit: int
) -> Page:
    """Return the keys of a page of the merchant's payments with this reference, newest first: see ``listed_keys``."""
    partitions = [reference_partition(merchant_id, reference, shard) for shard in range(LIST_SHARDS)]
    index = (BY_REFERENCE_INDEX, "reference_shard")
    return _merged(database, index, partitions, after, until, limit=limit, descending=True)


def keys_by_customer(
    database: Database, merchant_id: str, customer: str, *, after: str, until: str, limit: int
) -> Page:
    """Return the keys of a page of the payments of the merchant's customer, newest first: see ``listed_keys``."""
    partitions = [customer_partition(merchant_id, customer, shard) for shard in range(LIST_SHARDS)]
    index = (BY_CUSTOMER_INDEX, "customer_shard")
    return _merged(database, index, partitions, after, until, limit=limit, descending=True)


def _merged(
    database: Database,
    index: tuple[str, str],
    partitions: Sequence[str],
    after: str,
    until: str,
    *,
    limit: int,
    descending: bool,
) -> Page:
    return merged_page(
        database,
        Table.OUTBOX,
        [(index[1], partition) for partition in partitions],
        "created_key",
        index=index[0],
        after=after,
        until=until,
        limit=limit,
        descending=descending,
    )


def find_event(database: Database, merchant_id: str, identity: str) -> Item | None:
    """Return the merchant's event with this id, ``None`` where there is none or where it is another merchant's."""
    try:
        item = database.get(Table.OUTBOX, event_key(*event_place(identity)))
    except ValueError:
        return None
    return None if item is None or item["merchant_id"] != merchant_id else opened(item)


def find_events(database: Database, event_ids: Sequence[str]) -> dict[tuple[str, str], Item]:
    """Return those of up to 100 events that are stored, by merchant and id, in one round trip."""
    keys = {tuple(event_key(*event_place(event_id)).items()) for event_id in event_ids}
    items = map(opened, database.get_many(Table.OUTBOX, [dict(key) for key in keys])) if keys else ()
    return {(item["merchant_id"], item["event_id"]): item for item in items}


def _items_of(database: Database, keys: Sequence[Item]) -> Iterator[Item]:
    for some in batched(keys, KEYS_AT_ONCE):
        yield from database.get_many(Table.OUTBOX, [{"pk": key["pk"], "sk": key["sk"]} for key in some])


def _shard(identity: str, shards: int) -> int:
    return zlib.crc32(identity.encode()) % shards
