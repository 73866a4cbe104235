"""The payment protocol: claim, submit, commit. What all four operations share.

::

    engine   CLAIM ─────────────────────────────────────────────── COMMIT (one transaction)
    here             start: SUBMIT ─ succeeded/declined ──────────▶ Completed
                              ├───── never sent ──────────────────▶ Released (nothing happened)
                              └───── unknown ─ ask ─ found ───────▶ Completed
                                                └─── not (yet) ───▶ InDoubt, asked again later
             takeover resume: ASK about every attempt ─ found ────▶ Completed
                              └─ decide(): resubmit the same reference / ask later / never executed
                                           / renew: the next attempt is written, and sent by the next owner

A new reference is a new charge for the gateway. It is written before it can be sent, by an owner that sends nothing::

    owner 1   SUBMIT pay-1 ─ 500, kept ─▶ InDoubt: spent
    owner 2   ASK pay-1 ─ not found, finally ─▶ InDoubt: attempt 2       (a crash here changes nothing)
    owner 3   ASK pay-1, pay-2 ─ not found ─▶ SUBMIT pay-2               (a crash here: owner 4 asks about both)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayUnavailable, NotStarted
from payonce.domain.gateway import AwaitsPayer, Declined, NeverSent, NotFound, Succeeded, Unknown
from payonce.idempotency.records import Completed, Draft, InDoubt, Released
from payonce.observability import get_logger
from payonce.payments.rules import (
    MAX_SUBMISSIONS,
    AskLater,
    NeverExecuted,
    Renew,
    Resubmit,
    decide,
    next_inquiry_ms,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, Plan, StoredResponse
    from payonce.payments.operations import AttemptedPlan
    from payonce.ports import Clock, Database, Deadline, Gateway, IdSource, Write

SUBMIT_TIMEOUT_MS = 8_000  # gateways answer in 1-3 s; 8 s still leaves time to ask and to commit within 25 s
INQUIRY_TIMEOUT_MS = 4_000
COMMIT_RESERVE_MS = 4_000  # kept free at the end of a lease for the commit and its retries
MIN_SUBMIT_MS = 1_000  # with less left it is better not to send at all
DEFAULT_RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Doubted:
    """The outcome is not known yet."""


type Result = Succeeded | Declined | NeverExecuted | Doubted


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the use cases need, wired in ``wiring.application``."""

    database: Database
    clock: Clock
    ids: IdSource


