"""Replays and conflicts, which leave no item: each environment counts them, and logs what it counted now and then.

::

    replay ─ a line at once      replay, replay, conflict … within 10 s: counted, no line      next ─ one line of all

What an environment has counted since its last line, at most 10 s of it, waits for its next such request, and is lost
with the environment. So at most one line in 10 s comes of an environment, however often a client repeats itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from payonce.overview.scopes import EVERYBODY

if TYPE_CHECKING:
    from payonce.ports import Clock, Log

COUNTED_MESSAGE = "requests counted"
REPLAYED = "replayed"
CONFLICT_PREFIX = "conflict:"
CONFLICTS = frozenset({"KeyReused", "KeyInProgress", "KeyExpired"})
NAMES = frozenset({REPLAYED, *(CONFLICT_PREFIX + name for name in CONFLICTS)})
LINE_EVERY_MS = 10_000
MOST_MERCHANTS = 50  # of a line; more are counted for the platform alone


class RequestCounts:
    """Counts the requests of one environment that leave no item. Each of its calls is of one thread at a time."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._counts: dict[str, Counter[str]] = {}
        self._told_at_ms = -LINE_EVERY_MS

    def note(self, merchant_id: str, name: str) -> None:
        """Count one request; log what was counted unless there was a line within ``LINE_EVERY_MS``."""
        if merchant_id not in self._counts and len(self._counts) >= MOST_MERCHANTS:
            merchant_id = EVERYBODY
        self._counts.setdefault(merchant_id, Counter())[name] += 1
        now_ms = self._clock.now_ms()
        if 0 <= now_ms - self._told_at_ms < LINE_EVERY_MS:
            return
        counts, self._counts, self._told_at_ms = self._counts, {}, now_ms
        self._log.info(COUNTED_MESSAGE, extra={"counts": {who: dict(some) for who, some in counts.items()}})

    def refused(self, merchant_id: str, error: Exception) -> None:
        """Count a refusal if it is a conflict of keys."""
        name = type(error).__name__
        if name in CONFLICTS:
            self.note(merchant_id, CONFLICT_PREFIX + name)
