"""The stored form of replays: beside their endpoint's deliveries, and in lists of their own of the same index."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.outbox import SETTLING_MS, created_key, partition_of
from payonce.ports import Insert, Table
from payonce.webhooks.deliveries import DELIVERY_PREFIX

if TYPE_CHECKING:
    from payonce.domain.endpoint import Endpoint
    from payonce.ports import Item, Key, Write

REPLAY_PREFIX = "REPLAY#"
REPLAY_LISTS = 8  # a replay's step is two writes of an index, of which a partition takes about 1,000 a second
HELD_FIRST_PASS_MS = 5_000  # after enabling: by then most readers of the endpoint's old state have finished


class ReplayOnly(StrEnum):
    """Which deliveries a replay sends again. A delivery in progress is never started anew."""

    UNDELIVERED = "undelivered"  # failed, held, or never created
    ALL = "all"  # the former, and delivered ones
    HELD = "held"  # created when an endpoint is enabled; no client can request it


class ReplayStatus(StrEnum):
    """The states of a replay."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELED = "canceled"  # the endpoint was disabled or deleted during the replay


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A replay as it is stored. Times are epoch milliseconds, and the range includes both ends.

    ``cursor``: the last item that was examined. ``seen_count`` counts the items examined, ``queued_count`` those sent
    again, over all passes.
    """

    merchant_id: str
    endpoint_id: str
    replay_id: str
    only: ReplayOnly
    from_ms: int
    until_ms: int
    created_at_ms: int
    updated_at_ms: int
    due_at_ms: int
    cursor: str
    status: ReplayStatus = ReplayStatus.RUNNING
    passes_left: int = 1
    seen_count: int = 0
    queued_count: int = 0


def replay_key(merchant_id: str, endpoint_id: str, replay_id: str) -> Key:
    """Return the key of a replay, in a partition of its endpoint beside those of its deliveries."""
    return {"pk": partition_of(merchant_id, endpoint_id), "sk": REPLAY_PREFIX + replay_id}


def replay_list(number: int) -> str:
    """Return the name of a list of replays that are under way. No endpoint's list is called so."""
    return f"REPLAYS#{number}"


def new_replay(
    endpoint: Endpoint, replay_id: str, *, only: ReplayOnly, from_ms: int, until_ms: int, now_ms: int
) -> Replay:
    """Return a replay of the events in the range. It starts once no event in the range can still become visible."""
    return Replay(
        merchant_id=endpoint.merchant_id,
        endpoint_id=endpoint.endpoint_id,
        replay_id=replay_id,
        only=only,
        from_ms=from_ms,
        until_ms=until_ms,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        due_at_ms=max(now_ms, until_ms + SETTLING_MS),
        cursor=created_key(from_ms, ""),
    )


def held_replay(disabled: Endpoint, replay_id: str, *, now_ms: int) -> Replay:
    """Return the replay of held deliveries, for an endpoint that is being enabled."""
    return Replay(
        merchant_id=disabled.merchant_id,
        endpoint_id=disabled.endpoint_id,
        replay_id=replay_id,
        only=ReplayOnly.HELD,
        from_ms=disabled.disabled_at_ms or disabled.created_at_ms,
        until_ms=now_ms,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        due_at_ms=now_ms + HELD_FIRST_PASS_MS,
        cursor=DELIVERY_PREFIX,
        passes_left=2,
    )


def insert_replay_write(replay: Replay) -> Write:
    """Return the write of a new replay."""
    item = {
        **replay_key(replay.merchant_id, replay.endpoint_id, replay.replay_id),
        "merchant_id": replay.merchant_id,
        "endpoint_id": replay.endpoint_id,
        "replay_id": replay.replay_id,
        "only": replay.only.value,
        "from_ms": replay.from_ms,
        "until_ms": replay.until_ms,
        "created_at_ms": replay.created_at_ms,
        "updated_at_ms": replay.updated_at_ms,
        "status": replay.status.value,
        "cursor": replay.cursor,
        "passes_left": replay.passes_left,
        "seen_count": replay.seen_count,
        "queued_count": replay.queued_count,
        "due_at_ms": replay.due_at_ms,
        "due_list": replay_list(zlib.crc32(replay.replay_id.encode()) % REPLAY_LISTS),
    }
    return Insert(Table.DELIVERIES, item)


def replay_from(item: Item) -> Replay:
    """Return the replay of a stored item."""
    return Replay(
        merchant_id=item["merchant_id"],
        endpoint_id=item["endpoint_id"],
        replay_id=item["replay_id"],
        only=ReplayOnly(item["only"]),
        from_ms=item["from_ms"],
        until_ms=item["until_ms"],
        created_at_ms=item["created_at_ms"],
        updated_at_ms=item["updated_at_ms"],
        due_at_ms=item.get("due_at_ms", 0),
        status=ReplayStatus(item["status"]),
        cursor=item["cursor"],
        passes_left=item["passes_left"],
        seen_count=item["seen_count"],
        queued_count=item["queued_count"],
    )
