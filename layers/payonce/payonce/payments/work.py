"""The payment protocol: claim, submit, commit. What all four operations share.

::

    engine   CLAIM ─────────────────────────────────────────────── COMMIT (one transaction)
    here             start: SUBMIT ─ succeeded/declined ──────────▶ Completed
                              ├───── never sent ──────────────────▶ Released (nothing happened)
                              └───── unknown ─ ask ─ found ───────▶ Completed
                                                └─── not (yet) ───▶ InDoubt, asked again later
             takeover resume: ASK ─ found ────────────────────────▶ Completed
                              └─ decide(): resubmit the same reference / ask later / never executed
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable, NotStarted
from payonce.domain.gateway import Declined, NeverSent, NotFound, Succeeded, Unknown
from payonce.idempotency.records import Completed, Draft, InDoubt, Released
from payonce.payments.rules import (
    FIRST_INQUIRY_DELAY_MS,
    AskLater,
    NeverExecuted,
    Resubmit,
    decide,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import Instruction, LookupOutcome
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, Plan, StoredResponse
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
    """What the use cases need, wired in ``bootstrap``."""

    database: Database
    clock: Clock
    ids: IdSource


class GatewayWork(ABC):
    """One operation on one gateway, as the engine's ``Work``. Subclasses know what is asked and what is written."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._clock = services.clock
        self._started = False
        # Known once it is claimed; what is booked says under which key it came.
        self._record_id: str | None = None

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
            return self._doubted(claim, self._clock.now_ms() + FIRST_INQUIRY_DELAY_MS, submitted=True)
        self._started = True
        self._record_id = claim.record.record_id
        try:
            gateway, instruction = self.prepare()
        except NotStarted as error:
            return Released(error, self.undo_writes())
        match self._submit(gateway, instruction, claim):
            case Succeeded() | Declined() as result:
                return self._completed(result)
            case NeverSent(reason, retry_after_seconds):
                refused = GatewayUnavailable(
                    f"The gateway took no request ({reason}). Nothing was executed; retry with the same key.",
                    retry_after_seconds=retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS,
                )
                return Released(refused, self.undo_writes())
            case Unknown():
                return self._ask_at_once(gateway, instruction, claim)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``: ask first, then decide."""
        self._record_id = claim.record.record_id
        gateway, instruction = self.prepare()
        record = claim.record
        decision = decide(
            self._find(gateway, instruction, claim),
            gateway.capabilities,
            now_ms=self._clock.now_ms(),
            submit_horizon_ms=record.submit_horizon_ms,
            first_submitted_at_ms=instruction.first_submitted_at_ms,
            owners=record.fence,
        )
        match decision:
            case Succeeded() | Declined() | NeverExecuted():
                return self._completed(decision)
            case Resubmit():
                outcome = self._submit(gateway, instruction, claim)
                if isinstance(outcome, Succeeded | Declined):
                    return self._completed(outcome)
                # "Never sent" speaks of this sending alone, not of an earlier owner's.
                return self._doubted(claim, self._clock.now_ms() + FIRST_INQUIRY_DELAY_MS, submitted=True)
            case AskLater(at_ms):
                return self._doubted(claim, at_ms, submitted=False)

    def _ask_at_once(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> Conclusion:
        found = self._find(gateway, instruction, claim)
        if isinstance(found, Succeeded | Declined):
            return self._completed(found)
        return self._doubted(claim, self._clock.now_ms() + FIRST_INQUIRY_DELAY_MS, submitted=True)

    def _submit(
        self, gateway: Gateway, instruction: Instruction, claim: Claim
    ) -> Succeeded | Declined | NeverSent | Unknown:
        now_ms = self._clock.now_ms()
        deadline = claim.deadline.earlier(claim.deadline.at_ms - COMMIT_RESERVE_MS).earlier(now_ms + SUBMIT_TIMEOUT_MS)
        if deadline.at_ms - now_ms < MIN_SUBMIT_MS:
            return NeverSent("too little time was left to wait for an answer")
        return gateway.submit(instruction, deadline)

    def _find(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> LookupOutcome:
        if not gateway.capabilities.lookup_by_reference:
            return NotFound()
        return gateway.find(instruction, self._inquiry_deadline(claim))

    def _inquiry_deadline(self, claim: Claim) -> Deadline:
        latest_ms = claim.deadline.at_ms - COMMIT_RESERVE_MS // 2
        return claim.deadline.earlier(min(latest_ms, self._clock.now_ms() + INQUIRY_TIMEOUT_MS))

    def _completed(self, result: Result) -> Completed:
        return Completed(partial(self.draft, result))

    def _doubted(self, claim: Claim, retry_at_ms: int, *, submitted: bool) -> InDoubt:
        provisional = claim.record.response
        if provisional is not None:
            # Still in doubt is no change of state: no new version, and no second event for the same doubt.
            return InDoubt(lambda: Draft(provisional, ()), retry_at_ms, submitted)
        return InDoubt(partial(self.draft, Doubted()), retry_at_ms, submitted)
