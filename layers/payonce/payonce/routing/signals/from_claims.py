"""Turns a change of a claim into a signal. Only a payment's first owner tells how a gateway is doing.

::

    before              after                     signal
    ─                   INPROGRESS, fence 1       claimed
    INPROGRESS, 1       COMPLETED 201 or 402      ended: approved, declined
    INPROGRESS, 1       IN_DOUBT                  ended: unknown
    INPROGRESS, 1       ─, by its owner           ended: never sent
    anything else                                 nothing

A later owner (fencing token 2 or more) looks up the outcome of an attempt; its duration is not the gateway's latency.
The stream tells who deleted a claim only for DynamoDB's TTL; a deletion later than any owner works is an operator's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import PaymentMethodType
from payonce.idempotency.audit_stream import TTL_PRINCIPAL
from payonce.idempotency.records import RecordStatus
from payonce.routing.control.admission import Priority
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Claimed, Ended, Refused, attempt_id, cell_of, store_time_ms
from payonce.routing.signals.sketch import MAX_LATENCY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.signals.events import SignalEvent

PLAN_KIND = "payment"
DEFAULT_METHOD = PaymentMethodType.CARD  # for older claims, which do not name a method
FIRST_FENCE = 1
OUTCOMES = {201: Outcome.APPROVED, 402: Outcome.DECLINED}
REFUSED_MESSAGE = "throttled"
MAX_LOG_SKEW_MS = 5_000  # between a log line and the clock of its reader; more is a wrong clock or a late line
MAX_LOG_AGE_MS = 60_000  # more than a wrong clock explains: the line is late and says nothing about present demand
# An owner releases a claim within its function's 25 s. After twice that, clock skew included, it was an operator.
MAX_OWNER_MS = 60_000

type Image = Mapping[str, Any]


def signal_of(before: Image | None, after: Image | None, *, store_second: int, deleted_by: str) -> SignalEvent | None:
    """Return the signal of one claim's change, or ``None`` if it is none. Raises ``ValueError`` if it is malformed.

    The images are the decoded items before and after the change. Read are ``status``, ``fence``, ``claim_id``,
    ``created_at_ms``, ``ended_at_ms``, ``response_status`` and the members of a payment's ``plan``.
    """
    opened = after if before is None else before
    if opened is None or not _is_first_of_payment(opened):
        return None
    if before is None:
        plan = _plan(opened)
        return Claimed(
            store_time_ms(_number(opened, "created_at_ms"), store_second),
            attempt_id(_text(opened, "claim_id")),
            cell_of(_text(plan, "gateway"), _text(plan, "payment_method_type", DEFAULT_METHOD)),
            _text(plan, "merchant_id"),
            Priority(_text(plan, "priority", Priority.AUTHORIZATION)),
        )
    if after is None and store_second * 1000 - _number(before, "created_at_ms") > MAX_OWNER_MS:
        return None
    outcome = _outcome(after, deleted_by)
    return None if outcome is None else _ended(before, after, outcome, store_second)


def _ended(before: Image, after: Image | None, outcome: Outcome, store_second: int) -> Ended:
    created_at_ms = _number(before, "created_at_ms")
    # A release carries no stamp but the store's second, and its latency means nothing.
    ended_at_ms = _number(after, "ended_at_ms") if after is not None else created_at_ms
    plan = _plan(before)
    return Ended(
        store_time_ms(ended_at_ms, store_second),
        attempt_id(_text(before, "claim_id")),
        cell_of(_text(plan, "gateway"), _text(plan, "payment_method_type", DEFAULT_METHOD)),
        min(max(0, ended_at_ms - created_at_ms), MAX_LATENCY_MS),
        outcome,
    )


def _is_first_of_payment(image: Image) -> bool:
    plan = image.get("plan")
    return (
        image.get("status") == RecordStatus.IN_PROGRESS
        and image.get("fence") == FIRST_FENCE
        and isinstance(plan, dict)
        and plan.get("kind") == PLAN_KIND
    )


def _outcome(after: Image | None, deleted_by: str) -> Outcome | None:
    if after is None:
        return None if deleted_by == TTL_PRINCIPAL else Outcome.NEVER_SENT
    if after.get("fence") != FIRST_FENCE:
        return None
    if after.get("status") == RecordStatus.IN_DOUBT:
        return Outcome.UNKNOWN
    if after.get("status") == RecordStatus.COMPLETED:
        return OUTCOMES.get(_number(after, "response_status"))
    return None


def refusal_of(line: object, *, at_ms: int, now_ms: int) -> Refused | None:
    """Return the refusal that a log line tells, or ``None`` for any other line and for one that comes too late.

    ``at_ms`` is the line's time, ``now_ms`` the reader's. Raises ``ValueError`` for a malformed refusal.
    """
    if not isinstance(line, dict) or line.get("message") != REFUSED_MESSAGE:
        return None
    if now_ms - at_ms > MAX_LOG_AGE_MS:
        return None
    return Refused(
        min(max(at_ms, now_ms - MAX_LOG_SKEW_MS), now_ms + MAX_LOG_SKEW_MS),
        cell_of(_text(line, "gateway"), _text(line, "payment_method_type", DEFAULT_METHOD)),
        _text(line, "merchant_id"),
        Priority(_text(line, "priority", Priority.AUTHORIZATION)),
    )


def _plan(image: Image) -> Image:
    plan: Image = image["plan"]
    return plan


def _text(image: Image, name: str, default: str = "") -> str:
    value = image.get(name, default)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is not a text")
    return value


def _number(image: Image, name: str) -> int:
    value = image.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is not a whole number")
    return value
