"""The fake's clock: the machine's time plus what was added to it, and Adyen's spelling of a time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock:
    """Virtual time in epoch milliseconds. It never goes back. Thread-safe."""

    def __init__(self) -> None:
        self._added_ms = 0
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Return the virtual time in epoch milliseconds."""
        with self._lock:
            return time.time_ns() // 1_000_000 + self._added_ms

    def advance(self, by_ms: int) -> None:
        """Add ``by_ms`` to the time. Raises ``ValueError`` if it is negative."""
        if by_ms < 0:
            raise ValueError("the clock does not go back")
        with self._lock:
            self._added_ms += by_ms


def iso8601(at_ms: int) -> str:
    """Return the time as ``eventDate`` spells it: whole seconds with an offset, ``2021-01-01T01:00:00+00:00``."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()
