"""The store of idempotency records: conditional transitions, written once over the database port.

::

            claim (nothing stored)
                 │
                 ▼
    ┌────── INPROGRESS ──complete──▶ COMPLETED        every arrow out of a claim requires
    │            │   ▲                   ▲            claim_id and fence as they were read:
    │           park │ take over         │            a stale owner matches none of them
    │            ▼   │ (fence + 1)       │
    │         IN_DOUBT ──(take over, then complete)
    │
    └─ release ─▶ (nothing stored)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.errors import LeaseLost, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency.audit import claimed_entry, released_entry
from payonce.idempotency.audit_items import AuditDirectory, entry_write
from payonce.idempotency.open_claims import OpenClaim, OpenPage
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
    ClaimTaken,
    claimed_after_all,
    completed,
    own_or_taken,
    parked,
    releasable,
    taken_over,
    taken_over_after_all,
)
from payonce.idempotency.window import DEFAULT_AUDIT_RETENTION_SECONDS
from payonce.ports import Adjust, Delete, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.idempotency.audit import ReleasedBy
    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.ports import Database, Item, Write

__all__ = ["ClaimTaken", "DatabaseIdempotencyStore", "IdempotencyStore"]

OPEN_LEASES_INDEX = "open-leases"
PAGE_CLAIMS = 4_000  # 1 MB, a query's limit, holds about as many
CLAIM_PAGES = 4  # of 32 shards: half a million open claims


class IdempotencyStore(Protocol):
    """Port of the store. Every method is one round trip and is atomic."""

    def claim(self, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> IdempotencyRecord:
        """Store a new claim with the business ``writes``.

        Raises ``ClaimTaken`` when the id is already stored, ``WriteConflict`` (index into ``writes``) when a business
        condition failed, and ``OutcomeUnknown`` when it may be stored, now or later. Idempotent: a second call with the
        same record finds its own claim.
        """
        ...

    def take_over(self, observed: IdempotencyRecord, *, lease_expires_at_ms: int, owner: str = "") -> IdempotencyRecord:
        """Become the owner after ``observed``, with fence + 1. Raises ``LeaseLost`` when it has changed since.

        ``owner``: a name unique to this takeover. Idempotent: a second call with the same name finds itself.
        """
        ...

    def complete(
        self,
        owned: IdempotencyRecord,
        response: StoredResponse,
        *,
        purge_at_seconds: int,
        ended_at_ms: int,
        writes: Sequence[Write],
    ) -> IdempotencyRecord:
        """Finish the record for good. Raises ``LeaseLost``, or ``WriteConflict`` (index into ``writes``).

        ``ended_at_ms``: when the owner began to write this conclusion.
        """
        ...

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
        """Put the record in doubt with a provisional response. Raises ``LeaseLost`` or ``WriteConflict``.

        ``ended_at_ms``: see ``complete``. ``plan`` replaces the stored plan; ``None`` keeps it.
        """
        ...

    def release(self, owned: IdempotencyRecord, writes: Sequence[Write] = (), *, by: ReleasedBy | None = None) -> None:
        """Delete the open claim, as if nothing had happened, if its claim, fence and status still equal ``owned``'s.

        An operator's release (``by``) becomes an entry of the audit trail together with the deletion. Raises
        ``LeaseLost``, also for a completed record, or ``WriteConflict``.
        """
        ...

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """Return the record, or ``None``. The read is strongly consistent."""
        ...

    def get_many(self, record_ids: Sequence[str]) -> list[IdempotencyRecord]:
        """Return the stored ones of up to 100 records, strongly consistent, in any order, in one round trip."""
        ...

    def check(self) -> None:
        """Return if the store accepts claims now. Raises ``StoreUnavailable`` with the reason otherwise."""
        ...

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """Return ids of claims in ``shard`` whose lease ended by then, oldest first. Eventually consistent."""
        ...


class DatabaseIdempotencyStore:
    """``IdempotencyStore`` over a ``Database``, with the business writes in the same transaction."""

    def __init__(self, database: Database, *, audit_retention_seconds: int = DEFAULT_AUDIT_RETENTION_SECONDS) -> None:
        self._database = database
        self._audit_retention_seconds = audit_retention_seconds
        self._audit_directory = AuditDirectory(database, audit_retention_seconds)

    def claim(self, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> IdempotencyRecord:
        """See the port."""
        try:
            self._database.write([Insert(Table.IDEMPOTENCY, to_item(record)), *writes])
        except WriteConflict as conflict:
            stored = conflict.current if conflict.index == 0 else self._item(record.record_id)
            if stored is None:
                raise _shifted(conflict) from conflict
            return own_or_taken(record, from_item(stored))
        except OutcomeUnknown as unknown:
            return claimed_after_all(record, unknown, self.get)
        return record

    def take_over(self, observed: IdempotencyRecord, *, lease_expires_at_ms: int, owner: str = "") -> IdempotencyRecord:
        """See the port."""
        taken = taken_over(observed, lease_expires_at_ms, owner)
        try:
            self._change(observed, ownership_attributes(taken), require_status=observed.status)
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
        change = {
            "status": RecordStatus.COMPLETED.value,
            "purge_at": purge_at_seconds,
            "ended_at_ms": ended_at_ms,
            **response_attributes(response),
        }
        self._change(owned, change, writes, remove=DROPPED_AT_COMPLETION)
        return completed(owned, response, ended_at_ms=ended_at_ms)

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
        self._change(owned, change, writes)
        return stored

    def release(self, owned: IdempotencyRecord, writes: Sequence[Write] = (), *, by: ReleasedBy | None = None) -> None:
        """See the port. The stream reports the deletion too, under the same key: the operator's entry stays."""
        delete = Delete(
            table=Table.IDEMPOTENCY,
            key={"id": owned.record_id},
            require={"claim_id": owned.claim_id, "fence": owned.fence, "status": releasable(owned).value},
        )
        audited: list[Write] = []
        if by is not None:
            entry, claimed = released_entry(owned, by), claimed_entry(owned)
            self._audit_directory.list_scope(entry, claimed)
            audited = [entry_write(entry, self._audit_retention_seconds, claimed)]
        self._write_owned(owned, [delete, *writes, *audited])

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See the port."""
        item = self._item(record_id)
        return None if item is None else from_item(item)

    def get_many(self, record_ids: Sequence[str]) -> list[IdempotencyRecord]:
        """See the port."""
        items = self._database.get_many(Table.IDEMPOTENCY, [{"id": record_id} for record_id in record_ids])
        return [from_item(item) for item in items]

    def check(self) -> None:
        """See the port. Reads a record that does not exist."""
        self._item("payonce-readiness")

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See the port."""
        page = self._database.query(
            Table.IDEMPOTENCY,
            index=OPEN_LEASES_INDEX,
            partition=("open_shard", str(shard)),
            sort_at_most=("lease_expires_at_ms", lease_expired_at_ms),
            limit=limit,
        )
        return [item["id"] for item in page.items]

    def open_page(self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None) -> OpenPage:
        """See ``OpenClaims``."""
        page = self._database.query(
            Table.IDEMPOTENCY,
            index=OPEN_LEASES_INDEX,
            partition=("open_shard", str(shard)),
            sort_at_most=None if due_by_ms is None else ("lease_expires_at_ms", due_by_ms),
            limit=limit,
            start=start,
        )
        claims = [
            OpenClaim(item["id"], item.get("lane", ""), item["lease_expires_at_ms"], item["created_at_ms"])
            for item in page.items
        ]
        return OpenPage(claims, page.next_key)

    def open_claim(self, claim_id: str) -> str | None:
        """Return the id of the record that this claim holds open, or ``None``. Eventually consistent, within a second.

        It reads the claim's shard: one read unit while a few claims are open, 115 while 100,000 are. Raises
        ``StoreUnavailable`` when the claim is not among the ``CLAIM_PAGES`` pages that it reads.
        """
        shard, start = str(shard_of(claim_id)), None
        for _ in range(CLAIM_PAGES):
            page = self._database.query(
                Table.IDEMPOTENCY,
                index=OPEN_LEASES_INDEX,
                partition=("open_shard", shard),
                limit=PAGE_CLAIMS,
                start=start,
            )
            for item in page.items:
                if item.get("claim_id") == claim_id:
                    return str(item["id"])
            start = page.next_key
            if start is None:
                return None
        raise StoreUnavailable("More claims are open than can be looked through now.")

    def _item(self, record_id: str) -> Item | None:
        return self._database.get(Table.IDEMPOTENCY, {"id": record_id})

    def _change(
        self,
        owned: IdempotencyRecord,
        change: dict[str, Any],
        writes: Sequence[Write] = (),
        *,
        remove: Sequence[str] = (),
        require_status: RecordStatus = RecordStatus.IN_PROGRESS,
    ) -> None:
        adjust = Adjust(
            table=Table.IDEMPOTENCY,
            key={"id": owned.record_id},
            require={"claim_id": owned.claim_id, "fence": owned.fence, "status": require_status.value},
            set=change,
            remove=remove,
        )
        self._write_owned(owned, [adjust, *writes])

    def _write_owned(self, owned: IdempotencyRecord, writes: list[Write]) -> None:
        try:
            self._database.write(writes)
        except WriteConflict as conflict:
            if conflict.index == 0:
                raise LeaseLost(f"fence {owned.fence} of {owned.record_id} is no longer the newest") from conflict
            raise _shifted(conflict) from conflict


def _shifted(conflict: WriteConflict) -> WriteConflict:
    """Return the conflict with its index counted in the business writes, which follow the record's own write."""
    return WriteConflict(conflict.detail, index=conflict.index - 1, current=conflict.current)
