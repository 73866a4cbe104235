"""What recovery remembers between its executions: who feeds, the lanes' state, and what askers have done.

::

    RECOVERY, FEEDER       leader, until when, the lanes' state: written by the feeder alone, every tick
    RECOVERY, LANE#name    counters that only grow: added to by askers, read by the feeder
"""

from __future__ import annotations

import json
import zlib
from array import array
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Insert, Table
from payonce.recovery.lanes import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.ports import Database, Key, Write

PARTITION = "RECOVERY"
FEEDER_KEY: Key = {"pk": PARTITION, "sk": "FEEDER"}
LANE_PREFIX = "LANE#"
# Longer than the longest pause between two ticks, so that a feeder that stands by never overtakes one that waits.
LEAD_MS = 20_000
MARK_TYPE = "I"  # four bytes: two claims with one mark are one in millions, and the second waits for a minute


@dataclass(frozen=True, slots=True)
class Left:
    """What a feeder leaves to the next: the lanes' state, and the marks of the claims that it has just released.

    The next one has read the index before it leads, and would release these claims a second time. That does no harm,
    but each costs a read and a place.
    """

    lanes: Mapping[str, Any]
    released: frozenset[int]


class Book:
    """The items, by their keys. Raises the errors of ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lead(self, leader: str, now_ms: int) -> Left | None:
        """Become the feeder and return what the one before has left; return ``None`` while another one leads."""
        item = self._database.get(Table.ROUTING, FEEDER_KEY)
        held = {"leader": leader, "until_ms": now_ms + LEAD_MS}
        if item is not None and item["until_ms"] > now_ms and item["leader"] != leader:
            return None
        write: Write = Insert(Table.ROUTING, {**FEEDER_KEY, **held, "lanes": "{}", "released": b""})
        if item is not None:
            before = {"leader": item["leader"], "until_ms": item["until_ms"]}
            write = Adjust(table=Table.ROUTING, key=FEEDER_KEY, require=before, set=held)
        try:
            self._database.write([write])
        except WriteConflict:
            return None
        if item is None:
            return Left({}, frozenset())
        return Left(json.loads(item["lanes"]), frozenset(array(MARK_TYPE, item["released"])))

    def keep(self, leader: str, lanes: Mapping[str, Any], now_ms: int) -> None:
        """Store the lanes' state and renew the lead. Raises ``WriteConflict`` when another one leads."""
        self._set(leader, {"lanes": _text(lanes), "until_ms": now_ms + LEAD_MS, "released": b""})

    def resign(self, leader: str, left: Left) -> None:
        """Store what the next feeder has to know, and let it lead at once. Raises ``WriteConflict``, see ``keep``."""
        released = array(MARK_TYPE, sorted(left.released)).tobytes()
        self._set(leader, {"lanes": _text(left.lanes), "until_ms": 0, "released": released})

    def _set(self, leader: str, change: dict[str, Any]) -> None:
        self._database.write([Adjust(table=Table.ROUTING, key=FEEDER_KEY, require={"leader": leader}, set=change)])

    def asked(self, lanes: Sequence[str]) -> dict[str, Asked]:
        """Return the counters of these lanes, at most 100."""
        items = self._database.get_many(Table.ROUTING, [_lane_key(lane) for lane in lanes])
        found = {item["sk"].removeprefix(LANE_PREFIX): item for item in items}
        return {
            lane: Asked(**{name: found[lane].get(name, 0) for name in asdict(Asked())})
            for lane in lanes
            if lane in found
        }

    def add(self, lane: str, new: Asked) -> None:
        """Add to the counters of a lane. Never repeated: a report that is lost makes a lane slower, and no more."""
        self._database.write([Adjust(table=Table.ROUTING, key=_lane_key(lane), add=asdict(new), upsert=True)])


def mark_of(record_id: str) -> int:
    """Return the number that stands for a claim in ``Left``."""
    return zlib.crc32(record_id.encode())


def _text(lanes: Mapping[str, Any]) -> str:
    return json.dumps(lanes, separators=(",", ":"))


def _lane_key(lane: str) -> Key:
    return {"pk": PARTITION, "sk": f"{LANE_PREFIX}{lane}"}
