"""Time of each transition of an idempotency record, per store: ``python benchmarks/stores.py [rounds]``.

One client, one thread, loopback: what a store adds to a request, not what it can take.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from local.dynamodb_local import running_dynamodb_local
from local.redis_servers import running_redis
from payonce.idempotency.records import StoredResponse
from payonce.stores.redlock import RedlockIdempotencyStore, lock_node
from tests.support.aws import FAKE_CREDENTIALS
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, close_client, new_address, new_record
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.record_store import IdempotencyStore

ROUNDS = 300
RESPONSE = StoredResponse(201, {"content-type": "application/json"}, b"x" * 500)


def timed(times: dict[str, list[float]], name: str, call: Callable[[], object]) -> None:
    """Make a call, and note how long it took in microseconds."""
    started = time.perf_counter()
    call()
    times.setdefault(name, []).append((time.perf_counter() - started) * 1e6)


def measure(store: IdempotencyStore, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of each transition, ``rounds`` times."""
    times: dict[str, list[float]] = {}
    lease_ms = RealClock().now_ms() + 30_000
    for number in range(-20, rounds):  # the first ones warm up connections and scripts
        into = times if number >= 0 else {}
        owned = new_record(record_id=f"m#op#{number}", lease_expires_at_ms=lease_ms)
        timed(into, "claim", lambda owned=owned: store.claim(owned))  # type: ignore[misc]
        parked = store.park(owned, RESPONSE, submit_horizon_ms=1, retry_at_ms=2, ended_at_ms=ENDED_AT_MS, writes=())
        timed(into, "take_over", lambda parked=parked: store.take_over(parked, lease_expires_at_ms=lease_ms))  # type: ignore[misc]
        observed = store.get(owned.record_id)
        assert observed is not None
        timed(
            into,
            "complete",
            lambda taken=observed: store.complete(
                taken, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=()
            ),  # type: ignore[misc]
        )
        timed(into, "get", lambda owned=owned: store.get(owned.record_id))  # type: ignore[misc]
    return times


def show(name: str, times: dict[str, list[float]]) -> None:
    """Print one store's line: median and 99th percentile of each transition."""
    cells = [
        f"{transition} {statistics.median(values):7.0f} {statistics.quantiles(values, n=100)[98]:7.0f}"
        for transition, values in times.items()
    ]
    print(f"{name:32}" + "   ".join(cells), flush=True)


def main() -> None:
    """Measure every store in turn."""
    os.environ.update(FAKE_CREDENTIALS)  # DynamoDB Local takes any
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print("microseconds, p50 and p99")
    show("memory", measure(new_address("memory").open(), rounds))
    with running_dynamodb_local() as url:
        show("DynamoDB Local", measure(new_address("dynamodb_local", url).open(), rounds))
    for fsync in ("always", "everysec", "no"):
        with running_redis(settings={"appendfsync": fsync}) as [server]:
            show(f"Redis, appendfsync {fsync}", measure(new_address("redis", server.url).open(), rounds))
            close_client(server.url)
    with running_redis(3) as servers, running_redis() as [server], ExitStack() as stack:
        nodes = [stack.enter_context(lock_node(node.url)) for node in servers]
        inner = new_address("redis", server.url).open()
        store = RedlockIdempotencyStore(inner, nodes, clock=RealClock())
        show("Redis always, 3-node Redlock", measure(store, rounds))
        close_client(server.url)


if __name__ == "__main__":
    main()
