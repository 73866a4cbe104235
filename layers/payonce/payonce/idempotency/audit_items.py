"""The audit trail over the database port: append-only items, read by time or by record.

An entry's key is its record, then its claim, fence and transition, so that writing it again finds it. Both indexes are
sharded, because all entries of a day or of a busy merchant exceed one partition's throughput; a reader merges the
shards by time.
"""

from __future__ import annotations

import heapq
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.idempotency.audit import AuditEntry, Transition
from payonce.paging import every_item
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item, Write

BY_DAY_INDEX = "audit-by-day"
BY_SCOPE_INDEX = "audit-by-scope"
AUDIT_SHARDS = 8  # an index partition takes about 1,000 writes a second, and a payment makes two or three entries
PAGE_SIZE = 200  # entries that a reader holds per shard: about 1 MB in all
_ALWAYS = frozenset({"record_id", "claim_id", "fence", "transition", "at_ms", "status"})
_RANK = {transition: rank for rank, transition in enumerate(Transition)}


def entry_key(entry: AuditEntry) -> str:
    """Return the sort key within a record. Claim ids are time-ordered, and fences increase within a claim."""
    rank = _RANK[entry.transition]
    return f"{entry.claim_id}#{entry.fence:010d}#{rank}#{entry.transition.value}#{entry.sequence}"


def at_key(at_ms: int, suffix: str = "") -> str:
    """Return the sort key of the indexes: by time, then entry."""
    return f"{at_ms:013d}#{suffix}"


def entry_item(entry: AuditEntry, retention_seconds: int) -> Item:
    """Return the stored form of an entry. DynamoDB deletes it ``retention_seconds`` after the transition."""
    shard = zlib.crc32(entry.record_id.encode()) % AUDIT_SHARDS
    day = datetime.fromtimestamp(entry.at_ms / 1000, UTC).date().isoformat()
    return {
        **{name: value for name, value in entry.to_data().items() if value or name in _ALWAYS},
        "entry_key": entry_key(entry),
        "entry_id": entry.entry_id,
        "at_key": at_key(entry.at_ms, entry.entry_id),
        "day_shard": f"{day}#{shard}",
        "scope_shard": f"{entry.scope}#{shard}",
        "purge_at": entry.at_ms // 1000 + retention_seconds,
    }


def entry_write(entry: AuditEntry, retention_seconds: int) -> Write:
    """Return the write that adds an entry, and that is refused when the entry exists."""
    return Insert(Table.AUDIT, entry_item(entry, retention_seconds))


class DatabaseAuditTrail:
    """``AuditTrail`` over a ``Database``. Reads by time are eventually consistent, a record's history strongly."""

    def __init__(self, database: Database, retention_seconds: int) -> None:
        self._database = database
        self._retention_seconds = retention_seconds

    def write_of(self, entry: AuditEntry) -> Write:
        """Return the write that adds an entry, to be part of the transaction that it records."""
        return entry_write(entry, self._retention_seconds)

    def add(self, entry: AuditEntry) -> bool:
        """Add an entry and return whether it is new. After ``StoreUnavailable`` or ``OutcomeUnknown`` add it again."""
        try:
            self._database.write([entry_write(entry, self._retention_seconds)])
        except WriteConflict:
            return False
        return True

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """See ``AuditTrail``."""
        if scope is not None:
            return self._merged(BY_SCOPE_INDEX, "scope_shard", scope, from_ms, until_ms)
        return self._by_day(from_ms, until_ms)

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """See ``AuditTrail``."""
        page = self._database.query(
            Table.AUDIT, partition=("record_id", record_id), descending=newest_first, limit=limit
        )
        return [AuditEntry.from_data(item) for item in page.items]

    def _by_day(self, from_ms: int, until_ms: int) -> Iterator[AuditEntry]:
        day = datetime.fromtimestamp(from_ms / 1000, UTC).date()
        while from_ms < until_ms and day <= datetime.fromtimestamp((until_ms - 1) / 1000, UTC).date():
            yield from self._merged(BY_DAY_INDEX, "day_shard", day.isoformat(), from_ms, until_ms)
            day += timedelta(days=1)

    def _merged(self, index: str, attribute: str, prefix: str, from_ms: int, until_ms: int) -> Iterator[AuditEntry]:
        shards = [
            self._shard(index, (attribute, f"{prefix}#{shard}"), from_ms, until_ms) for shard in range(AUDIT_SHARDS)
        ]
        for item in heapq.merge(*shards, key=lambda item: str(item["at_key"])):
            yield AuditEntry.from_data(item)

    def _shard(self, index: str, partition: tuple[str, str], from_ms: int, until_ms: int) -> Iterator[Item]:
        return every_item(
            lambda start: self._database.query(
                Table.AUDIT,
                index=index,
                partition=partition,
                sort_at_least=("at_key", at_key(from_ms)),
                # "<time>#" sorts before every entry of that millisecond, so the end is excluded.
                sort_at_most=("at_key", at_key(until_ms)),
                limit=PAGE_SIZE,
                start=start,
            )
        )
