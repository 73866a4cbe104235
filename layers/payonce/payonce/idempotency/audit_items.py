"""The audit trail over the database port: append-only items, read by time or by record.

An entry's key is its record, then its claim, fence and transition, so that writing it again finds it. The one index
lists a scope's entries of a month by time. It is sharded, because those of a busy merchant exceed one partition's
throughput; a reader merges the shards. Which scopes a month has is in a directory, one item each that every process
writes once, instead of a second index that every entry writes.
"""

from __future__ import annotations

import heapq
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_SECONDS
from payonce.domain.errors import WriteConflict
from payonce.domain.principals import OPERATOR_PREFIX
from payonce.idempotency.audit import AuditEntry, Transition
from payonce.paging import every_item
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item, Write

BY_SCOPE_INDEX = "audit-by-scope"
AUDIT_SHARDS = 8  # an index partition takes about 1,000 writes a second, and a merchant's payment makes one entry
MAX_KNOWN_LISTINGS = 10_000  # directory entries that a process remembers to have written: about 2 MB
PAGE_SIZE = 200  # entries that a reader holds per shard: about 1 MB in all
CLAIMED_MEMBER = "claimed"
_ALWAYS = frozenset({"record_id", "claim_id", "fence", "transition", "at_ms", "status"})
_RANK = {transition: rank for rank, transition in enumerate(Transition)}


def entry_key(entry: AuditEntry) -> str:
    """Return the sort key within a record. Claim ids are time-ordered, and fences increase within a claim."""
    rank = _RANK[entry.transition]
    return f"{entry.claim_id}#{entry.fence:010d}#{rank}#{entry.transition.value}#{entry.sequence}"


def at_key(at_ms: int, suffix: str = "") -> str:
    """Return the sort key of the indexes: by time, then entry."""
    return f"{at_ms:013d}#{suffix}"


def entry_item(entry: AuditEntry, retention_seconds: int, claimed: AuditEntry | None = None) -> Item:
    """Return the stored form of an entry. DynamoDB deletes it ``retention_seconds`` after the transition.

    ``claimed``: the entry of the claim that the transition ends the first state of. Only what differs is stored.
    """
    shard = zlib.crc32(entry.record_id.encode()) % AUDIT_SHARDS
    listed_at_ms = _listed_at_ms(entry, claimed)
    return {
        **{name: value for name, value in entry.to_data().items() if value or name in _ALWAYS},
        "entry_key": entry_key(entry),
        "entry_id": entry.entry_id,
        "at_key": at_key(listed_at_ms, entry.entry_id),
        "scope_month": _partition(entry.scope, month_of(listed_at_ms), shard),
        "purge_at": entry.at_ms // 1000 + retention_seconds,
        **({CLAIMED_MEMBER: _difference(claimed, entry)} if claimed is not None else {}),
    }


def _listed_at_ms(entry: AuditEntry, claimed: AuditEntry | None) -> int:
    """Return the time by which an item is listed: the claim's, so that a claim is found by the time in its id.

    What a person has done is listed when he did it, however old the claim is: no export has passed it.
    """
    by_hand = entry.principal.startswith(OPERATOR_PREFIX)
    return entry.at_ms if claimed is None or by_hand else claimed.at_ms


