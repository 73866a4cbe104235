"""The payment protocol that all four operations share: claim, submit, commit.

::

    engine   CLAIM ─────────────────────────────────────────────── COMMIT (one transaction)
    here             start: SUBMIT ─ succeeded/declined ──────────▶ Completed
                              ├───── held by the gateway ─────────▶ Completed, and followed by ``settlement``
                              ├───── never sent ──────────────────▶ Released (nothing happened)
                              └───── unknown ─ ask ─ found ───────▶ Completed
                                                └─── not (yet) ───▶ InDoubt, asked again later
             takeover resume: ASK about every attempt ─ found ────▶ Completed
                              └─ decide(): resubmit the same reference / ask later / never executed
                                           / renew: store the next attempt, which the next owner sends

To the gateway a new reference is a new charge. An owner that sends nothing stores it before it can be sent::

    owner 1   SUBMIT pay-1 ─ 500, kept ─▶ InDoubt: spent
    owner 2   ASK pay-1 ─ not found, finally ─▶ InDoubt: attempt 2       (a crash here changes nothing)
    owner 3   ASK pay-1, pay-2 ─ not found ─▶ SUBMIT pay-2               (a crash here: owner 4 asks about both)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayRefused, NotStarted
from payonce.domain.gateway import AwaitsPayer, Declined, NeverSent, NotFound, Payer, Pending, Succeeded, Unknown
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
COMMIT_RESERVE_MS = 4_000  # kept free at the end of a lease, for the commit and its retries
MIN_SUBMIT_MS = 1_000  # with less time left, it is better not to send at all
DEFAULT_RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Doubted:
    """The outcome is not known yet, so recovery has to ask again."""


type Result = Succeeded | Declined | Pending | NeverExecuted | Doubted


def may_wait(pending: Pending, instruction: Instruction) -> bool:
    """Return whether a pending instruction may go on after its claim is concluded.

    One that waits for a payer who is absent, or who can't be told what to do, may not.
    """
    if not isinstance(pending, AwaitsPayer):
        return True
    return pending.action is not None and instruction.payer is Payer.PRESENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases' dependencies, wired in ``wiring.application``."""

    database: Database
    clock: Clock
    ids: IdSource


