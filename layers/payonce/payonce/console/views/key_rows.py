"""An idempotency record as the console shows it: its state, what happens next, and what a release needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.idempotency.inspect import KeyState, view_of
from payonce.idempotency.records import RecordStatus
from payonce.payments.operations import REFERENCES

if TYPE_CHECKING:
    from payonce.idempotency.inspect import IdempotencyRecordView
    from payonce.idempotency.records import IdempotencyRecord


LATE_MS = 120_000  # recovery looks every minute (template.yaml), and asks what is due in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """The record of one operation of a key. ``is_open``: it may be released.

    ``references``: what to look up at the gateway ``lane`` before a release. ``next_step`` is a sentence. ``path`` is
    the page of the payment that the key is for, "" where it is for something else.
    """

    record_id: str
    scope: str
    view: IdempotencyRecordView
    is_open: bool
    references: tuple[str, ...]
    lane: str
    age_ms: int
    next_step: str
    path: str


def key_row(record: IdempotencyRecord, *, now_ms: int) -> KeyRow:
    """Return the row of a stored record."""
    scope, operation, _ = record.record_id.rsplit("#", 2)
    view = view_of(record, operation, now_ms=now_ms)
    payment_id = str(record.plan.get("payment_id", "")) or record.resource.removeprefix("/payments/").split("/")[0]
    return KeyRow(
        record_id=record.record_id,
        scope=scope,
        view=view,
        is_open=record.status is not RecordStatus.COMPLETED,
        references=tuple(record.plan.get(REFERENCES, ())),
        lane=record.lane,
        age_ms=max(0, now_ms - record.created_at_ms),
        next_step=next_step(view, now_ms),
        path=f"/payments/{payment_id}" if payment_id.startswith("pay_") else "",
    )


def next_step(view: IdempotencyRecordView, now_ms: int) -> str:
    """Return what happens next by itself, and what a person can do."""
    due_ms = view["lease_expires_at_ms"] or 0
    is_over, is_late = due_ms < now_ms, due_ms < now_ms - LATE_MS
    match view["state"]:
        case KeyState.IN_PROGRESS if not is_over:
            return "Its owner is at work; copies of the request wait for it."
        case KeyState.IN_PROGRESS:
            return "Its owner is gone: the next retry, or recovery within a minute, takes over and asks."
        case KeyState.IN_DOUBT if not is_over:
            return "Recovery asks the gateway again by itself."
        case KeyState.IN_DOUBT if not is_late:
            return "Recovery asks the gateway within a minute."
        case KeyState.IN_DOUBT:
            return "Recovery should have asked by now: it is behind, or failing."
        case KeyState.COMPLETED:
            return "Executed: a copy gets the same answer. It is never released."
        case KeyState.EXPIRED:
            return "Executed, and its window is over: a copy is refused. A new operation needs a new key."
        case KeyState.RELEASED:
            return "Given back, nothing was executed: the key may be used again."
