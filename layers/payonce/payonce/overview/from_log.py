"""Adds the lines in which environments tell their replays and conflicts (see ``request_counts``).

The log's subscription brings the lines. A message that comes again has the same lines, with the log's own ids: it is
added in one transaction with a marker of these ids, and the second time the marker is there. So each line is counted
once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import blake2s
from itertools import batched
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import WriteConflict
from payonce.overview.minutes import COUNT_PREFIX, PREFIX, minute_of, place_of, purge_at
from payonce.overview.request_counts import COUNTED_MESSAGE, MOST_MERCHANTS, NAMES
from payonce.overview.scopes import EVERYBODY
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.ports import Database

MOST_COUNT = 1_000_000  # of one line: more is no count of ours
MARKER_PREFIX = "SEEN#"
PLACES_AT_ONCE = 40  # of a transaction, which takes 100 writes
LOG_SHARDS = 16  # a platform's minute takes lines of many environments at once, and transactions on one item collide


def counts_of_line(line: object) -> dict[str, dict[str, int]] | None:
    """Return the counts of a parsed line by merchant, ``None`` for any other line.

    Raises ``ValueError`` for a malformed one: nothing of it is counted.
    """
    if not isinstance(line, dict) or line.get("message") != COUNTED_MESSAGE:
        return None
    counts = line.get("counts")
    if not isinstance(counts, dict) or len(counts) > MOST_MERCHANTS + 1:
        raise ValueError("no counts of requests")
    for merchant_id, some in counts.items():
        if not merchant_id or not isinstance(some, dict) or not some.keys() <= NAMES:
            raise ValueError("not the counts of one merchant")
        if not all(type(count) is int and 0 < count <= MOST_COUNT for count in some.values()):
            raise ValueError("not a count of requests")
    return counts


def add_lines(database: Database, lines: Sequence[tuple[str, int, Mapping[str, Mapping[str, int]]]]) -> int:
    """Add lines (the log's id, its time in ms, counts by merchant); return how many transactions were written.

    A message that came before changes nothing. Raises ``StoreUnavailable`` and ``OutcomeUnknown``.
    """
    if not lines:
        return 0
    digest = blake2s("\n".join(identity for identity, _, _ in lines).encode(), digest_size=16).hexdigest()
    places: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for _, at_ms, counts in lines:
        for merchant_id, some in counts.items():
            for scope in {merchant_id, EVERYBODY}:
                places[scope, minute_of(at_ms)].update(some)
    shard = f"log {int(digest, 16) % LOG_SHARDS}"
    written = 0
    for number, some_places in enumerate(batched(sorted(places.items()), PLACES_AT_ONCE)):
        marker: dict[str, Any] = {"pk": f"{MARKER_PREFIX}{digest}", "sk": str(number)}
        marker["purge_at"] = purge_at(max(minute for (_, minute), _ in some_places))
        adds = [
            Adjust(
                table=Table.OVERVIEW,
                key={"pk": PREFIX + scope, "sk": place_of(minute, shard)},
                add={COUNT_PREFIX + name: count for name, count in found.items()},
                set={"purge_at": purge_at(minute)},
                upsert=True,
            )
            for (scope, minute), found in some_places
        ]
        try:
            database.write([Insert(Table.OVERVIEW, marker), *adds])
            written += 1
        except WriteConflict:
            continue  # this message was added before
    return written