def month_of(at_ms: int) -> str:
    """Return the UTC month of a time, such as 2026-11."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m}"


def _partition(scope: str, month: str, shard: int) -> str:
    return f"{scope}#{month}#{shard}"


def _directory(month: str) -> str:
    return f"scopes#{month}"


def _months(from_ms: int, until_ms: int) -> Iterator[str]:
    day = datetime.fromtimestamp(from_ms / 1000, UTC).date().replace(day=1)
    while from_ms < until_ms and day <= datetime.fromtimestamp((until_ms - 1) / 1000, UTC).date():
        yield f"{day:%Y-%m}"
        day = (day + timedelta(days=31)).replace(day=1)


def _difference(claimed: AuditEntry, entry: AuditEntry) -> dict[str, Any]:
    after = entry.to_data()
    return {name: value for name, value in claimed.to_data().items() if value != after[name]}


def entries_from(item: Item) -> list[AuditEntry]:
    """Return the entries of a stored item in their order: the claim, if it is reported with it, and the transition."""
    entry = AuditEntry.from_data(item)
    if CLAIMED_MEMBER not in item:
        return [entry]
    return [AuditEntry.from_data({**entry.to_data(), **item[CLAIMED_MEMBER]}), entry]


class AuditDirectory:
    """Knows which scopes have entries in a month. An entry may be written once its scope is listed."""

    def __init__(self, database: Database, retention_seconds: int) -> None:
        self._database = database
        self._retention_seconds = retention_seconds
        self._known: set[tuple[str, str]] = set()

    def list_scope(self, entry: AuditEntry, claimed: AuditEntry | None = None) -> None:
        """List the entry's scope under its month. Idempotent; raises what ``Database.write`` raises."""
        listing = (month_of(_listed_at_ms(entry, claimed)), entry.scope)
        if listing in self._known:
            return
        month, scope = listing
        item: Item = {
            "record_id": _directory(month),
            "entry_key": scope,
            "purge_at": entry.at_ms // 1000 + self._retention_seconds + 31 * DAY_SECONDS,
        }
        with suppress(WriteConflict):
            self._database.write([Insert(Table.AUDIT, item)])
        if len(self._known) >= MAX_KNOWN_LISTINGS:
            self._known.clear()
        self._known.add(listing)

    def scopes(self, month: str) -> Iterator[str]:
        """Yield the scopes with entries in ``month``, in the order of their names."""
        listed = every_item(
            lambda start: self._database.query(
                Table.AUDIT, partition=("record_id", _directory(month)), limit=PAGE_SIZE, start=start
            )
        )
        return (str(item["entry_key"]) for item in listed)


def entry_write(entry: AuditEntry, retention_seconds: int, claimed: AuditEntry | None = None) -> Write:
    """Return the write that adds an entry, and that is refused when the entry exists."""
    return Insert(Table.AUDIT, entry_item(entry, retention_seconds, claimed))


class DatabaseAuditTrail:
    """``AuditTrail`` over a ``Database``. Reads by time are eventually consistent, a record's history strongly."""

    def __init__(self, database: Database, retention_seconds: int) -> None:
        self._database = database
        self._retention_seconds = retention_seconds
        self._directory = AuditDirectory(database, retention_seconds)

    def write_of(self, entry: AuditEntry) -> Write:
        """List the entry's scope, and return the write that adds the entry to the transaction that it records."""
        self._directory.list_scope(entry)
        return entry_write(entry, self._retention_seconds)

    def add(self, entry: AuditEntry, claimed: AuditEntry | None = None) -> bool:
        """Add an entry, with that of the claim before it, and return whether it is new.

        After ``StoreUnavailable`` or ``OutcomeUnknown`` add it again.
        """
        self._directory.list_scope(entry, claimed)
        try:
            self._database.write([entry_write(entry, self._retention_seconds, claimed)])
        except WriteConflict:
            return False
        return True

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """See ``AuditTrail``."""
        for month in _months(from_ms, until_ms):
            for one in self._directory.scopes(month) if scope is None else (scope,):
                yield from self._merged(one, month, from_ms, until_ms)

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """See ``AuditTrail``."""
        page = self._database.query(
            Table.AUDIT, partition=("record_id", record_id), descending=newest_first, limit=limit
        )
        found = [
            one for item in page.items for one in (entries_from(item)[::-1] if newest_first else entries_from(item))
        ]
        return found[:limit]

    def _merged(self, scope: str, month: str, from_ms: int, until_ms: int) -> Iterator[AuditEntry]:
        partitions = (_partition(scope, month, shard) for shard in range(AUDIT_SHARDS))
        shards = [self._shard(partition, from_ms, until_ms) for partition in partitions]
        for item in heapq.merge(*shards, key=lambda item: str(item["at_key"])):
            yield from entries_from(item)

    def _shard(self, partition: str, from_ms: int, until_ms: int) -> Iterator[Item]:
        return every_item(
            lambda start: self._database.query(
                Table.AUDIT,
                index=BY_SCOPE_INDEX,
                partition=("scope_month", partition),
                sort_at_least=("at_key", at_key(from_ms)),
                # "<time>#" sorts before every entry of that millisecond, so the end is excluded.
                sort_at_most=("at_key", at_key(until_ms)),
                limit=PAGE_SIZE,
                start=start,
            )
        )
