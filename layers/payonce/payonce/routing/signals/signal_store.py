"""Stores batches of signals as items, each written once, and reads them by time.

::

    pk SIGNALS   sk <time of its newest event, ms>#<shard>#<sequence number of its first record>
                 events, observed_at_ms, purge_at

The key is derived from the stream, so that writing a redelivered batch is idempotent. The table's TTL deletes items.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.paging import every_item
from payonce.ports import Insert, Table
from payonce.routing.signals.events import pack_events, unpack_events

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from payonce.ports import Database, Item
    from payonce.routing.signals.events import SignalEvent

PARTITION = "SIGNALS"
KEPT_SECONDS = 600  # the predictor reads the last minute; ten are kept for people to inspect
TIME_DIGITS = 13  # enough until the year 2286
MAX_ITEM_BYTES = 307_200  # compressed events per item; DynamoDB's limit is 400 KB with keys
REFUSALS_SHARD = "refused"  # refusals come from the log, which has neither shards nor the store's time
PAGE_ITEMS = 1000  # a page of a query is limited to 1 MB anyway


@dataclass(frozen=True, slots=True)
class SignalBatch:
    """One item. ``at_ms`` is its newest event's time, ``observed_at_ms`` that of the write by the writer's clock."""

    key: str
    at_ms: int
    shard: str
    observed_at_ms: int
    events: list[SignalEvent]


def add_signals(database: Database, shard: str, events: Sequence[tuple[str, SignalEvent]], *, now_ms: int) -> None:
    """Store a batch of (sequence number, event), as several items if it is large. A duplicate changes nothing.

    Raises ``StoreUnavailable`` and ``OutcomeUnknown``.
    """
    if not events:
        return
    data = pack_events([event for _, event in events])
    if len(data) > MAX_ITEM_BYTES and len(events) > 1:
        half = len(events) // 2
        add_signals(database, shard, events[:half], now_ms=now_ms)
        add_signals(database, shard, events[half:], now_ms=now_ms)
        return
    at_ms = max(event.at_ms for _, event in events)
    item = {
        "pk": PARTITION,
        "sk": f"{at_ms:0{TIME_DIGITS}d}#{shard}#{events[0][0]}",
        "events": data,
        "observed_at_ms": now_ms,
        "purge_at": now_ms // 1000 + KEPT_SECONDS,
    }
    with suppress(WriteConflict):  # the batch was redelivered
        database.write([Insert(Table.ROUTING, item)])


def newest_signal_ms(database: Database, *, until_ms: int) -> int | None:
    """Return the time of the newest batch up to ``until_ms``, or ``None``. Raises ``StoreUnavailable``."""
    page = database.query(
        Table.ROUTING, partition=("pk", PARTITION), sort_at_most=("sk", _bound(until_ms)), descending=True, limit=1
    )
    return _time_of(page.items[0]) if page.items else None


def signals_between(
    database: Database, from_ms: int, until_ms: int, *, known: Container[str] = ()
) -> Iterator[SignalBatch | ValueError]:
    """Yield the batches of that time, oldest first, without the ``known`` keys; an error for each malformed one.

    Raises ``StoreUnavailable``.
    """
    for item in every_item(
        lambda start: database.query(
            Table.ROUTING,
            partition=("pk", PARTITION),
            sort_at_least=("sk", f"{max(0, from_ms):0{TIME_DIGITS}d}"),
            sort_at_most=("sk", _bound(until_ms)),
            limit=PAGE_ITEMS,
            start=start,
        )
    ):
        if item["sk"] not in known:
            yield _batch(item)


def _bound(until_ms: int) -> str:
    return f"{max(0, until_ms):0{TIME_DIGITS}d}~"  # sorts after every key of that millisecond


def _time_of(item: Item) -> int | None:
    text = str(item["sk"]).partition("#")[0]
    return int(text) if text.isdecimal() else None


def _batch(item: Item) -> SignalBatch | ValueError:
    at_ms, observed_at_ms = _time_of(item), item.get("observed_at_ms")
    if at_ms is None or not isinstance(observed_at_ms, int):
        return ValueError("not a batch of signals")
    try:
        events = unpack_events(item.get("events"))
    except ValueError as error:
        return error
    _, _, rest = item["sk"].partition("#")
    return SignalBatch(item["sk"], at_ms, rest.rpartition("#")[0], observed_at_ms, events)
