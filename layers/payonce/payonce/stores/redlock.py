"""Redlock over independent Redis nodes as a lock around a claim, in front of any store (pottery's implementation).

A lock is not a fence. Its holder may be paused past its end and act nevertheless, a node may restart without its
memory, a clock may jump: then there are two holders, and the lock stops neither. The store's fence still refuses the
stale one; but outside effects happen twice unless the second holder asks first (docs/stores.md). What the lock adds:
the nodes measure its time, so that a machine whose clock is ahead can't take over from an owner early.

::

    claim, take_over   lock the key for the lease ─▶ the store's transition ─▶ keep the lock
    complete, park, release                          the store's transition ─▶ unlock
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import KeyInProgress, LeaseLost, MisconfiguredError, StoreUnavailable
from payonce.extras import needs
from payonce.idempotency.transitions import own_or_taken

with needs("redlock"):
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.idempotency.audit import ReleasedBy
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.ports import Clock, Write

MIN_NODES = 3  # with fewer nodes, one that is down stops everything
# A node that does not answer quickly is skipped: time spent waiting for it shortens the lock's life.
NODE_TIMEOUT_SECONDS = 0.2
MIN_LOCK_MS = 1_000  # far more than the time it takes to acquire it
RETRY_AFTER_SECONDS = 1


def lock_node(url: str) -> Redis:
    """Return a client for one Redlock node: it gives up quickly, and sends nothing twice."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=NODE_TIMEOUT_SECONDS,
        socket_timeout=NODE_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class RedlockIdempotencyStore:
    """A store behind a lock. Same port and same guarantees as ``store``, whatever the lock does.

    Also raises ``KeyInProgress`` while another holds the lock, and ``StoreUnavailable`` when a majority of the nodes is
    unreachable; nothing was claimed then. Raises ``MisconfiguredError`` unless there are at least three nodes, an odd
    number of them, at distinct addresses.
    """

    def __init__(
        self, store: IdempotencyStore, nodes: Sequence[Redis], *, prefix: str = "payonce", clock: Clock
    ) -> None:
        addresses = {repr(sorted(_address(node).items())) for node in nodes}
        if len(nodes) < MIN_NODES or len(nodes) % 2 == 0 or len(addresses) != len(nodes):
            raise MisconfiguredError(
                f"Redlock needs an odd number of independent nodes, at least {MIN_NODES}, each with its own address."
            )
        self._store = store
        self._nodes = frozenset(nodes)
        self._prefix = prefix
        self._clock = clock
        self._new_lock = redlock_class()
        self._held: dict[tuple[str, str, int], tuple[Any, int]] = {}
        self._mutex = threading.Lock()

    def claim(self, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> IdempotencyRecord:
        """See the port."""
        lock = self._acquire(record.record_id, record.lease_expires_at_ms)
        if lock is None:
            stored = self._store.get(record.record_id)
            if stored is None:
                raise _in_progress()
            return own_or_taken(record, stored)
        return self._under(lock, lambda: self._store.claim(record, writes))

    def take_over(self, observed: IdempotencyRecord, *, lease_expires_at_ms: int, owner: str = "") -> IdempotencyRecord:
        """See the port."""
        lock = self._acquire(observed.record_id, lease_expires_at_ms)
        if lock is None:
            raise _in_progress()
        return self._under(
            lock, lambda: self._store.take_over(observed, lease_expires_at_ms=lease_expires_at_ms, owner=owner)
        )

    def complete(
        self,
        owned: IdempotencyRecord,
        response: StoredResponse,
        *,
        purge_at_seconds: int,
        ended_at_ms: int,
        writes: Sequence[Write],
    ) -> IdempotencyRecord:
        """See the port."""
        return self._last(
            owned,
            lambda: self._store.complete(
                owned, response, purge_at_seconds=purge_at_seconds, ended_at_ms=ended_at_ms, writes=writes
            ),
        )

    def park(
        self,
        owned: IdempotencyRecord,
        response: StoredResponse,
        *,
        submit_horizon_ms: int,
        retry_at_ms: int,
        ended_at_ms: int,
        writes: Sequence[Write],
        plan: Mapping[str, Any] | None = None,
    ) -> IdempotencyRecord:
        """See the port."""
        return self._last(
            owned,
            lambda: self._store.park(
                owned,
                response,
                submit_horizon_ms=submit_horizon_ms,
                retry_at_ms=retry_at_ms,
                ended_at_ms=ended_at_ms,
                writes=writes,
                plan=plan,
            ),
        )

    def release(self, owned: IdempotencyRecord, writes: Sequence[Write] = (), *, by: ReleasedBy | None = None) -> None:
        """See the port. An operator's release ignores the lock: it is for owners that never return."""
        self._last(owned, lambda: self._store.release(owned, writes, by=by))

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See the port."""
        return self._store.get(record_id)

    def get_many(self, record_ids: Sequence[str]) -> list[IdempotencyRecord]:
        """See the port."""
        return self._store.get_many(record_ids)

    def check(self) -> None:
        """See the port. It does not check the lock's nodes."""
        self._store.check()

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See the port."""
        return self._store.open_claims(shard, lease_expired_at_ms=lease_expired_at_ms, limit=limit)

    def _acquire(self, record_id: str, lease_expires_at_ms: int) -> Any | None:
        """Return the lock, held until the lease ends, or ``None`` when another holds it."""
        # The lock lasts as long as the lease does by the owner's clock, so that clock's offset does not matter.
        lock_ms = max(lease_expires_at_ms - self._clock.now_ms(), MIN_LOCK_MS)
        lock = self._new_lock(
            key=f"{self._prefix}:{record_id}",
            masters=self._nodes,
            auto_release_time=lock_ms / 1000,
            raise_on_redis_errors=True,
        )
        try:
            return lock if lock.acquire(blocking=False) else None
        except RuntimeError:  # pottery's QuorumIsImpossible; it contains the clients, which must not be logged
            raise StoreUnavailable("Most of the lock's nodes can't be reached; nothing was executed. Retry.") from None

    def _under(self, lock: Any, transition: Callable[[], IdempotencyRecord]) -> IdempotencyRecord:
        try:
            owned = transition()
        except BaseException:
            _unlock(lock)
            raise
        with self._mutex:
            now_ms = self._clock.now_ms()
            self._held = {name: held for name, held in self._held.items() if held[1] > now_ms}
            self._held[_name(owned)] = (lock, max(owned.lease_expires_at_ms, now_ms + MIN_LOCK_MS))
        return owned

    def _last[T](self, owned: IdempotencyRecord, transition: Callable[[], T]) -> T:
        """Make the owner's last transition, and unlock once it certainly no longer owns the record."""
        try:
            result = transition()
        except LeaseLost:
            self._unlock(owned)
            raise
        self._unlock(owned)
        return result

    def _unlock(self, owned: IdempotencyRecord) -> None:
        with self._mutex:
            lock, _ = self._held.pop(_name(owned), (None, 0))
        if lock is not None:
            _unlock(lock)


def redlock_class() -> Callable[..., Any]:
    """Return pottery's lock class."""
    # Importing pottery replaces json.dumps for the whole process, for its containers. payonce uses only its lock, so
    # restore json.dumps for everybody else.
    dumps = json.dumps
    try:
        with needs("redlock"):
            from pottery import Redlock
    finally:
        json.dumps = dumps
    return Redlock


def _address(node: Redis) -> dict[str, Any]:
    arguments = node.connection_pool.connection_kwargs
    return {name: arguments.get(name) for name in ("host", "port", "path")}


def _name(record: IdempotencyRecord) -> tuple[str, str, int]:
    return record.record_id, record.claim_id, record.fence


def _in_progress() -> KeyInProgress:
    return KeyInProgress(
        "A request with this idempotency key is still in progress. Retry with the same key and body.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _unlock(lock: Any) -> None:
    try:
        lock.release(raise_on_redis_errors=False)
    except (RuntimeError, RedisError):
        return  # the lock has expired or will expire: nothing depends on this call
