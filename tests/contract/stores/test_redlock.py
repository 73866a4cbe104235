"""Redlock over three nodes: what it holds with nodes down, what it adds, and what it does not give."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.redis_servers import running_redis
from payonce.domain.errors import KeyInProgress, LeaseLost, MisconfiguredError, StoreUnavailable
from payonce.idempotency.record_store import ClaimTaken, DatabaseIdempotencyStore
from payonce.idempotency.records import StoredResponse
from payonce.stores import redlock
from payonce.stores.memory import MemoryDatabase
from payonce.stores.redis_calls import redis_client
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from payonce.stores.redlock import RedlockIdempotencyStore, lock_node, redlock_class
from tests.support.lock_child import KEY, LOCK_MS
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, new_record
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from local.redis_servers import RedisServer
    from payonce.idempotency.records import IdempotencyRecord

LEASE_MS = 30_000
# An answer in spite of nodes that don't give one. A paused node would never give one, so that this is no measurement.
QUICK_SECONDS = 20


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for a node: on a busy machine one that is well would be counted out, too."""
    monkeypatch.setattr(redlock, "NODE_TIMEOUT_SECONDS", 1.0)


@contextmanager
def clients(servers: list[RedisServer]) -> Iterator[list[Redis]]:
    with ExitStack() as stack:
        nodes = [lock_node(server.url) for server in servers]
        for node in nodes:
            stack.callback(node.close)
        yield nodes


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    """Three nodes of the test's own, to be broken."""
    with running_redis(3) as servers:
        yield servers


@pytest.fixture
def nodes(servers: list[RedisServer]) -> Iterator[list[Redis]]:
    """Clients of the three nodes."""
    with clients(servers) as nodes:
        yield nodes


def locked_store(nodes: list[Redis], inner: Any = None, clock: RealClock | None = None) -> RedlockIdempotencyStore:
    return RedlockIdempotencyStore(
        inner or DatabaseIdempotencyStore(MemoryDatabase()), nodes, clock=clock or RealClock()
    )


def leased(clock: RealClock | None = None, **changes: Any) -> IdempotencyRecord:
    return new_record(lease_expires_at_ms=(clock or RealClock()).now_ms() + LEASE_MS, **changes)


def complete(store: RedlockIdempotencyStore, owned: IdempotencyRecord) -> None:
    store.complete(owned, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())


def assert_locks(nodes: list[Redis], expected: int) -> None:
    """Wait until so many locks are on the nodes: the lock returns with the majority, the others follow."""
    _await_locks(nodes, lambda found: found == expected)


