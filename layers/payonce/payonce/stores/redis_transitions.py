"""The fenced transitions of the Redis store: one Lua script each, and what is done when the server has lost a claim."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import LeaseLost, StoreUnavailable
from payonce.idempotency.audit import Transition
from payonce.idempotency.record_items import DROPPED_AT_COMPLETION, from_item, shard_of, to_item
from payonce.idempotency.records import RecordStatus
from payonce.observability import get_logger
from payonce.stores.redis_audit import RedisAuditTrail, entry_of
from payonce.stores.redis_calls import RedisCalls
from payonce.stores.redis_checks import Durability, ServerCheck
from payonce.stores.redis_fields import from_fields, to_fields, to_json
from payonce.stores.redis_keys import DEFAULT_PREFIX, RedisKeys
from payonce.stores.redis_scripts import CHANGE, CLAIM, RESTORE, TAKE_OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Clock
    from payonce.stores.redis_scripts import Script

AUDIT_ENTRIES_PER_SHARD = 20_000  # about 500 bytes each, 80 MB over all shards; export them before they are dropped

OTHERS, NOTHING = 0, -1  # what a script finds instead of the owner's record
EXECUTING = frozenset({CLAIM, TAKE_OVER})  # the scripts whose caller then executes


class RedisTransitions:
    """What every transition of ``RedisIdempotencyStore`` is made of: reads, scripts, and the errors of an owner."""

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = DEFAULT_PREFIX,
        clock: Clock,
        at_least: Durability = Durability.ALWAYS,
        calls: Callable[[Redis, ServerCheck], RedisCalls] = RedisCalls,
    ) -> None:
        self._calls = calls(client, ServerCheck(clock, at_least))
        self._keys = RedisKeys(prefix)
        self._trail = RedisAuditTrail(self._calls, prefix=prefix)
        self._clock = clock

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See the port. The read is strongly consistent, because it asks the primary."""
        found = self.get_many([record_id])
        return found[0] if found else None

    def get_many(self, record_ids: Sequence[str]) -> list[IdempotencyRecord]:
        """See the port."""
        stored: list[dict[bytes, bytes]] = self._calls.read_all(
            [("HGETALL", self._keys.record(record_id)) for record_id in record_ids]
        )
        return [from_item(from_fields(fields.items())) for fields in stored if fields]

    def _change(
        self,
        transition: Transition,
        before: IdempotencyRecord,
        after: IdempotencyRecord,
        change: dict[str, Any],
        *,
        purge_at_ms: int | None = None,
    ) -> None:
        # What was read must still be stored: any takeover raises the fence, any new claim has another id, and a status
        # never recurs under the same fence. So the lease needs no comparison of its own.
        required = before.status if transition is Transition.TAKEN_OVER else RecordStatus.IN_PROGRESS
        is_over = after.status is RecordStatus.COMPLETED
        dropped = DROPPED_AT_COMPLETION if is_over else ()
        arguments = [
            before.claim_id,
            before.fence,
            required.value,
            "" if is_over else after.lease_expires_at_ms,
            "" if purge_at_ms is None else purge_at_ms,
            len(dropped),
            *dropped,
            *to_fields(change),
        ]
        script = TAKE_OVER if transition is Transition.TAKEN_OVER else CHANGE
        found = self._run(script, transition, after, arguments)
        if found == OTHERS:
            raise self._lost(before)
        if found == NOTHING:
            item = {name: value for name, value in {**to_item(after), **change}.items() if name not in dropped}
            self._restore(transition, before, after, [*arguments[3:5], *to_fields(item)])

    def _restore(
        self,
        transition: Transition,
        before: IdempotencyRecord,
        after: IdempotencyRecord,
        arguments: Sequence[str | bytes | int],
    ) -> None:
        """Store ``after`` as a new record if the server has lost it: only this owner knows what may have happened.

        ::

            owner    claim ─ execute ────────────── complete: nothing there, never released ─▶ stored anew
            server                  FLUSHALL

        Raises ``LeaseLost`` when the claim was released meanwhile, or its key has been claimed again.
        """
        if not self._was_forgotten(before) or self._run(RESTORE, transition, after, arguments):
            raise self._lost(before)

    def _was_forgotten(self, owned: IdempotencyRecord) -> bool:
        """Return whether the missing claim was never released: then the server has lost it."""
        for entry in self._trail.history(owned.record_id, newest_first=True):
            if entry.claim_id == owned.claim_id and entry.transition is Transition.RELEASED:
                return False
        get_logger().error(
            "Redis server has lost an open claim (flushed, evicted or restarted without its data): requests with keys "
            "that it has forgotten are executed again",
            extra={"record_id": owned.record_id, "claim_id": owned.claim_id},
        )
        return True

    def _lost(self, owned: IdempotencyRecord) -> LeaseLost:
        """Return the error of an owner whose record is missing or belongs to another.

        If another claim could take the key because the server had lost this one, the log says so::

            owner    claim ─ execute ───────────────────────────── complete: refused, and the reason logged
            other                    FLUSHALL ─ claim ─ execute
        """
        with suppress(StoreUnavailable):
            stored = self.get(owned.record_id)
            if stored is not None and stored.claim_id != owned.claim_id:
                self._was_forgotten(owned)
        return LeaseLost(f"fence {owned.fence} of {owned.record_id} is no longer the newest")

    def _run(
        self,
        script: Script,
        transition: Transition,
        after: IdempotencyRecord,
        arguments: Sequence[str | bytes | int],
        entry: AuditEntry | None = None,
    ) -> Any:
        shard = shard_of(after.record_id)
        keys = [self._keys.record(after.record_id), self._keys.open(shard), self._keys.audit(shard)]
        entry = entry or entry_of(transition, after, self._clock.now_ms())
        common: list[str | bytes | int] = [to_json(entry.to_data()), after.record_id, AUDIT_ENTRIES_PER_SHARD]
        return self._calls.run(script, keys, [*common, *arguments], checked=script in EXECUTING)
