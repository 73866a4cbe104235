"""The idempotency store on Redis or Valkey: every transition is one Lua script, fenced like the one on DynamoDB.

::

    <prefix>{0..7}:record:<id>   hash            the record; completed ones expire at their purge time, open ones never
    <prefix>{0..7}:open          sorted set      ids of open claims by the end of their lease
    <prefix>{0..7}:audit         stream, capped  every transition: its name, id, claim id, fence, time

Business writes can't be part of a script's transaction: payments belong on DynamoDB, and this store to what has no
database of payonce's own behind it (proxy, sidecar). docs/stores.md says what a Redis server keeps, and what it loses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import LeaseLost, MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.items import (
    DROPPED_AT_COMPLETION,
    from_item,
    ownership_attributes,
    response_attributes,
    shard_of,
    to_item,
)
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.transitions import completed, own_or_taken, parked, taken_over
from payonce.stores.redis_calls import RedisCalls
from payonce.stores.redis_fields import from_fields, to_fields
from payonce.stores.redis_scripts import CHANGE, CLAIM, RELEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.ports import Clock, Write
    from payonce.stores.redis_scripts import Script

DEFAULT_PREFIX = "payonce"
AUDIT_ENTRIES_PER_SHARD = 100_000  # some 200 bytes each: 160 MB over all shards, and days at 10 claims a second

_PREFIX = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")  # no braces: the shard alone decides the slot


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One transition: ``name`` is claim, take_over, park, complete or release; ``fence`` the owner that made it."""

    entry_id: str
    name: str
    record_id: str
    claim_id: str
    fence: int
    at_ms: int