def assert_unlocked(nodes: list[Redis]) -> None:
    """Wait until no majority is locked. A node that was slow to lock may do so after its unlock; it hinders nobody.

    ::

        caller   lock 1 ✓ lock 2 ✓ ─ majority: goes on ─ unlock 1, 2, 3
        node 3   lock ............(slow)........................... unlock ─ lock, until the lease ends
    """
    _await_locks(nodes, lambda found: found <= len(nodes) // 2)


def _await_locks(nodes: list[Redis], enough: Callable[[int], bool]) -> None:
    give_up = time.monotonic() + QUICK_SECONDS
    while not enough(found := sum(len(list(node.scan_iter())) for node in nodes)):
        assert time.monotonic() < give_up, f"{found} locks"


def test_the_lock_lasts_from_the_claim_to_the_conclusion(nodes: list[Redis]) -> None:
    """Fails when a conclusion, or a claim that is refused, leaves the lock behind: the key would stay blocked."""
    store = locked_store(nodes)
    owned = store.claim(leased())
    assert_locks(nodes, 3)
    with pytest.raises(ClaimTaken):  # what is stored is told in spite of the lock
        store.claim(leased(claim_id="c2"))
    assert_locks(nodes, 3)
    parked = store.park(owned, RESPONSE, submit_horizon_ms=1, retry_at_ms=2, ended_at_ms=ENDED_AT_MS, writes=())
    assert_unlocked(nodes)
    taken = store.take_over(parked, lease_expires_at_ms=RealClock().now_ms() + LEASE_MS)
    assert_locks(nodes, 3)
    complete(store, taken)
    assert_unlocked(nodes)
    with pytest.raises(ClaimTaken):
        store.claim(leased(claim_id="c3"))
    assert_unlocked(nodes)


def test_a_key_that_is_locked_and_not_stored_yet_is_in_progress(nodes: list[Redis]) -> None:
    """Another owner is between lock and claim. Fails when a claim goes on without the lock."""
    store = locked_store(nodes)
    lock = redlock_class()(key=f"payonce:{leased().record_id}", masters=frozenset(nodes))
    assert lock.acquire(blocking=False)
    with pytest.raises(KeyInProgress):
        store.claim(leased())
    assert store.get(leased().record_id) is None


def test_a_clock_that_is_ahead_takes_nothing_over_while_the_lock_is_held(nodes: list[Redis]) -> None:
    """What the lock adds: its time is the nodes'. Fails (a second owner) when a takeover does not need the lock."""
    inner, ahead = DatabaseIdempotencyStore(MemoryDatabase()), RealClock(60_000)
    owner, other = locked_store(nodes, inner), locked_store(nodes, inner, ahead)
    owned = owner.claim(leased())
    assert owned.lease_expires_at_ms < ahead.now_ms()
    with pytest.raises(KeyInProgress):
        other.take_over(owned, lease_expires_at_ms=ahead.now_ms() + LEASE_MS)
    complete(owner, owned)


@pytest.mark.parametrize("broken", [["kill"], ["pause"]])
def test_one_node_down_is_not_missed(servers: list[RedisServer], nodes: list[Redis], broken: list[str]) -> None:
    store = locked_store(nodes)
    getattr(servers[0], broken[0])()
    started = time.monotonic()
    complete(store, store.claim(leased()))
    assert time.monotonic() - started < QUICK_SECONDS


def test_one_node_killed_and_one_paused_is_no_majority(servers: list[RedisServer], nodes: list[Redis]) -> None:
    """Nothing is claimed, and that is said soon. Fails when a minority is enough, or errors are taken for "locked"."""
    inner = DatabaseIdempotencyStore(MemoryDatabase())
    store = locked_store(nodes, inner)
    held = store.claim(leased(record_id="held"))
    servers[0].kill()
    servers[1].pause()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.claim(leased())
    assert time.monotonic() - started < QUICK_SECONDS
    assert inner.get(leased().record_id) is None
    complete(store, held)  # who owns a claim concludes it without the lock: the fence decides
    servers[1].resume()
    # Not the same key: the paused node may execute now what it was sent, and hold that lock for a whole lease.
    complete(store, store.claim(leased(record_id="next")))


def test_nodes_that_forget_let_two_owners_lock_and_the_record_decides() -> None:
    """A node that restarts without its data votes twice. Fails (two claims) when the lock is all there is.

    ::

        node 1   locked by A . . . . . . .
        node 2   locked by A ─ restarts empty ─ locked by B
        node 3   down                           locked by B
    """
    with running_redis(3, {"appendonly": "no"}) as servers, clients(servers) as nodes:
        servers[2].kill()
        inner = DatabaseIdempotencyStore(MemoryDatabase())
        store = locked_store(nodes, inner)
        owned = store.claim(leased())
        servers[1].restart()
        servers[2].start()
        second = redlock_class()(key=f"payonce:{owned.record_id}", masters=frozenset(nodes))
        assert second.acquire(blocking=False)  # the lock has two holders now
        second.release()
        with pytest.raises(ClaimTaken):
            locked_store(nodes, inner).claim(leased(claim_id="c2"))
        complete(store, owned)


@contextmanager
def paused_owner(mode: str, world_url: str, servers: list[RedisServer]) -> Iterator[subprocess.Popen[bytes]]:
    """Run an owner in a process of its own and yield it when it has the lock and is stopped."""
    command = [sys.executable, "-m", "tests.support.lock_child", mode, world_url]
    owner = subprocess.Popen([*command, *(server.url for server in servers)])
    try:
        _, status = os.waitpid(owner.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        time.sleep(LOCK_MS / 1000 + 0.1)  # longer than its lock lasts
        yield owner
    finally:
        owner.kill()
        owner.wait()


def test_a_paused_owner_outlives_its_lock_and_two_act(
    redis_server: RedisServer, servers: list[RedisServer], nodes: list[Redis]
) -> None:
    """What the lock does not give: both act, and the stale one has the last word.

    ::

        A   lock ─ (paused . . . . . . . . . . . . . . .) act, write: over B's
        B          A's lock ends ─ lock ─ act, write
    """
    with redis_client(redis_server.url) as world:
        world.delete("executions", "result")
        with paused_owner("lock", redis_server.url, servers) as owner:
            lock = redlock_class()(key=KEY, masters=frozenset(nodes))
            assert lock.acquire(blocking=False)
            world.rpush("executions", "new owner")
            world.set("result", "new owner")
            owner.send_signal(signal.SIGCONT)
            assert owner.wait(120) == 0
        assert world.lrange("executions", 0, -1) == [b"new owner", b"paused owner"]
        assert world.get("result") == b"paused owner"


def test_with_the_fence_the_new_owners_write_is_the_one_that_counts(
    redis_server: RedisServer, servers: list[RedisServer], nodes: list[Redis]
) -> None:
    """The same pause, with the store behind the lock: what was done outside is done twice, what is stored is B's.

    Fails (the paused owner's result) when complete() does not require the fence.
    """
    clock = RealClock()
    with redis_client(redis_server.url) as world:
        world.delete("executions")
        inner = RedisIdempotencyStore(world, clock=clock)
        with paused_owner("fence", redis_server.url, servers) as owner:
            store = locked_store(nodes, inner, clock)
            observed = inner.get(KEY)
            assert observed is not None
            taken = store.take_over(observed, lease_expires_at_ms=clock.now_ms() + LEASE_MS)
            world.rpush("executions", "new owner")
            owner.send_signal(signal.SIGCONT)  # it wakes up before the new owner has written
            assert owner.wait(120) == 3, "the paused owner's write was taken"
            store.complete(
                taken,
                StoredResponse(201, {}, b"new owner"),
                purge_at_seconds=PURGE_AT_SECONDS,
                ended_at_ms=ENDED_AT_MS,
                writes=(),
            )
        assert world.lrange("executions", 0, -1) == [b"new owner", b"paused owner"]
        stored = inner.get(KEY)
        assert stored is not None
        assert stored.response is not None
        assert stored.response.body == b"new owner"
        with pytest.raises(LeaseLost):
            complete(store, observed)


def test_locks_of_owners_that_never_concluded_are_not_kept(nodes: list[Redis]) -> None:
    """Fails (a process that grows) when what is held is dropped at a conclusion only."""
    clock = RealClock()
    store = locked_store(nodes, clock=clock)
    for number in range(5):
        store.claim(leased(clock, record_id=f"r{number}"))
    clock.offset_ms += LEASE_MS + 1_000
    store.claim(leased(clock, record_id="last"))
    assert len(store._held) == 1


def test_too_few_even_or_repeated_nodes_are_refused(servers: list[RedisServer], nodes: list[Redis]) -> None:
    with clients([servers[0], servers[0]]) as repeated:
        for wrong in (nodes[:1], nodes[:2], [*repeated, nodes[1]]):
            with pytest.raises(MisconfiguredError, match="odd number"):
                locked_store(wrong)


def test_the_lock_library_leaves_json_alone() -> None:
    """Importing pottery replaces json.dumps. Fails when that is not taken back."""
    redlock_class()
    assert json.dumps.__module__ == "json"
    assert not hasattr(json.dumps, "__wrapped__")
