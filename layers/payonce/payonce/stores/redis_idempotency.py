"""The idempotency store on Redis or Valkey: every transition is one Lua script, fenced like the one on DynamoDB.

::

    <prefix>{0..7}:record:<id>   hash            the record; completed ones expire at their purge time, open ones never
    <prefix>{0..7}:open          sorted set      ids of open claims by the end of their lease
    <prefix>{0..7}:audit         stream, capped  an entry of the audit trail for every transition

Business writes can't join a script's transaction. Payments belong on DynamoDB, and this store is for uses without a
payonce database (proxy, sidecar). docs/stores.md says what a Redis server keeps, and what it loses.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import LeaseLost, MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.audit import Transition, released_entry
from payonce.idempotency.record_items import (
    DROPPED_AT_COMPLETION,
    from_item,
    ownership_attributes,
    response_attributes,
    shard_of,
    to_item,
)
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.transitions import (
    claimed_after_all,
    completed,
    own_or_taken,
    parked,
    releasable,
    taken_over,
    taken_over_after_all,
)
from payonce.observability import get_logger
from payonce.stores.redis_audit import RedisAuditTrail, entry_of
from payonce.stores.redis_calls import RedisCalls
from payonce.stores.redis_checks import Durability, ServerCheck, ServerMistrusted
from payonce.stores.redis_fields import from_fields, to_fields
from payonce.stores.redis_keys import DEFAULT_PREFIX, RedisKeys
from payonce.stores.redis_scripts import CHANGE, CLAIM, RELEASE, RESTORE, TAKE_OVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from payonce.idempotency.audit import AuditEntry, ReleasedBy
    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.ports import Clock, Write
    from payonce.stores.redis_scripts import Script

AUDIT_ENTRIES_PER_SHARD = 20_000  # about 500 bytes each, 80 MB over all shards; export them before they are dropped

OTHERS, NOTHING = 0, -1  # what a script finds instead of the owner's record
EXECUTING = frozenset({CLAIM, TAKE_OVER})  # the scripts whose caller then executes


class RedisIdempotencyStore:
    """``IdempotencyStore`` on a server's primary. ``writes`` must be empty: otherwise ``MisconfiguredError``.

    Raises ``StoreUnavailable`` when certainly nothing was stored, and ``OutcomeUnknown`` when a transition may have
    been. ``clock`` dates the audit entries; the server's clock controls purging.

    Claims and takeovers raise ``StoreUnavailable`` (its text says what to change) while the server does not meet
    ``ServerCheck`` with a durability of ``at_least``. Stored responses are still replayed, and outcomes recorded.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = DEFAULT_PREFIX,
        clock: Clock,
        at_least: Durability = Durability.ALWAYS,
    ) -> None:
        self._calls = RedisCalls(client, ServerCheck(clock, at_least))
        self._keys = RedisKeys(prefix)
        self._trail = RedisAuditTrail(client, prefix=prefix)
        self._clock = clock

    def claim(self, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> IdempotencyRecord:
        """See the port."""
        _refuse(writes)
        try:
            flat = self._run(
                CLAIM, Transition.CLAIMED, record, [record.lease_expires_at_ms, "", *to_fields(to_item(record))]
            )
        except OutcomeUnknown as unknown:
            return claimed_after_all(record, unknown, self.get)
        except ServerMistrusted:
            # A server that may not receive claims still knows what has been executed, if it answers.
            with suppress(StoreUnavailable):
                if stored := self.get(record.record_id):
                    return own_or_taken(record, stored)
            raise
        if flat:
            return own_or_taken(record, from_item(from_fields(zip(flat[::2], flat[1::2], strict=True))))
        return record

    def take_over(self, observed: IdempotencyRecord, *, lease_expires_at_ms: int, owner: str = "") -> IdempotencyRecord:
        """See the port."""
        taken = taken_over(observed, lease_expires_at_ms, owner)
        try:
            self._change(Transition.TAKEN_OVER, observed, taken, ownership_attributes(taken))
        except (LeaseLost, OutcomeUnknown) as error:
            return taken_over_after_all(taken, error, self.get)
        return taken

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
        _refuse(writes)
        stored = completed(owned, response, ended_at_ms=ended_at_ms)
        change = {
            "status": stored.status.value,
            "purge_at": purge_at_seconds,
            "ended_at_ms": ended_at_ms,
            **response_attributes(response),
        }
        self._change(Transition.COMPLETED, owned, stored, change, purge_at_ms=purge_at_seconds * 1000)
        return stored

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
        _refuse(writes)
        stored = parked(
            owned,
            response,
            submit_horizon_ms=submit_horizon_ms,
            retry_at_ms=retry_at_ms,
            ended_at_ms=ended_at_ms,
            plan=plan,
        )
        change = {"ended_at_ms": ended_at_ms, **ownership_attributes(stored), **response_attributes(response)}
        if plan is not None:
            change["plan"] = dict(plan)
        self._change(Transition.PARKED, owned, stored, change)
        return stored

    def release(self, owned: IdempotencyRecord, writes: Sequence[Write] = (), *, by: ReleasedBy | None = None) -> None:
        """See the port."""
        _refuse(writes)
        required: list[str | bytes | int] = [owned.claim_id, owned.fence, releasable(owned).value]
        entry = None if by is None else released_entry(owned, by)
        found = self._run(RELEASE, Transition.RELEASED, owned, required, entry)
        if found == OTHERS or (found == NOTHING and not self._was_forgotten(owned)):
            raise self._lost(owned)

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

    def check(self) -> None:
        """See the port. Asks the server for its settings."""
        self._calls.check()

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See the port."""
        found: list[bytes] = self._calls.read(
            "ZRANGEBYSCORE", self._keys.open(shard), "-inf", lease_expired_at_ms, "LIMIT", 0, limit
        )
        return [open_id.decode() for open_id in found]

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
        written = json.dumps(entry.to_data(), separators=(",", ":"))
        common: list[str | bytes | int] = [written, after.record_id, AUDIT_ENTRIES_PER_SHARD]
        return self._calls.run(script, keys, [*common, *arguments], checked=script in EXECUTING)


def _refuse(writes: Sequence[Write]) -> None:
    if writes:
        raise MisconfiguredError(
            "A Redis store can't commit business writes together with the claim. Use the DynamoDB store for payments."
        )