class RedisIdempotencyStore:
    """The port over a server's primary. ``writes`` must be empty: raises ``MisconfiguredError`` otherwise.

    Also raises ``StoreUnavailable`` when certainly nothing was stored, ``OutcomeUnknown`` when a transition may have
    been. ``clock`` dates the audit entries; purging goes by the server's clock.
    """

    def __init__(self, client: Redis, *, prefix: str = DEFAULT_PREFIX, clock: Clock) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise MisconfiguredError(f"The prefix {prefix!r} must be 1 to 64 letters, digits or any of _ . : -")
        self._calls = RedisCalls(client)
        self._prefix = prefix
        self._clock = clock

    def claim(self, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> IdempotencyRecord:
        """See the port."""
        _refuse(writes)
        arguments = [record.lease_expires_at_ms, *to_fields(to_item(record))]
        try:
            flat = self._run(CLAIM, "claim", record, arguments, fence=record.fence)
        except OutcomeUnknown as unknown:
            stored = self.get(record.record_id)
            if stored is None:
                raise StoreUnavailable("The request could not be recorded; nothing was executed.") from unknown
            return own_or_taken(record, stored)
        if flat:
            return own_or_taken(record, from_item(from_fields(zip(flat[::2], flat[1::2], strict=True))))
        return record

    def take_over(self, observed: IdempotencyRecord, *, lease_expires_at_ms: int) -> IdempotencyRecord:
        """See the port."""
        taken = taken_over(observed, lease_expires_at_ms)
        self._change("take_over", observed, ownership_attributes(taken), lease_expires_at_ms=lease_expires_at_ms)
        return taken

    def complete(
        self, owned: IdempotencyRecord, response: StoredResponse, *, purge_at_seconds: int, writes: Sequence[Write]
    ) -> IdempotencyRecord:
        """See the port."""
        _refuse(writes)
        change = {
            "status": RecordStatus.COMPLETED.value,
            "purge_at": purge_at_seconds,
            **response_attributes(response),
        }
        self._change("complete", owned, change, dropped=DROPPED_AT_COMPLETION, purge_at_ms=purge_at_seconds * 1000)
        return completed(owned, response)

    def park(
        self,
        owned: IdempotencyRecord,
        response: StoredResponse,
        *,
        submit_horizon_ms: int,
        retry_at_ms: int,
        writes: Sequence[Write],
    ) -> IdempotencyRecord:
        """See the port."""
        _refuse(writes)
        stored = parked(owned, response, submit_horizon_ms=submit_horizon_ms, retry_at_ms=retry_at_ms)
        change = {**ownership_attributes(stored), **response_attributes(response)}
        self._change("park", owned, change, lease_expires_at_ms=retry_at_ms)
        return stored

    def release(self, owned: IdempotencyRecord, writes: Sequence[Write] = ()) -> None:
        """See the port."""
        _refuse(writes)
        if not self._run(RELEASE, "release", owned, [owned.fence, RecordStatus.IN_PROGRESS.value], fence=owned.fence):
            raise _lost(owned)

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See the port. Strongly consistent, as the primary is asked."""
        fields: dict[bytes, bytes] = self._calls.read("HGETALL", self._record_key(record_id))
        return from_item(from_fields(fields.items())) if fields else None

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See the port."""
        found: list[bytes] = self._calls.read(
            "ZRANGEBYSCORE", self._key(shard, "open"), "-inf", lease_expired_at_ms, "LIMIT", 0, limit
        )
        return [open_id.decode() for open_id in found]

    def audit(self, shard: int, *, after: str = "-", limit: int) -> list[AuditEntry]:
        """Return up to ``limit`` transitions of a shard, oldest first; ``after`` is the last ``entry_id`` seen.

        The oldest are dropped when a shard has more than ``AUDIT_ENTRIES_PER_SHARD``: export them before.
        """
        start = after if after == "-" else f"({after}"
        entries = self._calls.read("XRANGE", self._key(shard, "audit"), start, "+", "COUNT", limit)
        return [_entry(entry_id, fields) for entry_id, fields in entries]

    def _change(
        self,
        name: str,
        owned: IdempotencyRecord,
        change: dict[str, Any],
        *,
        lease_expires_at_ms: int | None = None,
        purge_at_ms: int | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        # What a record was read with is what must be stored: any takeover raises the fence, any new claim has another
        # id, and a status never comes back under the same fence. The lease needs no comparison of its own.
        takes_over = name == "take_over"
        required = owned.status if takes_over else RecordStatus.IN_PROGRESS
        arguments = [
            owned.fence,
            required.value,
            "" if lease_expires_at_ms is None else lease_expires_at_ms,
            "" if purge_at_ms is None else purge_at_ms,
            len(dropped),
            *dropped,
            *to_fields(change),
        ]
        if not self._run(CHANGE, name, owned, arguments, fence=owned.fence + takes_over):
            raise _lost(owned)

    def _run(
        self,
        script: Script,
        name: str,
        record: IdempotencyRecord,
        arguments: Sequence[str | bytes | int],
        *,
        fence: int,
    ) -> Any:
        shard = shard_of(record.record_id)
        keys = [self._record_key(record.record_id), self._key(shard, "open"), self._key(shard, "audit")]
        common: list[str | bytes | int] = [
            name,
            record.record_id,
            self._clock.now_ms(),
            AUDIT_ENTRIES_PER_SHARD,
            record.claim_id,
            fence,
        ]
        return self._calls.run(script, keys, [*common, *arguments])

    def _record_key(self, record_id: str) -> str:
        return self._key(shard_of(record_id), f"record:{record_id}")

    def _key(self, shard: int, name: str) -> str:
        return f"{self._prefix}{{{shard}}}:{name}"


def _refuse(writes: Sequence[Write]) -> None:
    if writes:
        raise MisconfiguredError(
            "A Redis store can't commit business writes together with the claim. Use the DynamoDB store for payments."
        )


def _lost(owned: IdempotencyRecord) -> LeaseLost:
    return LeaseLost(f"fence {owned.fence} of {owned.record_id} is no longer the newest")


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> AuditEntry:
    return AuditEntry(
        entry_id=entry_id.decode(),
        name=fields[b"transition"].decode(),
        record_id=fields[b"id"].decode(),
        claim_id=fields[b"claim_id"].decode(),
        fence=int(fields[b"fence"]),
        at_ms=int(fields[b"at_ms"]),
    )
