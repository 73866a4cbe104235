"""Writes the conclusion of a claim: under its fence, in one transaction with the business writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from payonce.domain.errors import LeaseLost, NotStarted, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency.ownership import UNKNOWN, Patience
from payonce.idempotency.records import Completed, InDoubt, KeyedResponse, RecordStatus, Released
from payonce.idempotency.window import LEASE_MARGIN_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.idempotency.window import IdempotencySettings
    from payonce.ports import Clock

# A business condition fails when another operation on the same payment commits first. Each attempt reads it again, so
# more failures in a row than this mean a defect or an outage, not contention.
MAX_COMMIT_ATTEMPTS = 8


class Concluder:
    """Writes conclusions. After an effect it retries until the claim's deadline, and never reports "not executed".

    ::

        draft ─ write ─┬ written, or found to be written: its response
                       ├ a condition failed, refused, no answer ─ look ─┬ we have concluded it: that response
                       │                                                ├ another owner has: LeaseLost, theirs counts
                       │                                                └ it is ours and open: draft again
                       └ the fence failed: LeaseLost
    """

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        settings: IdempotencySettings,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._sleep = sleep

    def write(self, claim: Claim, conclusion: Conclusion) -> KeyedResponse:
        """Record the conclusion and return its response.

        Raises the error of a ``Released`` conclusion once the claim is released, ``LeaseLost`` when there is a newer
        owner, and ``OutcomeUnknown`` when it could not be recorded: recovery then asks the gateway about the claim.
        """
        outcome = conclusion if isinstance(conclusion, Released) else self._record(claim, conclusion)
        if isinstance(outcome, Released):
            self._release(claim, outcome)
        return outcome

    def _record(self, claim: Claim, conclusion: Completed | InDoubt) -> KeyedResponse | Released:
        # Taken once: however often the write is retried, the effect was over by now.
        ended_at_ms = self._clock.now_ms()
        conflicts, again = 0, False
        patience = Patience(self._clock, self._sleep, claim.deadline.at_ms)
        while True:
            # The first attempt is made even after the deadline: the fence alone decides whether it is accepted.
            try:
                # Before a new draft, make sure that no earlier commit took place whose answer was lost.
                settled = self._own_conclusion(claim.record) if again else None
                return settled or self._attempt(claim.record, conclusion, ended_at_ms)
            except WriteConflict as conflict:
                last: Exception = conflict
                conflicts += 1
                again = conflicts < MAX_COMMIT_ATTEMPTS and self._clock.now_ms() < claim.deadline.at_ms
            except (_NotWritten, OutcomeUnknown, StoreUnavailable) as error:
                last = error
                again = patience.wait()
            if not again:
                raise OutcomeUnknown(
                    "The result could not be recorded yet. Retry with the same key: nothing will be executed twice. "
                    "Do not use another key or another provider until you know."
                ) from last

    def _attempt(
        self, owned: IdempotencyRecord, conclusion: Completed | InDoubt, ended_at_ms: int
    ) -> KeyedResponse | Released:
        try:
            draft = conclusion.draft()
        except NotStarted as error:
            raise _NotWritten from error  # for instance, a read failed; the effect stands
        except Exception:
            # It may have read a newer owner's state, or our own commit whose answer was lost.
            settled = self._own_conclusion(owned)
            if settled is None:
                raise
            return settled
        if isinstance(draft, Released):
            return draft
        try:
            if isinstance(conclusion, InDoubt):
                stored = self._store.park(
                    owned,
                    draft.response,
                    submit_horizon_ms=self._submit_horizon_ms(owned, conclusion),
                    retry_at_ms=conclusion.retry_at_ms,
                    ended_at_ms=ended_at_ms,
                    writes=draft.writes,
                    plan=conclusion.plan,
                )
            else:
                stored = self._store.complete(
                    owned,
                    draft.response,
                    purge_at_seconds=self._purge_at_seconds(owned),
                    ended_at_ms=ended_at_ms,
                    writes=draft.writes,
                )
        except LeaseLost as lost:
            settled = self._own_conclusion(owned)
            if settled is None:
                raise lost
            return settled
        return _response(stored)

    def _submit_horizon_ms(self, owned: IdempotencyRecord, conclusion: InDoubt) -> int:
        """Return the moment, on any machine's clock, after which this owner and earlier ones have sent nothing."""
        if not conclusion.submitted:
            return owned.submit_horizon_ms
        now_ms, goes_on_until_ms = self._clock.now_ms(), conclusion.goes_on_until_ms
        # The next owner compares it with its own clock, which may be ahead of this one by a lease's margin. What goes
        # on does so until the lease ends, and that has the margin already.
        own_ms = goes_on_until_ms if goes_on_until_ms > now_ms else now_ms + LEASE_MARGIN_MS
        return max(own_ms, owned.submit_horizon_ms)

    def _purge_at_seconds(self, owned: IdempotencyRecord) -> int:
        """Return when the record may be deleted: after the guard, and not before the client has had its window.

        A doubt can outlast the guard. Without the window the record would be deleted before any retry could see it.
        """
        guarded = owned.created_at_ms // 1000 + self._settings.guard_seconds
        return max(guarded, self._clock.now_ms() // 1000 + self._settings.window_seconds)

    def _release(self, claim: Claim, released: Released) -> NoReturn:
        """Give the claim back and raise the error of the conclusion.

        Raises ``OutcomeUnknown`` when the claim could not be released before the deadline, or when an earlier put of it
        may still arrive: recovery then takes the open claim over, and may execute it.
        """
        patience = Patience(self._clock, self._sleep, claim.deadline.at_ms)
        doubted = False
        while True:
            try:
                self._store.release(claim.record, released.writes)
                break
            except LeaseLost:
                # Another owner has it, unless our own delete took place and only its answer was lost.
                if not (doubted and self._is_gone(claim.record)):
                    raise
                break
            except (OutcomeUnknown, StoreUnavailable, WriteConflict) as error:
                doubted = doubted or isinstance(error, OutcomeUnknown)
                if not patience.wait():
                    raise OutcomeUnknown(UNKNOWN) from error
        if claim.contested:
            raise OutcomeUnknown(UNKNOWN) from released.error
        raise released.error

    def _is_gone(self, owned: IdempotencyRecord) -> bool:
        try:
            return self._store.get(owned.record_id) is None
        except StoreUnavailable as error:
            raise OutcomeUnknown(UNKNOWN) from error

    def _own_conclusion(self, owned: IdempotencyRecord) -> KeyedResponse | None:
        """Return the conclusion that this owner has stored despite a lost answer, or ``None`` while its claim is open.

        Raises ``LeaseLost`` when a newer owner has it, or the record is deleted.
        """
        stored = self._store.get(owned.record_id)
        if stored is None or (stored.claim_id, stored.fence) != (owned.claim_id, owned.fence):
            raise LeaseLost(f"fence {owned.fence} of {owned.record_id} is no longer the newest")
        return None if stored.status is RecordStatus.IN_PROGRESS else _response(stored)


class _NotWritten(Exception):
    """No draft could be made. The effect is unchanged."""


def _response(stored: IdempotencyRecord) -> KeyedResponse:
    assert stored.response is not None  # noqa: S101 - narrows the type: a concluded record has a response
    return KeyedResponse(stored.response, replayed=False, expires_at_ms=stored.replayed_until_ms)
