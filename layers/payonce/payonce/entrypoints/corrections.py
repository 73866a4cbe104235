"""The workflow's call of one step, to the use case, and back to what the state machine goes by."""

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

# A gateway that is down for a moment is asked soon; for a day, hourly. A kill switch is looked at as often.
FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the workflow."""

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
    """Make the step ``event["step"]`` of the break ``event["break_id"]``, and return where its correction stands.

    ``status``; ``retry_later``: make the same step again, after ``wait_seconds``; ``tries``: how often it was put off,
    to be handed back. Raises ``NotFound``, ``StoreUnavailable``, ``MisconfiguredError`` and ``CorrectionStateConflict``
    (somebody else was at it): the state machine tries again.
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
    """Return how long to wait before a step is made again that was put off ``tries`` times."""
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
        # Nobody decided, the gateway declined, or a program can't: a person is needed.
        log.warning("correction not made", extra=said)
