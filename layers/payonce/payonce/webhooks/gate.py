"""The gate of an endpoint: who works through each of its lanes, how wide they are, and the receiver's health.

A lane is held by a lease and not by a flag, because a killed sender returns nothing::

    sender A  ─ lane 0 until 12:01:10 ─ sends, records, sends ... ─ ✗ killed
    sender B      └ held: leaves what it was asked for to A              sender C  ─ 12:01:11: takes it over, and
                                                                          counts one more abandoned session

One lease is two writes for as many deliveries as are waiting, where a lease for each would be two for each.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.domain.webhooks import MOST_LANES, Health
from payonce.outbox import partition_of
from payonce.ports import Adjust, Table
from payonce.webhooks.pace import FIRST_WIDTH, RESTART

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database, Item, Key, Write
    from payonce.webhooks.pace import Pace

GATE_PREFIX = "GATE#"
GATES_INDEX = "gates"  # all endpoints, for the scheduler; written when an endpoint is made and when it is deleted
GATE_SHARDS = 8
FAILURES = ("consecutive_failures", "failing_since_ms", "last_failure_at_ms")
CLOCK_MARGIN_MS = 5_000  # by which two senders' clocks may differ


def gate_key(merchant_id: str, endpoint_id: str) -> Key:
    """Return the key of an endpoint's gate."""
    return {"pk": merchant_id, "sk": GATE_PREFIX + endpoint_id}


def new_gate_item(merchant_id: str, endpoint_id: str) -> Item:
    """Return the gate of a new endpoint: one lane, which is free, and no failures."""
    shard = zlib.crc32(partition_of(merchant_id, endpoint_id).encode()) % GATE_SHARDS
    return {
        **gate_key(merchant_id, endpoint_id),
        "gate_shard": str(shard),
        "lanes": 1,
        "width": FIRST_WIDTH * RESTART,
        "quickest_ms": 0,
        **{f"{name}_{lane}": 0 for lane in range(MOST_LANES) for name in ("held_until", "abandoned", "abandoned_at")},
        **dict.fromkeys(FAILURES, 0),
    }


def forget_failures_write(merchant_id: str, endpoint_id: str) -> Write:
    """Return the write that resets a receiver's failures when its endpoint is enabled.

    Otherwise the next failure would add to the old ones, and disable the endpoint again at once.
    """
    return Adjust(table=Table.ENDPOINTS, key=gate_key(merchant_id, endpoint_id), set=dict.fromkeys(FAILURES, 0))


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane as it was read: until when it is held (0: free); how many sessions were abandoned, the last one when."""

    held_until_ms: int = 0
    abandoned: int = 0
    abandoned_at_ms: int = 0

    def is_held(self, now_ms: int) -> bool:
        """Return whether somebody works through it."""
        return self.held_until_ms >= now_ms


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as it was read from the store. Of ``lanes`` the first ``lane_count`` get new deliveries."""

    merchant_id: str
    endpoint_id: str
    health: Health
    lane_count: int
    width: int
    quickest_ms: int
    lanes: tuple[Lane, ...]


