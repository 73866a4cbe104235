"""When the stream of claims and commits reaches its reader."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laboratory.scenarios import Stream


class Deliveries:
    """The deliveries of one trial's stream, drawn from the stream's own seed."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._random = stream, Random(stream.seed)
        self._next = 0.0
        self._seen = -stream.seconds - stream.jitter_seconds

    def seen_until(self, now: float) -> float:
        """Return up to when events have been delivered at the second ``now``, which must not go back."""
        stream = self._stream
        if not stream.burst_seconds:
            return now - stream.seconds
        while self._next <= now:
            late = stream.seconds + stream.jitter_seconds * self._random.random()
            self._seen = max(self._seen, self._next - late)
            self._next += stream.burst_seconds * self._random.uniform(0.5, 1.5)
        return self._seen
