"""The idempotency store on Redis or Valkey: every transition is one Lua script, fenced like the one on DynamoDB.

::

    <prefix>{0..7}:record:<id>   hash            the record; completed ones expire at their purge time, open ones never
    <prefix>{0..7}:open          sorted set      ids of open claims by the end of their lease
    <prefix>{0..7}:audit         stream, capped  an entry of the audit trail for every transition

Business writes can't join a script's transaction. Payments belong on DynamoDB, and this store is for uses without a
payonce database (proxy, sidecar). docs/stores.md says what a Redis server keeps, and what it loses.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import LeaseLost, MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.audit import Transition, released_entry
from payonce.idempotency.record_items import (
    from_item,
    ownership_attributes,
    response_attributes,
    to_item,
)
from payonce.idempotency.transitions import (
    claimed_after_all,
    completed,
    own_or_taken,
    parked,
    releasable,
    taken_over,
    taken_over_after_all,
)
from payonce.stores.redis_checks import ServerMistrusted
from payonce.stores.redis_fields import from_fields, to_fields
from payonce.stores.redis_scripts import CLAIM, RELEASE
from payonce.stores.redis_transitions import NOTHING, OTHERS, RedisTransitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.idempotency.audit import ReleasedBy
    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.ports import Write


class RedisIdempotencyStore(RedisTransitions):
    """``IdempotencyStore`` on a server's primary. ``writes`` must be empty: otherwise ``MisconfiguredError``.

    Raises ``StoreUnavailable`` when certainly nothing was stored, and ``OutcomeUnknown`` when a transition may have
    been. ``clock`` dates the audit entries; the server's clock controls purging.

    Claims and takeovers raise ``StoreUnavailable`` (its text says what to change) while the server does not meet
    ``ServerCheck`` with a durability of ``at_least``. Stored responses are still replayed, and outcomes recorded.
    """

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

    def check(self) -> None:
        """See the port. Asks the server for its settings."""
        self._calls.check()

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See the port."""
        found: list[bytes] = self._calls.read(
            "ZRANGEBYSCORE", self._keys.open(shard), "-inf", lease_expired_at_ms, "LIMIT", 0, limit
        )
        return [open_id.decode() for open_id in found]


def _refuse(writes: Sequence[Write]) -> None:
    if writes:
        raise MisconfiguredError(
            "A Redis store can't commit business writes together with the claim. Use the DynamoDB store for payments."
        )
