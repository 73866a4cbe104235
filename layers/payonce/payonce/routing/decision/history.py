"""Reads the stored records of decisions: the latest ones, or one by its epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import HOUR_MS
from payonce.domain.errors import BodyMalformed, NotFound
from payonce.paging import every_item
from payonce.ports import Table
from payonce.routing.decision.predictor_store import DECISION_PREFIX, EPOCH_DIGITS, decision_partition
from payonce.routing.signals.packed import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item, Page

SEARCHED_HOURS = 48  # as many keys as one round trip takes; for an older record the caller names the hour
MAX_RECORD_BYTES = 33_554_432  # decompressed; a record of a hundred routes has about 200 KB
PAGE_SIZE = 10  # records are large, and a page of a query is at most 1 MB


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """One record: ``recorded`` is its bytes, for ``record.replay``; ``stored`` is its JSON; ``hour`` is yyyymmddThh."""

    epoch: int
    hour: str
    recorded: bytes
    stored: dict[str, Any]

    @property
    def at_ms(self) -> int:
        """Return the time of the decision by the predictor's clock."""
        return int(self.stored["now_ms"])


def newest_decisions(database: Database, now_ms: int) -> Iterator[KeptDecision]:
    """Yield the records of the last ``SEARCHED_HOURS``, newest first.

    Raises ``StoreUnavailable``, and ``BodyMalformed`` for a record that does not parse.
    """

    def page(start: Item | None, partition: str) -> Page:
        return database.query(Table.ROUTING, partition=("pk", partition), descending=True, limit=PAGE_SIZE, start=start)

    for partition in _partitions(now_ms):
        yield from map(_read, every_item(partial(page, partition=partition)))


def find_decision(database: Database, epoch: int, now_ms: int, hour: str | None = None) -> KeptDecision:
    """Return the record of an epoch: in ``hour`` if given, else the latest of recent hours.

    Raises ``NotFound``, ``BodyMalformed`` for a record that does not parse, and ``StoreUnavailable``.
    """
    partitions = [f"{DECISION_PREFIX}{hour}"] if hour else _partitions(now_ms)
    keys = [{"pk": partition, "sk": f"{epoch:0{EPOCH_DIGITS}d}"} for partition in partitions]
    items = database.get_many(Table.ROUTING, keys)
    if not items:
        where = f"the hour {hour}" if hour else f"the last {SEARCHED_HOURS} hours (name an older one with --hour)"
        raise NotFound(
            f"There is no decision of epoch {epoch} in {where}. Steps that find nothing to change keep none; "
            "payonce routing decisions lists those there are."
        )
    return _read(max(items, key=lambda item: item["pk"]))


def _partitions(now_ms: int) -> list[str]:
    # Including the next hour, because the predictor's clock may be ahead of ours.
    return [decision_partition(now_ms - ago * HOUR_MS) for ago in range(-1, SEARCHED_HOURS)]


def _read(item: Item) -> KeptDecision:
    hour, epoch = item["pk"].removeprefix(DECISION_PREFIX), int(item["sk"])
    try:
        recorded = unpacked(item.get("record"), MAX_RECORD_BYTES)
        stored = json.loads(recorded)
        if not isinstance(stored, dict) or not isinstance(stored.get("now_ms"), int):
            raise ValueError("not a decision's record")
    except (ValueError, RecursionError) as error:
        raise BodyMalformed(f"The record of epoch {epoch} in the hour {hour} can't be read: {error}.") from error
    return KeptDecision(epoch, hour, recorded, stored)


def differences(recorded: Any, made: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each place at which two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for name in sorted(recorded.keys() | made.keys()):
            yield from differences(recorded.get(name), made.get(name), f"{path}.{name}" if path else name)
    elif recorded != made:
        yield f"{path}: recorded {json.dumps(recorded)}, made again {json.dumps(made)}"
