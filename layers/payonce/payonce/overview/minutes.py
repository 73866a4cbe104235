"""Counts per minute and merchant, added by the readers of streams in batches, each change counted exactly once.

::

    pk MINUTES#<merchant, or * for all>   sk <minute>#<shard of the stream>   upto, n_<what>, …, purge_at

A stream repeats: after an error or a timeout a batch comes again, whole, in part, or with more after it. Its records
have rising numbers within their shard, and one reader at a time. So an item that only one shard adds to tells by
``upto``, the number of the last record in it, which of a repeated batch it has already::

    batch 17 18 19 ─ added, upto 19 ─ ✗ the answer is lost
    batch 17 18 19 20              ─ 17 to 19 are in it: 20 is added, upto 20

An item has one writer and is written once a batch, whatever the merchant's rate: there is no hot one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import TYPE_CHECKING

from payonce.domain.durations import MINUTE_MS
from payonce.domain.errors import OutcomeUnknown, WriteConflict
from payonce.each import in_turn
from payonce.overview.scopes import EVERYBODY
from payonce.paging import every_item
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.each import Each
    from payonce.ports import Database, Item

PREFIX = "MINUTES#"
COUNT_PREFIX = "n_"
GAUGE_PREFIX = "="  # in place of a shard: a value as of that minute, which is set and not added to
KEPT_SECONDS = 2 * 86_400  # two days: today and the same hour of yesterday
MINUTE_DIGITS = 10
SEQUENCE_DIGITS = 40  # the longest number that a stream's record may have; then texts sort as numbers do
SHARD_BYTES = 5
MOST_TRIES = 4  # a shard has one reader; a second one is a frozen environment, and then one of them is refused
REMEMBERED = 10_000  # items whose ``upto`` an environment knows, some 1 MB
PAGE_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One record of a stream: what it adds to the ``minute`` (since 1970) of a merchant and of the platform."""

    sequence: str
    merchant_id: str
    minute: int
    names: tuple[str, ...]


@dataclass(slots=True)
class Minutes:
    """What was read of one scope: counts by minute, and the gauges that a schedule has set, by minute and name."""

    counts: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    gauges: dict[str, dict[int, Item]] = field(default_factory=lambda: defaultdict(dict))


class MinuteCounts:
    """Adds and reads. ``each`` makes writes for many merchants, by default one after the other.

    Adding raises ``StoreUnavailable`` and ``OutcomeUnknown``: let the batch come again, it is not counted twice.
    """

    def __init__(self, database: Database, each: Each = in_turn) -> None:
        self._database = database
        self._each = each
        self._known: dict[tuple[str, str], str] = {}  # (pk, sk) → upto, as this environment last saw it

    def add(self, shard: str, told: Iterable[Told]) -> int:
        """Add a batch of one shard of a stream; return the number of items written."""
        groups: defaultdict[tuple[str, int], list[Told]] = defaultdict(list)
        for one in told:
            groups[one.merchant_id, one.minute].append(one)
            groups[EVERYBODY, one.minute].append(one)

        def apply(group: tuple[tuple[str, int], list[Told]]) -> bool:
            (scope, minute), some = group
            return self._apply((PREFIX + scope, place_of(minute, shard)), minute, some)

        return sum(self._each(apply, list(groups.items())))

    def _apply(self, place: tuple[str, str], minute: int, told: list[Told]) -> bool:
        for _ in range(MOST_TRIES):
            upto = self._known.get(place, "")
            new = [one for one in told if one.sequence.zfill(SEQUENCE_DIGITS) > upto]
            if not new:
                return False
            last = max(one.sequence.zfill(SEQUENCE_DIGITS) for one in new)
            counts = Counter(COUNT_PREFIX + name for one in new for name in one.names)
            try:
                self._write(place, minute, counts, upto, last)
            except WriteConflict as conflict:
                self._remember(place, str((conflict.current or {}).get("upto", "")))
                continue
            except OutcomeUnknown:
                self._known.pop(place, None)
                raise
            self._remember(place, last)
            return True
        raise OutcomeUnknown("Another reader of the same shard keeps changing this minute.")

    def _write(self, place: tuple[str, str], minute: int, counts: Mapping[str, int], upto: str, last: str) -> None:
        key = {"pk": place[0], "sk": place[1]}
        if upto:
            adjusted = Adjust(table=Table.OVERVIEW, key=key, require={"upto": upto}, add=counts, set={"upto": last})
            self._database.write([adjusted])
        else:
            self._database.write(
                [Insert(Table.OVERVIEW, {**key, **counts, "upto": last, "purge_at": purge_at(minute)})]
            )

    def _remember(self, place: tuple[str, str], upto: str) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[place] = upto

    def read(self, scope: str, from_minute: int, until_minute: int) -> Minutes:
        """Return a scope's counts and gauges of these minutes, both included. Raises ``StoreUnavailable``.

        Eventually consistent. A round trip for each 1 MB; an hour of a merchant is some 40 KB for each four shards.
        """
        found = Minutes()
        for item in every_item(
            lambda start: self._database.query(
                Table.OVERVIEW,
                partition=("pk", PREFIX + scope),
                sort_at_least=("sk", f"{from_minute:0{MINUTE_DIGITS}d}"),
                sort_at_most=("sk", f"{until_minute:0{MINUTE_DIGITS}d}~"),
                limit=PAGE_ITEMS,
                start=start,
            )
        ):
            minute, _, shard = str(item["sk"]).partition("#")
            if shard.startswith(GAUGE_PREFIX):
                found.gauges[shard.removeprefix(GAUGE_PREFIX)][int(minute)] = item
                continue
            counts = found.counts[int(minute)]
            for name, value in item.items():
                if name.startswith(COUNT_PREFIX) and isinstance(value, int):
                    counts[name.removeprefix(COUNT_PREFIX)] += value
        return found


def minute_of(at_ms: int) -> int:
    """Return the minute since 1970 of a time."""
    return at_ms // MINUTE_MS


def place_of(minute: int, shard: str) -> str:
    """Return the sort key of a minute's item of one shard; a shard's name is shortened, which is most of an item."""
    return f"{minute:0{MINUTE_DIGITS}d}#{blake2s(shard.encode(), digest_size=SHARD_BYTES).hexdigest()}"


def purge_at(minute: int) -> int:
    """Return when a minute's item may be deleted, in epoch seconds."""
    return minute * 60 + KEPT_SECONDS


def gauge_write(scope: str, minute: int, name: str, values: Mapping[str, object]) -> Adjust:
    """Return the write that sets a gauge of a minute; the last one of a minute counts."""
    return Adjust(
        table=Table.OVERVIEW,
        key={"pk": PREFIX + scope, "sk": f"{minute:0{MINUTE_DIGITS}d}#{GAUGE_PREFIX}{name}"},
        set={**values, "purge_at": purge_at(minute)},
        upsert=True,
    )


def set_gauges(database: Database, at_ms: int, name: str, by_scope: Mapping[str, Mapping[str, object]]) -> None:
    """Set a gauge of a minute for each scope, one write each. Raises ``StoreUnavailable`` and ``OutcomeUnknown``.

    The next minute sets all again, so that one that failed is not tried again.
    """
    for scope, values in by_scope.items():
        database.write([gauge_write(scope, minute_of(at_ms), name, values)])
