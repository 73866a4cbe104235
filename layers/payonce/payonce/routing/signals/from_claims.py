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
from payonce.routing.control.strict_json import whole
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Claimed, Ended, Refused, attempt_id, cell_of, store_time_ms
from payonce.routing.signals.sketch import MAX_LATENCY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.signals.events import SignalEvent
    from payonce.routing.signals.observation import Cell

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
    plan = opened["plan"]
    if before is None:
        at_ms = store_time_ms(whole(opened.get("created_at_ms")), store_second)
        return Claimed(at_ms, attempt_id(_text(opened, "claim_id")), _cell(plan), *_asked(plan))
    if after is None and store_second * 1000 - whole(before.get("created_at_ms")) > MAX_OWNER_MS:
        return None
    outcome = _outcome(after, deleted_by)
    if outcome is None:
        return None
    created_at_ms = whole(before.get("created_at_ms"))
    # A release carries no stamp but the store's second, and its latency means nothing.
    ended_at_ms = created_at_ms if after is None else whole(after.get("ended_at_ms"))
    latency_ms = min(max(0, ended_at_ms - created_at_ms), MAX_LATENCY_MS)
    at_ms = store_time_ms(ended_at_ms, store_second)
    return Ended(at_ms, attempt_id(_text(opened, "claim_id")), _cell(plan), latency_ms, outcome)


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
        return OUTCOMES.get(whole(after.get("response_status")))
    return None


def refusal_of(line: object, *, at_ms: int, now_ms: int) -> Refused | None:
    """Return the refusal that a log line tells, or ``None`` for any other line and for one that comes too late.

    ``at_ms`` is the line's time, ``now_ms`` the reader's. Raises ``ValueError`` for a malformed refusal.
    """
    if not isinstance(line, dict) or line.get("message") != REFUSED_MESSAGE:
        return None
    if now_ms - at_ms > MAX_LOG_AGE_MS:
        return None
    at_ms = min(max(at_ms, now_ms - MAX_LOG_SKEW_MS), now_ms + MAX_LOG_SKEW_MS)
    return Refused(at_ms, _cell(line), *_asked(line))


def _cell(plan: Image) -> Cell:
    return cell_of(_text(plan, "gateway"), _text(plan, "payment_method_type", DEFAULT_METHOD))


def _asked(plan: Image) -> tuple[str, Priority]:
    return _text(plan, "merchant_id"), Priority(_text(plan, "priority", Priority.AUTHORIZATION))


def _text(image: Image, name: str, default: str = "") -> str:
    value = image.get(name, default)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is not a text")
    return value
