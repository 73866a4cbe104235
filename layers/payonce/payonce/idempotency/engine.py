"""Executes a keyed request at most once: it waits for a duplicate in flight, replays, and recovers open claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import (
    KeyExpired,
    KeyInProgress,
    LeaseLost,
    NotStarted,
    OutcomeUnknown,
    ResponseNotStorable,
    StoreUnavailable,
    WriteConflict,
)
from payonce.idempotency.conclude import Concluder
from payonce.idempotency.execution import Execution, HeldByAnother, directly
from payonce.idempotency.keys import record_id
from payonce.idempotency.ownership import UNKNOWN, Ownership
from payonce.idempotency.records import (
    Claim,
    Conclusion,
    IdempotencyRecord,
    InDoubt,
    KeyedResponse,
    RecordStatus,
    Released,
    StoredResponse,
)
from payonce.idempotency.waiting import Waiting
from payonce.idempotency.window import LEASE_MARGIN_MS, MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.execution import Flow
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import KeyedRequest, Plan
    from payonce.idempotency.window import IdempotencySettings
    from payonce.idempotency.work import Work
    from payonce.ports import Clock, Deadline

RECOVERY_TAKEOVER_MS = 1_000
WAIT_RESERVE_MS = 1_500  # the time that the function needs after waiting, to answer before its own deadline


class IdempotencyEngine:
    """Runs ``Work`` at most once per key. ``flow`` runs its steps: see execution.py."""

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        settings: IdempotencySettings,
        clock: Clock,
        sleep: Callable[[float], None],
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        flow: Flow = directly,
    ) -> None:
        self._max_response_bytes = max_response_bytes
        self._flow = flow
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ownership = Ownership(store=store, clock=clock, sleep=sleep)
        self._waiting = Waiting(store, clock, sleep)
        self._conclude = Concluder(store=store, settings=settings, clock=clock, sleep=sleep)

    def execute(self, request: KeyedRequest, work: Work) -> KeyedResponse:
        """Return the single response of this key, executing ``work`` only if nobody has done so.

        Raises ``KeyReused``, ``KeyInProgress``, ``KeyExpired``, the error of a ``Released`` conclusion, or
        ``OutcomeUnknown`` when an effect may have happened but could not be recorded: recovery resolves the claim.
        """
        plan = work.plan()
        self._check_storable(work.largest_response())
        give_up_at_ms = min(
            self._clock.now_ms() + int(request.wait_seconds * 1000), request.deadline.at_ms - WAIT_RESERVE_MS
        )
        others_seen = contested = False
        while True:
            # Made anew after every wait: a claim's time starts when it is made, and excludes waiting for another owner.
            deadline = request.end_of_work(self._clock.now_ms())
            record = self._new_record(request, plan, deadline)
            execution = Execution(
                ownership=self._ownership,
                clock=self._clock,
                new_record=record,
                writes=plan.writes,
                deadline=deadline,
                contested=contested,
                conclude=self._conclude.write,
            )
            try:
                return self._run(execution, plan, work)
            except StoreUnavailable as unavailable:
                if others_seen:  # this try did nothing, but the owner seen before it may have
                    raise OutcomeUnknown(UNKNOWN) from unavailable
                raise
            except HeldByAnother:
                others_seen, contested = True, execution.contested
                self._waiting.for_change(record.record_id, give_up_at_ms)
            except LeaseLost:
                others_seen, contested = True, execution.contested
                # Another owner took over or concluded between our read and our write: look at once, then wait.
                if not self._waiting.has_changed(record.record_id):
                    self._waiting.for_change(record.record_id, give_up_at_ms)

    def knows(self, request: KeyedRequest) -> bool:
        """Return whether a record exists for the request's key. Costs one strongly consistent read."""
        return self._store.get(record_id(request.scope, request.operation, request.key)) is not None

    def recover(
        self,
        open_id: str,
        work_for: Callable[[IdempotencyRecord], Work | None],
        deadline: Deadline,
        *,
        concerns: Callable[[IdempotencyRecord], bool] = lambda _record: True,
        early: bool = False,
    ) -> bool:
        """Take over an open claim whose lease has expired and finish it. Return whether this call concluded it.

        A claim without ``Work`` is released, because its only effects would have been in the commit that is missing.
        A claim that does not concern the caller stays untouched. Never raises for a claim that somebody else took over
        or finished.

        ``early``: also take over a claim in doubt that is to be asked about later, because there is news of it now.
        Nobody works on such a claim; one whose owner may still act is left to its owner in any case.
        """
        observed = self._store.get(open_id)
        if observed is None or observed.status is RecordStatus.COMPLETED:
            return False
        due = observed.lease_expires_at_ms < self._clock.now_ms()
        if not (due or (early and observed.status is RecordStatus.IN_DOUBT)) or not concerns(observed):
            return False
        # Called before the takeover: a claim that nothing is known about must not change.
        work = work_for(observed)
        try:
            # A short limit: other claims wait, and the next run tries this one again.
            give_up_at_ms = self._clock.now_ms() + RECOVERY_TAKEOVER_MS
            taken = self._ownership.take_over(observed, deadline, give_up_at_ms=give_up_at_ms)
            if work is None:
                self._store.release(taken)
                return True
            claim = Claim(taken, deadline, due_at_ms=observed.lease_expires_at_ms)
            conclusion = work.resume(claim)
            if isinstance(conclusion, Released):
                # Nobody waits for its error here; the next request with this key starts afresh.
                self._store.release(taken, conclusion.writes)
                return True
            self._conclude.write(claim, conclusion)
        except (LeaseLost, KeyInProgress):  # somebody else has taken it over, or still holds its lock
            return False
        return not isinstance(conclusion, InDoubt)

    def _run(self, execution: Execution, plan: Plan, work: Work) -> KeyedResponse:
        def execute() -> Conclusion:
            claim = execution.claim
            try:
                if claim.record.fence == 1:
                    return work.start(claim)
                return work.adopt(claim.record).resume(claim)
            except NotStarted as error:
                # An exception is not a Released conclusion: the claim stays open, and recovery may still execute it.
                raise OutcomeUnknown(UNKNOWN) from error

        try:
            return self._flow(execution, execute, self._replay)
        except WriteConflict as conflict:
            if plan.on_conflict is not None and execution.claimed is None:
                raise plan.on_conflict(conflict) from conflict
            raise

    def _replay(self, record: IdempotencyRecord) -> KeyedResponse:
        if record.status is RecordStatus.COMPLETED and record.replayed_until_ms < self._clock.now_ms():
            raise KeyExpired(
                "The replay window of this idempotency key is over. The first request was executed: look at the linked "
                "resource, and use a new key only for a new operation.",
                resource=record.resource,
            )
        if record.response is None:  # pragma: no cover - a flow asks only for records with a response
            raise KeyInProgress("The same request is still in progress.", retry_after_seconds=1)
        return KeyedResponse(
            record.response, replayed=record.status is RecordStatus.COMPLETED, expires_at_ms=record.replayed_until_ms
        )

    def _new_record(self, request: KeyedRequest, plan: Plan, deadline: Deadline) -> IdempotencyRecord:
        now_ms = self._clock.now_ms()
        return IdempotencyRecord(
            record_id=record_id(request.scope, request.operation, request.key),
            status=RecordStatus.IN_PROGRESS,
            claim_id=plan.claim_id,
            fence=1,
            fingerprint=request.fingerprint,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + self._settings.window_seconds * 1000,
            lease_expires_at_ms=deadline.at_ms + LEASE_MARGIN_MS,
            resource=plan.resource,
            plan=plan.data,
            lane=plan.lane,
        )

    def _check_storable(self, response: StoredResponse) -> None:
        if len(response.body) > self._max_response_bytes:
            raise ResponseNotStorable(
                f"The response would be {len(response.body)} bytes; at most {self._max_response_bytes} can be stored "
                "for replay. Nothing was executed. Shorten the metadata."
            )