class GatewayWork(ABC):
    """One operation on one gateway, as the engine's ``Work``. Subclasses know what is asked and what is written."""

    _plan: AttemptedPlan
    max_submissions = MAX_SUBMISSIONS

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._clock = services.clock
        self._started = False
        # Known once it is claimed; what is booked says under which key it came.
        self._record_id: str | None = None
        self._executed_as: str | None = None

    @property
    def reference(self) -> str:
        """The reference under which the operation was executed, or else the one of its present attempt."""
        return self._executed_as or self._plan.gateway_reference

    @abstractmethod
    def plan(self) -> Plan:
        """See ``Work``."""

    @abstractmethod
    def largest_response(self) -> StoredResponse:
        """See ``Work``."""

    @abstractmethod
    def adopt(self, record: IdempotencyRecord) -> GatewayWork:
        """See ``Work``."""

    @abstractmethod
    def prepare(self) -> tuple[Gateway, Instruction]:
        """Return the gateway and the instruction; reads what is needed for them."""

    @abstractmethod
    def draft(self, result: Result) -> Draft:
        """Return response and writes for ``result``, from the payment as it is stored now."""

    def undo_writes(self) -> Sequence[Write]:
        """Return the writes that give back what the claim reserved, for a release."""
        return ()

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """Return the writes of a release by an operator, who has found that nothing was executed.

        Where the doubt was made known (a payment or an operation in doubt is stored, with its event), its end is made
        known too: as never executed. Raises ``NotFound`` or ``GatewayUnavailable``.
        """
        if record.response is None:
            return self.undo_writes()
        return self.draft(NeverExecuted()).writes

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``: submit once.

        Started a second time, its claim was released under it by an operator: what it submitted may be booked, so the
        new claim is in doubt, and recovery asks.
        """
        if self._started:
            return self._doubted(claim, submitted=True)
        self._started = True
        self._record_id = claim.record.record_id
        try:
            gateway, instruction = self.prepare()
        except NotStarted as error:
            return Released(error, self.undo_writes())
        outcome = self._submit(gateway, instruction, claim)
        match outcome:
            case Succeeded() | Declined():
                return self._settled(gateway, instruction, outcome, claim)
            case NeverSent(reason, retry_after_seconds):
                refused = GatewayUnavailable(
                    f"The gateway took no request ({reason}). Nothing was executed; retry with the same key.",
                    retry_after_seconds=retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS,
                )
                return Released(refused, self.undo_writes())
            case Unknown():
                found = self._find(gateway, instruction, claim)
                if isinstance(found, Succeeded | Declined):
                    return self._settled(gateway, instruction, found, claim)
        return self._doubted(claim, submitted=True, plan=self._plan_after(outcome))

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``: ask first, then decide."""
        self._record_id = claim.record.record_id
        gateway, instruction = self.prepare()
        record = claim.record
        decision = decide(
            self._find(gateway, instruction, claim, withdrawing=True),
            gateway.capabilities,
            now_ms=self._clock.now_ms(),
            submit_horizon_ms=record.submit_horizon_ms,
            first_submitted_at_ms=instruction.first_submitted_at_ms,
            owners=record.fence,
            plan=self._plan,
            max_submissions=self.max_submissions,
        )
        match decision:
            case Succeeded() | Declined():
                return self._settled(gateway, instruction, decision, claim)
            case NeverExecuted():
                return self._completed(decision)
            case Resubmit():
                outcome = self._submit(gateway, instruction, claim)
                if isinstance(outcome, Succeeded | Declined):
                    return self._settled(gateway, instruction, outcome, claim)
                # "Never sent" speaks of this sending alone, not of an earlier owner's.
                return self._doubted(claim, submitted=True, plan=self._plan_after(outcome))
            case Renew():
                # The next owner may send at once: nothing is under way.
                return self._doubted(claim, submitted=False, at_ms=self._clock.now_ms(), plan=self._plan.renewed())
            case AskLater(at_ms):
                return self._doubted(claim, submitted=False, at_ms=at_ms)

    def _plan_after(self, outcome: SubmitOutcome) -> AttemptedPlan | None:
        """Return the plan with which to go on; ``None`` when ``outcome`` changes nothing about it."""
        spent = isinstance(outcome, Unknown) and not outcome.repeatable
        return self._plan.exhausted() if spent else None

    def _submit(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        now_ms = self._clock.now_ms()
        deadline = claim.deadline.earlier(claim.deadline.at_ms - COMMIT_RESERVE_MS).earlier(now_ms + SUBMIT_TIMEOUT_MS)
        if deadline.at_ms - now_ms < MIN_SUBMIT_MS:
            return NeverSent("too little time was left to wait for an answer")
        outcome = gateway.submit(instruction, deadline)
        if isinstance(outcome, AwaitsPayer):
            # Nobody brings the payer to the gateway from here, so it is declined; a decline that it is still possible
            # to pay is none, so it is taken back first.
            return gateway.withdraw(instruction, outcome, self._inquiry_deadline(claim))
        return outcome

    def _find(
        self, gateway: Gateway, instruction: Instruction, claim: Claim, *, withdrawing: bool = False
    ) -> LookupOutcome:
        """Return what became of all attempts together.

        ``withdrawing`` also takes back what waits for the payer. Right after a submission that may go on it does not:
        what looks as if it waited may be on its way.
        """
        if not gateway.capabilities.lookup_by_reference:
            return NotFound()
        self._executed_as = None
        return together(
            [
                self._find_one(gateway, replace(instruction, gateway_reference=reference), claim, withdrawing)
                for reference in self._plan.references()
            ]
        )

    def _find_one(self, gateway: Gateway, asked: Instruction, claim: Claim, withdrawing: bool) -> LookupOutcome:
        outcome: LookupOutcome = gateway.find(asked, self._inquiry_deadline(claim))
        if withdrawing and isinstance(outcome, AwaitsPayer):
            outcome = gateway.withdraw(asked, outcome, self._inquiry_deadline(claim))
        if isinstance(outcome, Succeeded):
            self._executed_as = self._executed_as or asked.gateway_reference
            if asked.gateway_reference != self._plan.gateway_reference:
                # The gateway had said with authority that it was not executed: its capabilities are declared wrong.
                get_logger().error(
                    "executed after the gateway's final not-found",
                    extra={"gateway": gateway.name, "reference": asked.gateway_reference},
                )
        return outcome

    def _inquiry_deadline(self, claim: Claim) -> Deadline:
        latest_ms = claim.deadline.at_ms - COMMIT_RESERVE_MS // 2
        return claim.deadline.earlier(min(latest_ms, self._clock.now_ms() + INQUIRY_TIMEOUT_MS))

    def _settled(
        self, gateway: Gateway, instruction: Instruction, result: Succeeded | Declined, claim: Claim
    ) -> Conclusion:
        """Return the conclusion of what the gateway has decided."""
        del gateway, instruction, claim  # for operations that have to look further
        return self._completed(result)

    def _stored_form(self, plan: AttemptedPlan) -> Mapping[str, Any]:
        return plan.to_data()

    def _completed(self, result: Result) -> Completed:
        return Completed(partial(self.draft, result))

    def _doubted(
        self, claim: Claim, *, submitted: bool, at_ms: int | None = None, plan: AttemptedPlan | None = None
    ) -> InDoubt:
        if at_ms is None:
            at_ms = next_inquiry_ms(self._clock.now_ms(), claim.record.fence)
        data = None if plan is None else self._stored_form(plan)
        provisional = claim.record.response
        if provisional is not None:
            # Still in doubt is no change of state: no new version, and no second event for the same doubt.
            return InDoubt(lambda: Draft(provisional, ()), at_ms, submitted, data)
        return InDoubt(partial(self.draft, Doubted()), at_ms, submitted, data)
