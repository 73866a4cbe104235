"""Accepts a gateway's event: keeps it, then queues it, and only then may the gateway be told that we have it.

::

    keep (conditional) ── queue ── 200
         │                  │
         │                  └ killed here: applied, and the gateway's next copy finds that
         └ killed here: kept and not queued; the gateway saw no 200, sends it again, and the copy is queued

Whatever is not applied yet is queued again with every copy. Applying twice changes nothing, losing it would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.notices.kept import NoticeState, insert_notice, key_of, place_of
from payonce.notices.message import ApplyMessage
from payonce.notices.told import told_writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import Notice
    from payonce.ports import Clock, Database, MessageQueue


class Acceptance:
    """Keeps and queues events whose signature has been verified."""

    def __init__(self, *, database: Database, queue: MessageQueue, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock

    def accept(self, gateway: str, notices: Sequence[Notice], body: bytes, *, signed_by: str = "") -> int:
        """Keep the notices of one request and queue those that are not applied yet; return how many were queued.

        ``signed_by`` is the merchant whose own secret has signed them, "" for the platform's.

        Idempotent. Raises ``StoreUnavailable`` and ``OutcomeUnknown``: the gateway has to send the event again.
        """
        waiting = [notice for notice in notices if not self._is_applied(gateway, notice, body, signed_by)]
        if waiting:
            place = place_of(gateway, signed_by)
            self._queue.send([ApplyMessage(key_of(place, notice.notice_id)).to_queue() for notice in waiting])
        return len(waiting)

    def _is_applied(self, gateway: str, notice: Notice, body: bytes, signed_by: str) -> bool:
        try:
            now_ms = self._clock.now_ms()
            kept = insert_notice(gateway, notice, body, now_ms=now_ms, signed_by=signed_by)
            told = told_writes(gateway, notice, now_ms=now_ms, signed_by=signed_by)
            self._database.write([kept, *told])
        except WriteConflict as conflict:
            return conflict.current is not None and conflict.current["state"] == NoticeState.APPLIED.value
        return False
