"""Powertools' idempotency utility over our fenced store.

Powertools decides when to act: claim before the function, replay what is stored, store the result afterwards. This
layer decides how each of those is written. Every request gets a new one, so that nested calls can't complete under each
other's key and no configuration of an earlier call remains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from payonce.domain.errors import KeyReused, OutcomeUnknown
from payonce.idempotency.ownership import LAST_TRY_MS, Owned
from payonce.idempotency.powertools import (
    STATUS_CONSTANTS,
    BasePersistenceLayer,
    DataRecord,
    IdempotencyItemAlreadyExistsError,
)
from payonce.idempotency.record_store import ClaimTaken
from payonce.idempotency.records import Claim, IdempotencyRecord, RecordStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.ownership import Ownership
    from payonce.idempotency.records import Conclusion, KeyedResponse
    from payonce.ports import Clock, Deadline, Write


class FencedDataRecord(DataRecord):
    """Presents a stored record to Powertools: with a response it is replayed, without one it is in progress.

    The engine judges expiry: it must answer 409 for an expired key, where Powertools would execute again.
    """

    def __init__(self, record: IdempotencyRecord) -> None:
        status = "INPROGRESS" if record.response is None else "COMPLETED"
        super().__init__(idempotency_key=record.record_id, status=STATUS_CONSTANTS[status])
        self.record = record


class FencedPersistence(BasePersistenceLayer):
    """One request's persistence layer.

    It adds fencing, a lease margin, takeovers that keep the claim's identity, a fingerprint check even on a claim whose
    owner is dead, completion in one transaction with the business writes, and an outcome policy in place of "any
    exception deletes the record".
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        clock: Clock,
        new_record: IdempotencyRecord,
        writes: list[Write],
        deadline: Deadline,
        contested: bool,
        conclude: Callable[[Claim, Conclusion], KeyedResponse],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ownership = ownership
        self._clock = clock
        self._new_record = new_record
        self._writes = writes
        self._deadline = deadline
        self.contested = contested
        self._conclude = conclude
        self.claimed: Owned | None = None
        self.concluded: KeyedResponse | None = None

    def _get_hashed_idempotency_key(self, data: Any) -> str:
        # idempotency.keys makes the record id: no function name, SHA-256, and never missing.
        return self._new_record.record_id

    def _get_hashed_payload(self, data: Any) -> str:
        return self._new_record.fingerprint

    def _put_record(self, data_record: DataRecord) -> None:
        # owner A   claim f=1 ─────▶ (frozen or dead) . . . . . . . . . . . .▶ any write: requires f=1, refused
        # lease     |── A may run ──|─ margin ─|
        # owner B                              take over f=2 ─▶ ask gateway ─▶ complete: requires f=2, done
        #
        # Only an expired lease is taken over, and only by an execution that still sees the fence it observed.
        try:
            self.claimed = self._ownership.claim(
                self._new_record, self._writes, self._deadline, contested=self.contested
            )
            self.contested = self.claimed.contested
        except ClaimTaken as taken:
            existing, self.contested = taken.record, taken.contested
            if existing.fingerprint != self._new_record.fingerprint:
                raise KeyReused(
                    "This idempotency key was used before with a different request. Retry with the first body, or use "
                    "a new key for a new request.",
                    resource=existing.resource,
                ) from None
            if self._may_take_over(existing):
                give_up_at_ms = self._deadline.at_ms - LAST_TRY_MS
                taken_over = self._ownership.take_over(existing, self._deadline, give_up_at_ms=give_up_at_ms)
                self.claimed = Owned(taken_over)
                return
            raise IdempotencyItemAlreadyExistsError(old_data_record=FencedDataRecord(existing)) from None

    def _may_take_over(self, existing: IdempotencyRecord) -> bool:
        return existing.status is not RecordStatus.COMPLETED and existing.lease_expires_at_ms < self._clock.now_ms()

    def save_success(self, data: dict[Any, Any], result: Any) -> None:
        """Write the conclusion (``result`` is a ``Conclusion``) under the claim's fence."""
        if self.claimed is None:  # pragma: no cover - Powertools claims first
            raise OutcomeUnknown("a result without a claim")
        self.concluded = self._conclude(self.claim, result)

    def delete_record(self, data: Any, exception: Exception) -> None:
        """Keep the claim. An exception proves nothing about the gateway, so recovery will ask the gateway.

        An effect that certainly did not happen is reported by a ``Released`` conclusion, never by an exception.
        """

    @property
    def claim(self) -> Claim:
        """The claim owned by this request. Raises ``OutcomeUnknown`` when there is none."""
        if self.claimed is None:  # pragma: no cover - Powertools claims first
            raise OutcomeUnknown("this request owns no claim")
        return Claim(self.claimed.record, self._deadline, self.contested)

    def _get_record(self, idempotency_key: str) -> NoReturn:
        raise NotImplementedError("a read: a refused claim has shown what is stored")

    def _update_record(self, data_record: DataRecord) -> NoReturn:
        raise NotImplementedError("an update that is not conditional on the fence")

    def _delete_record(self, data_record: DataRecord) -> NoReturn:
        raise NotImplementedError("a delete that is not conditional on the fence")
