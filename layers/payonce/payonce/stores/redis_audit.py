"""The audit trail of a Redis store: reads, page by page, what the scripts have appended to the streams."""

from __future__ import annotations

import heapq
import json
from itertools import islice
from typing import TYPE_CHECKING

from payonce.idempotency.audit import AuditEntry
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, shard_of
from payonce.idempotency.records import RecordStatus
from payonce.stores.redis_calls import RedisCalls
from payonce.stores.redis_checks import MAX_CLOCK_DIFFERENCE_MS
from payonce.stores.redis_keys import DEFAULT_PREFIX, RedisKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from payonce.idempotency.audit import Transition
    from payonce.idempotency.records import IdempotencyRecord

PAGE_SIZE = 200  # entries that a reader holds per shard: about 1 MB in all


class RedisAuditTrail:
    """``AuditTrail`` over the streams of a store with the same ``prefix``. Raises ``StoreUnavailable``.

    Entries are in the order in which the server made the transitions; their times come from the clients' clocks. The
    streams are capped, and a purge leaves no entry: a completed record's last entry is its completion.
    """

    def __init__(self, client: Redis | RedisCalls, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._calls = client if isinstance(client, RedisCalls) else RedisCalls(client)
        self._keys = RedisKeys(prefix)

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """See ``AuditTrail``."""
        # A stream is ordered by the server's clock, which may differ from ours by this much.
        first_ms, last_ms = max(from_ms - MAX_CLOCK_DIFFERENCE_MS, 0), until_ms + MAX_CLOCK_DIFFERENCE_MS
        shards = [self._shard(shard, str(first_ms), str(last_ms)) for shard in range(OPEN_LEASE_SHARDS)]
        for _, entry in heapq.merge(*shards, key=lambda found: found[0]):
            if from_ms <= entry.at_ms < until_ms and scope in (None, entry.scope):
                yield entry

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """See ``AuditTrail``. Reads the whole stream of the record's shard, unless only the newest are requested."""
        shard = self._shard(shard_of(record_id), "-", "+", newest_first=newest_first)
        return list(islice((entry for _, entry in shard if entry.record_id == record_id), limit))

    def _shard(
        self, shard: int, first: str, last: str, *, newest_first: bool = False
    ) -> Iterator[tuple[tuple[int, int], AuditEntry]]:
        command, start, end = ("XREVRANGE", last, first) if newest_first else ("XRANGE", first, last)
        while True:
            page = self._calls.read(command, self._keys.audit(shard), start, end, "COUNT", PAGE_SIZE)
            for raw_id, fields in page:
                milliseconds, number = raw_id.decode().split("-")
                yield (int(milliseconds), int(number)), AuditEntry.from_data(json.loads(fields[b"entry"]))
            if len(page) < PAGE_SIZE:
                return
            start = f"({page[-1][0].decode()}"


def entry_of(transition: Transition, after: IdempotencyRecord, at_ms: int) -> AuditEntry:
    """Return the audit entry of the transition that made the record ``after``."""
    is_over = after.status is RecordStatus.COMPLETED
    return AuditEntry(
        record_id=after.record_id,
        claim_id=after.claim_id,
        fence=after.fence,
        transition=transition,
        at_ms=at_ms,
        status=after.status.value,
        resource=after.resource,
        fingerprint=after.fingerprint,
        lease_expires_at_ms=0 if is_over else after.lease_expires_at_ms,
        response_status=0 if after.response is None else after.response.status,
    )
