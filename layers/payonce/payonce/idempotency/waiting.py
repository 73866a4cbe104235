"""Waits for the owner of a key: a duplicate gets its answer, or takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import KeyInProgress, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Clock

FIRST_POLL_SECONDS = 0.05  # a gateway call takes about 100 ms: poll fast at first, then back off
MAX_POLL_SECONDS = 0.5


class Waiting:
    """Reads a record that another owner holds, until it changes."""

    def __init__(self, store: IdempotencyStore, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep

    def for_change(self, waited_id: str, give_up_at_ms: int) -> None:
        """Return once the record may be claimed, replayed or taken over. Raises ``KeyInProgress`` after the limit."""
        pause_seconds = FIRST_POLL_SECONDS
        while True:
            now_ms = self._clock.now_ms()
            if now_ms + pause_seconds * 1000 > give_up_at_ms:
                raise KeyInProgress(
                    "A request with this idempotency key is still in progress. Retry with the same key and body.",
                    retry_after_seconds=1,
                )
            self._sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, MAX_POLL_SECONDS)
            if self.has_changed(waited_id):
                return

    def has_changed(self, waited_id: str) -> bool:
        """Return whether the record may be claimed, replayed or taken over now."""
        try:
            record = self._store.get(waited_id)
        except StoreUnavailable:
            return False  # as far as we know
        return record is None or record.response is not None or record.lease_expires_at_ms < self._clock.now_ms()
