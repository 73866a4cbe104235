"""Derives the audit trail from a table's stream: a record's old and new image tell which transition it was.

::

    before        after                          transition
    ─             open, first owner              claimed
    open, f       INPROGRESS, f + 1              taken_over
    INPROGRESS    IN_DOUBT, same owner           parked
    open          COMPLETED, same owner          completed
    open          ─                              released
    any           ─, by DynamoDB's TTL           expired
    anything else, such as a manual edit         unforeseen
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.idempotency.audit import ASKED_BY, ENGINE_PRINCIPAL, AuditEntry, Transition
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from payonce.ports import Item

TTL_PRINCIPAL = "dynamodb.amazonaws.com"
UNKNOWN_PRINCIPAL = "unknown"
_IN_PROGRESS, _IN_DOUBT, _COMPLETED = (status.value for status in RecordStatus)
_OPEN = frozenset({_IN_PROGRESS, _IN_DOUBT})


def entry_of(
    record_id: str,
    before: Item | None,
    after: Item | None,
    *,
    at_ms: int,
    sequence: str,
    deleted_by: str = "",
) -> AuditEntry:
    """Return the audit entry of one change of one record. Never fails: an unknown transition gives an entry too.

    ``before`` and ``after`` are plain items, ``None`` where there is none. ``deleted_by`` is the service that deleted
    the record, or "". ``sequence`` is the stream's number of the change.
    """
    transition = _transition(before, after, deleted_by)
    item = after or before or {}
    # A completed record no longer has a plan: the old image names the requester.
    principal = _asked_by(after) or _asked_by(before) or ENGINE_PRINCIPAL
    if transition is Transition.EXPIRED:
        principal = deleted_by
    elif transition is Transition.UNFORESEEN:
        principal = deleted_by or UNKNOWN_PRINCIPAL
    return AuditEntry(
        record_id=record_id,
        claim_id=_text(item, "claim_id"),
        fence=_number(item, "fence"),
        transition=transition,
        at_ms=at_ms,
        status=_text(item, "status"),
        principal=principal,
        resource=_text(item, "resource"),
        fingerprint=_text(item, "fingerprint"),
        lease_expires_at_ms=_number(item, "lease_expires_at_ms"),
        response_status=_number(item, "response_status"),
        sequence=sequence if transition is Transition.UNFORESEEN else "",
    )


def claim_left(record_id: str, before: Item | None, after: Item | None) -> AuditEntry | None:
    """Return the entry of the claim that this change leaves behind, ``None`` if the change follows another one.

    The claim's first state is left exactly once, so that its entry can be stored with that of the next transition: a
    payment costs one entry instead of two.
    """
    if before is None or _transition(None, before, "") is not Transition.CLAIMED:
        return None
    if after is not None and _state(after) == _state(before):
        return None
    return entry_of(record_id, None, before, at_ms=_number(before, "created_at_ms"), sequence="")


def _state(item: Item) -> tuple[str, int, str]:
    return _text(item, "claim_id"), _number(item, "fence"), _text(item, "status")


def _asked_by(item: Item | None) -> str:
    """Return who requested the operation, or "" where the claim's plan does not say."""
    plan = (item or {}).get("plan")
    return _text(plan, ASKED_BY) if isinstance(plan, dict) else ""


def _transition(before: Item | None, after: Item | None, deleted_by: str) -> Transition:
    if after is None:
        if deleted_by == TTL_PRINCIPAL:
            return Transition.EXPIRED
        released = before is not None and _is_ours(before) and before["status"] in _OPEN
        return Transition.RELEASED if released else Transition.UNFORESEEN
    if not _is_ours(after):
        return Transition.UNFORESEEN
    if before is None:
        claimed = after["fence"] == 1 and after["status"] == _IN_PROGRESS
        return Transition.CLAIMED if claimed else Transition.UNFORESEEN
    if not _is_ours(before) or before["claim_id"] != after["claim_id"]:
        return Transition.UNFORESEEN
    return _changed(before, after)


def _changed(before: Item, after: Item) -> Transition:
    was, now = before["status"], after["status"]
    if after["fence"] == before["fence"] + 1:
        return Transition.TAKEN_OVER if was in _OPEN and now == _IN_PROGRESS else Transition.UNFORESEEN
    if after["fence"] == before["fence"] and was == _IN_PROGRESS:
        if now == _IN_DOUBT:
            return Transition.PARKED
        if now == _COMPLETED:
            return Transition.COMPLETED
    return Transition.UNFORESEEN


def _is_ours(item: Item) -> bool:
    return bool(_text(item, "claim_id")) and bool(_number(item, "fence")) and bool(_text(item, "status"))


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _number(item: Item, name: str) -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0