class Gates:
    """Takes and returns lanes; records what a receiver's answers say about its health."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, merchant_id: str, endpoint_id: str) -> Gate | None:
        """Return the gate, or ``None`` when the endpoint was deleted."""
        item = self._database.get(Table.ENDPOINTS, gate_key(merchant_id, endpoint_id))
        return None if item is None else gate_from(item)

    def take(self, gate: Gate, number: int, *, now_ms: int, until_ms: int) -> Lane | None:
        """Return the lane as this caller holds it until ``until_ms``, or ``None`` when somebody else has taken it.

        A lane whose holder never returned it was abandoned: what that one had in hand must be leased anew.
        """
        lane = gate.lanes[number]
        if lane.is_held(now_ms):
            return None
        taken = Lane(until_ms, lane.abandoned, lane.abandoned_at_ms)
        if lane.held_until_ms:
            taken = replace(taken, abandoned=lane.abandoned + 1, abandoned_at_ms=now_ms)
        return taken if self._change(gate, number, lane, taken, {}) else None

    def give_back(self, gate: Gate, number: int, held: Lane, pace: Pace, *, in_doubt_at_ms: int | None) -> None:
        """Free the lane, if it is still ours. Store its pace for the next session.

        ``in_doubt_at_ms``: the end when it is uncertain whether some record was written, and may be written yet; the
        session then counts as abandoned.
        """
        free = replace(held, held_until_ms=0)
        if in_doubt_at_ms is not None:
            free = replace(free, abandoned=held.abandoned + 1, abandoned_at_ms=in_doubt_at_ms)
        self._change(gate, number, held, free, {"width": pace.width, "quickest_ms": int(pace.quickest_ms)})

    def add_lanes(self, gate: Gate) -> None:
        """Double the number of lanes, up to ``MOST_LANES``. It never falls, so that no lane's list is forgotten."""
        lanes = min(MOST_LANES, 2 * gate.lane_count)
        if lanes == gate.lane_count:
            return
        key = gate_key(gate.merchant_id, gate.endpoint_id)
        write = Adjust(table=Table.ENDPOINTS, key=key, require={"lanes": gate.lane_count}, set={"lanes": lanes})
        with suppress(WriteConflict):  # the endpoint was deleted, or another lane's sender was first
            self._database.write([write])

    def _change(self, gate: Gate, number: int, before: Lane, after: Lane, more: Mapping[str, int]) -> bool:
        try:
            self._database.write(
                [
                    Adjust(
                        table=Table.ENDPOINTS,
                        key=gate_key(gate.merchant_id, gate.endpoint_id),
                        require={
                            f"held_until_{number}": before.held_until_ms,
                            f"abandoned_{number}": before.abandoned,
                        },
                        set={
                            f"held_until_{number}": after.held_until_ms,
                            f"abandoned_{number}": after.abandoned,
                            f"abandoned_at_{number}": after.abandoned_at_ms,
                            **more,
                        },
                    )
                ]
            )
        except WriteConflict:
            return False  # the endpoint was deleted, or somebody else has the lane
        return True

    def succeeded(self, gate: Gate) -> None:
        """Reset the failures."""
        self._record(gate, dict.fromkeys(FAILURES, 0))

    def failed(self, gate: Gate, after: Health) -> None:
        """Count one more failure. ``after``: the health as this sender sees it, with this failure."""
        self._record(
            gate,
            {"failing_since_ms": after.failing_since_ms, "last_failure_at_ms": after.last_failure_at_ms},
            add={"consecutive_failures": 1},
        )

    def _record(self, gate: Gate, changes: Mapping[str, int], *, add: Mapping[str, int] | None = None) -> None:
        key = gate_key(gate.merchant_id, gate.endpoint_id)
        with suppress(WriteConflict):  # the endpoint was deleted
            self._database.write([Adjust(table=Table.ENDPOINTS, key=key, set=changes, add=add or {})])


def health_of(item: Item) -> Health:
    """Return the health recorded in a stored gate."""
    return Health(
        consecutive_failures=item["consecutive_failures"],
        failing_since_ms=item["failing_since_ms"],
        last_failure_at_ms=item["last_failure_at_ms"],
    )


def gate_from(item: Item) -> Gate:
    """Return the gate of a stored item."""
    return Gate(
        merchant_id=item["pk"],
        endpoint_id=item["sk"].removeprefix(GATE_PREFIX),
        health=health_of(item),
        lane_count=item["lanes"],
        width=item["width"],
        quickest_ms=item["quickest_ms"],
        lanes=tuple(
            Lane(item[f"held_until_{lane}"], item[f"abandoned_{lane}"], item[f"abandoned_at_{lane}"])
            for lane in range(MOST_LANES)
        ),
    )
