"""An owner that is paused while it holds the lock: ``lock_child.py mode world-url node-url...``.

It takes the lock, stops itself as a long garbage collection or a live migration would, and acts when it goes on. With
mode ``lock`` the lock is all there is; with ``fence`` the same lock stands before a store.
"""

from __future__ import annotations

import os
import signal
import sys

from payonce.domain.errors import LeaseLost
from payonce.idempotency.records import StoredResponse
from payonce.stores.redis_calls import redis_client
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from payonce.stores.redlock import RedlockIdempotencyStore, lock_node, redlock_class
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, new_record
from tests.support.world import RealClock

LOCK_MS = 2_000
KEY = "m#op#paused"


def main() -> None:
    """Lock, pause, act, and write the result; say what became of it."""
    mode, world_url, *node_urls = sys.argv[1:]
    world, clock = redis_client(world_url), RealClock()
    nodes = [lock_node(url) for url in node_urls]
    if mode == "lock":
        lock = redlock_class()(key=KEY, masters=frozenset(nodes), auto_release_time=LOCK_MS / 1000)
        assert lock.acquire(blocking=False)
    else:
        store = RedlockIdempotencyStore(RedisIdempotencyStore(world, clock=clock), nodes, clock=clock)
        owned = store.claim(new_record(record_id=KEY, lease_expires_at_ms=clock.now_ms() + LOCK_MS))
    os.kill(os.getpid(), signal.SIGSTOP)
    world.rpush("executions", "paused owner")
    if mode == "lock":
        world.set("result", "paused owner")
        return
    try:
        store.complete(
            owned,
            StoredResponse(201, {}, b"paused owner"),
            purge_at_seconds=PURGE_AT_SECONDS,
            ended_at_ms=ENDED_AT_MS,
            writes=(),
        )
    except LeaseLost:
        sys.exit(3)


if __name__ == "__main__":
    main()
