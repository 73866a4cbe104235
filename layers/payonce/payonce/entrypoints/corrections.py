"""Maps the workflow's call of one step to the use case, and the result to what the state machine branches on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.corrections.following import break_of
from payonce.corrections.record import FINAL, Correction, CorrectionStatus
from payonce.corrections.workflow import Corrections, Identity, Step
from payonce.domain.errors import MisconfiguredError
from payonce.observability import get_logger
from payonce.reconciliation.cases.case_store import CaseStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Deadline
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application

# Retry soon for a gateway that is briefly down, and hourly for one that is down for a day. The same for a kill switch.
FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Call:
    """The input of one call of the workflow."""

    corrections: Corrections
    case: Case
    identity: Identity
    attempt: int
    task_token: str
    deadline: Deadline


STEPS: Mapping[str, Callable[[Call], Step]] = {
    "start": lambda call: Step(call.corrections.start(break_of(call.case), attempt=call.attempt)),
    "reread": lambda call: call.corrections.reread(call.identity, call.deadline),
    "decide": lambda call: call.corrections.decide(call.identity),
    "wait": lambda call: call.corrections.wait(call.identity, call.task_token),
    "reconsider": lambda call: call.corrections.reconsider(call.identity),
    "execute": lambda call: call.corrections.execute(call.identity, call.deadline),
}


def correct(application: Application, event: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    """Make the step ``event["step"]`` of the break ``event["break_id"]``, and return its correction's state.

    ``status``; ``retry_later``: repeat the step after ``wait_seconds``; ``tries``: how often it was postponed, to be
    passed back. Raises ``NotFound``, ``StoreUnavailable``, ``MisconfiguredError`` and ``CorrectionStateConflict`` (of a
    concurrent step), which the state machine retries.
    """
    step = STEPS.get(str(event["step"]))
    if step is None:
        raise MisconfiguredError(f"There is no step {event['step']!r}; there are {', '.join(STEPS)}.")
    case = CaseStore(application.database).get(str(event["break_id"]))
    call = Call(
        corrections=application.corrections,
        case=case,
        identity=Identity(case.merchant_id or "", case.payment_id or "", case.break_id),
        attempt=int(event.get("attempt", 1)),
        task_token=str(event.get("task_token", "")),
        deadline=deadline,
    )
    done = step(call)
    tries = int(event.get("tries", 0)) + 1 if done.retry_later else 0
    _report(str(event["step"]), done.correction, application.clock.now_ms())
    return {
        "status": done.correction.status.value,
        "retry_later": done.retry_later,
        "wait_seconds": wait_seconds(tries),
        "tries": tries,
    }


def wait_seconds(tries: int) -> int:
    """Return the backoff before a step that was postponed ``tries`` times is made again."""
    return min(FIRST_WAIT_SECONDS << min(max(0, tries - 1), 16), LONGEST_WAIT_SECONDS)


def _report(step: str, correction: Correction, now_ms: int) -> None:
    log = get_logger()
    said = {
        "break_id": correction.break_id,
        "attempt": correction.attempt,
        "step": step,
        "status": correction.status.value,
        "outcome": correction.outcome,
    }
    log.info("correction step", extra=said)
    if correction.status is CorrectionStatus.AWAITING_APPROVAL:
        log.info("approval waits", extra={**said, "waited_seconds": (now_ms - correction.updated_at_ms) // 1000})
    elif correction.status in FINAL - {CorrectionStatus.CORRECTED, CorrectionStatus.REJECTED}:
        # Nobody decided, the gateway declined, or no program can correct it: a person has to act.
        log.warning("correction not made", extra=said)
