"""One request's execution under its key: it claims the key, works, and concludes under its claim's fence.

::

    claim ─┬ it is ours: execute ─ conclude
           ├ another has it, with a response: replay
           └ another has it, without one: ``HeldByAnother``

A flow runs these steps. ``directly`` needs the standard library alone; ``with_powertools`` (persistence.py) is the same
under Powertools' utility, and what the functions use. Both store the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from payonce.domain.errors import KeyReused, OutcomeUnknown
from payonce.idempotency.ownership import LAST_TRY_MS, Owned
from payonce.idempotency.records import Claim, IdempotencyRecord, KeyedResponse, RecordStatus
from payonce.idempotency.transitions import ClaimTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.ownership import Ownership
    from payonce.idempotency.records import Conclusion
    from payonce.ports import Clock, Deadline, Write


class HeldByAnother(Exception):
    """Another execution has the key. ``record`` is what is stored: with a response it is replayed."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__(record.record_id)
        self.record = record


class Execution:
    """One request's execution. Every request gets a new one, so that nested calls can't conclude each other's key.

    It adds to a conditional write: fencing, a lease margin, takeovers that keep the claim's identity, a fingerprint
    check even on a claim whose owner is dead, and a conclusion in one transaction with the business writes.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        clock: Clock,
        new_record: IdempotencyRecord,
        writes: Sequence[Write],
        deadline: Deadline,
        contested: bool,
        conclude: Callable[[Claim, Conclusion], KeyedResponse],
    ) -> None:
        self._ownership = ownership
        self._clock = clock
        self.new_record = new_record
        self._writes = writes
        self._deadline = deadline
        self.contested = contested
        self._conclude = conclude
        self.claimed: Owned | None = None
        self.concluded: KeyedResponse | None = None

    def claim_key(self) -> None:
        """Become the owner of the key: by a claim, or by the takeover of one whose lease has ended.

        Raises ``HeldByAnother``, ``KeyReused`` when the record belongs to a different request, and what
        ``Ownership.claim`` and ``take_over`` raise.
        """
        # owner A   claim f=1 ─────▶ (frozen or dead) . . . . . . . . . . . .▶ any write: requires f=1, refused
        # lease     |── A may run ──|─ margin ─|
        # owner B                              take over f=2 ─▶ ask gateway ─▶ complete: requires f=2, done
        #
        # Only an expired lease is taken over, and only by an execution that still sees the fence it observed.
        try:
            self.claimed = self._ownership.claim(
                self.new_record, list(self._writes), self._deadline, contested=self.contested
            )
            self.contested = self.claimed.contested
        except ClaimTaken as taken:
            existing, self.contested = taken.record, taken.contested
            if existing.fingerprint != self.new_record.fingerprint:
                raise KeyReused(
                    "This idempotency key was used before with a different request. Retry with the first body, or use "
                    "a new key for a new request.",
                    resource=existing.resource,
                ) from None
            if not self._may_take_over(existing):
                raise HeldByAnother(existing) from None
            give_up_at_ms = self._deadline.at_ms - LAST_TRY_MS
            self.claimed = Owned(self._ownership.take_over(existing, self._deadline, give_up_at_ms=give_up_at_ms))

    def _may_take_over(self, existing: IdempotencyRecord) -> bool:
        return existing.status is not RecordStatus.COMPLETED and existing.lease_expires_at_ms < self._clock.now_ms()

    @property
    def claim(self) -> Claim:
        """The claim owned by this request. Raises ``OutcomeUnknown`` when there is none."""
        if self.claimed is None:  # pragma: no cover - every flow claims first
            raise OutcomeUnknown("this request owns no claim")
        return Claim(self.claimed.record, self._deadline, self.contested)

    def conclude(self, conclusion: Conclusion) -> KeyedResponse:
        """Write the conclusion under the claim's fence and return its response. Raises what ``Concluder.write`` does.

        An effect that certainly did not happen is reported by a ``Released`` conclusion, never by an exception: one
        proves nothing about the gateway, so the claim stays, and recovery asks the gateway.
        """
        self.concluded = self._conclude(self.claim, conclusion)
        return self.concluded


class Flow(Protocol):
    """Runs the steps of an execution."""

    def __call__(
        self,
        execution: Execution,
        execute: Callable[[], Conclusion],
        replay: Callable[[IdempotencyRecord], KeyedResponse],
    ) -> KeyedResponse:
        """Return the key's response. ``execute`` is called at most once, and only under a claim.

        Raises ``HeldByAnother`` when the owner of the key has no response yet, and whatever its three steps raise.
        """
        ...


def directly(
    execution: Execution,
    execute: Callable[[], Conclusion],
    replay: Callable[[IdempotencyRecord], KeyedResponse],
) -> KeyedResponse:
    """The flow without any package beside the standard library. See ``Flow``."""
    try:
        execution.claim_key()
    except HeldByAnother as held:
        if held.record.response is None:
            raise
        return replay(held.record)
    return execution.conclude(execute())
