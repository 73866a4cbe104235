"""An operator releases a claim, so that its key may be used again: conditionally, with a reason, and audited.

::

    operator   keys shown: claim c, fence 1 ── looks at the gateway ────▶ release(c, 1): refused, nothing changes
    recovery              take over: fence 2 ─▶ found there ─▶ completed

A completed record is never released: it prevents a late retry from charging a second time. Nor is a claim while a "not
found" of its gateway is not final, whoever has looked::

    owner      sends ──▶ no answer ──▶ in doubt
    gateway                  not found yet ─────────────▶ executes it
    operator                       looks: not there ──▶ release: refused, the second charge would be the retry's
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, LeaseLost, NotFound, ReleaseRefused, WriteConflict
from payonce.domain.principals import principal_name
from payonce.idempotency.audit import MAX_NOTE_CHARACTERS, ReleasedBy
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Clock, Write

MAX_ATTEMPTS = 5  # what the claim has reserved may change during the release; each attempt reads it again


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOrder:
    """What the operator wants: which claim, as it was shown, and who releases it and why.

    ``finding``: what was found where the effect would be, "" when nobody looked. ``force``: release despite a running
    lease, and before a "not found" is final.
    """

    record_id: str
    claim_id: str
    fence: int
    operator: str
    reason: str
    finding: str = ""
    force: bool = False


class ReleaseDesk:
    """Releases open claims. ``undo`` returns the writes that free what a claim has reserved, from the state stored now;
    ``may_have_happened`` says whether a claim's effect lies outside its commit, and so may exist already;
    ``settles_after_seconds`` how long after the last moment at which it can have been sent a "not found" is final;
    ``None`` if that is never so, or is not known here.
    """

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        clock: Clock,
        undo: Callable[[IdempotencyRecord], Sequence[Write]],
        may_have_happened: Callable[[IdempotencyRecord], bool],
        settles_after_seconds: Callable[[IdempotencyRecord], float | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._undo = undo
        self._may_have_happened = may_have_happened
        self._settles_after_seconds = settles_after_seconds

    def release(self, order: ReleaseOrder) -> ReleasedBy:
        """Release the claim and what it reserved in one transaction, and return the trail's record of the release.

        Raises ``NotFound``, ``ReleaseRefused`` with the reason, or ``LeaseLost`` when there is a newer owner.
        """
        by = ReleasedBy(
            operator=_operator(order.operator),
            reason=_note("reason", order.reason, MAX_NOTE_CHARACTERS),
            finding=_note("finding", order.finding, MAX_NOTE_CHARACTERS) if order.finding else "",
            forced=order.force,
            at_ms=self._clock.now_ms(),
        )
        for _ in range(MAX_ATTEMPTS):
            record = self._checked(order)
            try:
                self._store.release(record, self._undo(record), by=by)
            except WriteConflict:
                continue
            return by
        raise ReleaseRefused("What the claim reserved on keeps changing. Nothing was released; try again.")

    def _checked(self, order: ReleaseOrder) -> IdempotencyRecord:
        record = self._store.get(order.record_id)
        if record is None:
            raise NotFound("There is no such claim: it was never made, or was released already.")
        if record.status is RecordStatus.COMPLETED:
            raise ReleaseRefused(
                "The request was executed. Its record is never released: a retry with the same key would be executed "
                "again, as a second charge. For a new operation, the merchant uses a new key."
            )
        if (record.claim_id, record.fence) != (order.claim_id, order.fence):
            raise LeaseLost(
                f"The claim is now {record.claim_id}, fence {record.fence}: somebody else has taken it since it was "
                "shown. Nothing was released; look again."
            )
        now_ms = self._clock.now_ms()
        running = record.status is RecordStatus.IN_PROGRESS and record.lease_expires_at_ms >= now_ms
        # An owner that left the outcome in doubt may have left work running, until the horizon.
        until_ms = record.lease_expires_at_ms if running else record.submit_horizon_ms
        if (running or until_ms > now_ms) and not order.force:
            raise ReleaseRefused(
                f"Its owner may be at work until {_clock_time(until_ms)} UTC, and would go on after a release. Wait, "
                "or use --force when that process is certainly gone."
            )
        if self._may_have_happened(record):
            self._check_what_was_found(record, order, now_ms)
        return record

    def _check_what_was_found(self, record: IdempotencyRecord, order: ReleaseOrder, now_ms: int) -> None:
        if not order.finding:
            raise ReleaseRefused(
                "The claim may have charged already. Look at the gateway, by the reference that is shown; when nothing "
                'is there, say so with --checked-at-gateway "what was found". When it is there, do not release: '
                "recovery finds it and completes the request."
            )
        if order.force:
            return
        seconds = self._settles_after_seconds(record)
        if seconds is None:
            raise ReleaseRefused(
                'No "not found" of this gateway is final, or it is not configured here (PAYONCE_GATEWAYS): what it '
                "does not show may still be executed. Ask its support, and use --force when they have confirmed that "
                "it will not be."
            )
        in_progress = record.status is RecordStatus.IN_PROGRESS
        sent_by_ms = record.lease_expires_at_ms if in_progress else record.submit_horizon_ms
        final_at_ms = sent_by_ms + int(seconds * 1000)
        if final_at_ms > now_ms:
            raise ReleaseRefused(
                f'A "not found" of this gateway is final from {_clock_time(final_at_ms)} UTC on: until then it may '
                "still execute what it does not show. Look again then, or use --force when it has confirmed that it "
                "will not."
            )


def _clock_time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S}"


def _operator(name: str) -> str:
    try:
        return principal_name(name, "Its name")
    except BodyMalformed as error:
        raise ReleaseRefused(f"A release needs an operator. {error.detail}") from error


def _note(name: str, text: str, most: int) -> str:
    stripped = " ".join(text.split())
    if not stripped or len(stripped) > most:
        raise ReleaseRefused(f"A release needs a {name} of 1 to {most} characters.")
    return stripped