class GatewayWork(ABC):
    """One operation on one gateway, as the engine's ``Work``. Subclasses know the instruction and the writes."""

    _plan: AttemptedPlan
    max_submissions = MAX_SUBMISSIONS

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._clock = services.clock
        self._started = False
        # By gateway: since when it is known to answer. A claim that was due after that has waited in our own queue.
        self.answering_since_ms: Mapping[str, int] = {}
        # Known once the key is claimed. The journal records which key requested an entry.
        self._record_id: str | None = None
        self._executed_as: str | None = None

    @property
    def reference(self) -> str:
        """The reference under which the operation was executed, or else the present attempt's."""
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
        """Return the gateway and the instruction, reading what they need."""

    @abstractmethod
    def draft(self, result: Result) -> Draft:
        """Return the response and the writes for ``result``, based on the payment as it is stored now."""

    def follows(self, pending: Pending, instruction: Instruction) -> bool:
        """Return whether a settlement follows what is pending, so that the claim can be concluded."""
        return may_wait(pending, instruction)

    def undo_writes(self) -> Sequence[Write]:
        """Return the writes that return what the claim has reserved, for a release."""
        return ()

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """Return the writes of an operator's release, after the operator found that nothing was executed.

        If the doubt was published (a payment or operation in doubt is stored, with its event), its end is published
        too: the operation was never executed. Raises ``NotFound`` or ``GatewayUnavailable``.
        """
        if record.response is None:
            return self.undo_writes()
        return self.draft(NeverExecuted()).writes

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``. Submits once.

        When this work is started a second time, an operator has released its claim: what it submitted may have been
        executed, so the new claim is in doubt, and recovery asks.
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
                refused = GatewayRefused(
                    f"The gateway took no request ({reason}). Nothing was executed; retry with the same key.",
                    retry_after_seconds=retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS,
                )
                return Released(refused, self.undo_writes())
            case Pending() if self.follows(outcome, instruction):
                return self._completed(outcome)
            case Unknown():
                found = self._find(gateway, instruction, claim)
                if isinstance(found, Succeeded | Declined):
                    return self._settled(gateway, instruction, found, claim)
                if isinstance(found, Pending) and self.follows(found, instruction):
                    return self._completed(found)
        return self._doubted(claim, submitted=True, plan=self._plan_after(outcome))

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Asks first, then decides."""
        self._record_id = claim.record.record_id
        gateway, instruction = self.prepare()
        record = claim.record
        found = self._find(gateway, instruction, claim, withdrawing=True)
        if isinstance(found, Pending) and self.follows(found, instruction):
            return self._completed(found)
        now_ms = self._clock.now_ms()
        decision = decide(
            found,
            gateway.capabilities,
            now_ms=now_ms,
            turn_at_ms=min(now_ms, max(claim.due_at_ms, self.answering_since_ms.get(gateway.name, now_ms))),
            sendable_until_ms=record.expires_at_ms,
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
                if isinstance(outcome, Pending) and self.follows(outcome, instruction):
                    return self._completed(outcome)
                # "Never sent" is true of this submission alone, not of an earlier owner's.
                return self._doubted(claim, submitted=True, plan=self._plan_after(outcome))
            case Renew():
                # The next owner may send at once: no submission is in flight.
                return self._doubted(claim, submitted=False, at_ms=self._clock.now_ms(), plan=self._plan.renewed())
            case AskLater(at_ms):
                return self._doubted(claim, submitted=False, at_ms=at_ms)

    def _plan_after(self, outcome: SubmitOutcome) -> AttemptedPlan | None:
        """Return the plan for the next owner; ``None`` when ``outcome`` does not change the plan."""
        spent = isinstance(outcome, Unknown) and not outcome.repeatable
        return self._plan.exhausted() if spent else None

    def _submit(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        now_ms = self._clock.now_ms()
        deadline = claim.deadline.earlier(claim.deadline.at_ms - COMMIT_RESERVE_MS).earlier(now_ms + SUBMIT_TIMEOUT_MS)
        if deadline.at_ms - now_ms < MIN_SUBMIT_MS:
            return NeverSent("too little time was left to wait for an answer")
        outcome = gateway.submit(instruction, deadline)
        if isinstance(outcome, AwaitsPayer) and not may_wait(outcome, instruction):
            # Nobody can bring the payer to the gateway, so it is declined. A decline is final only if the payer can no
            # longer pay, so withdraw the instruction first.
            return gateway.withdraw(instruction, outcome, self._inquiry_deadline(claim))
        return outcome

    def _find(
        self, gateway: Gateway, instruction: Instruction, claim: Claim, *, withdrawing: bool = False
    ) -> LookupOutcome:
        """Return the combined outcome of all attempts.

        ``withdrawing`` also withdraws an instruction that awaits the payer. Not right after a submission that may still
        be in flight: what seems to wait for the payer may be about to execute.
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
        if withdrawing and isinstance(outcome, AwaitsPayer) and not may_wait(outcome, asked):
            outcome = gateway.withdraw(asked, outcome, self._inquiry_deadline(claim))
        if isinstance(outcome, Succeeded):
            self._executed_as = self._executed_as or asked.gateway_reference
            if asked.gateway_reference != self._plan.gateway_reference:
                # The gateway had declared with authority that this was not executed: its capabilities are wrong.
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
            # A doubt that persists is not a change of state: no new version, and no second event for the same doubt.
            return InDoubt(lambda: Draft(provisional, ()), at_ms, submitted, data)
        return InDoubt(partial(self.draft, Doubted()), at_ms, submitted, data)
