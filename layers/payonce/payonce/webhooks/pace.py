"""How many deliveries of a lane are under way at the same time: more while the receiver is quick, fewer when it is not.

::

    accepted, about as quick as ever      one more       (so twice as many after each round)
    accepted, several times as slow       one fewer      (they wait for one another at the receiver)
    refused, or no answer                 half as many; and one at a time until something is accepted again

The measure of "quick" is the receiver's own quickest answer. It is forgotten slowly, so that a receiver that has become
slow for good is not held down for ever; and each session begins with a quarter of the width, which measures it without
the load that we make ourselves. Both are kept in the gate between sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_WIDTH = 10  # of the first session of an endpoint
RESTART = 4  # a session begins with the last one's width divided by this, and has it again after two answers each
MOST_WIDTH = 64  # threads of one execution: at 0.2 s an answer more than its processor can make
QUICK_FACTOR, SLOW_FACTOR = 2, 4  # times the quickest answer
SLACK_MS = 50  # a network's ordinary variation, which is no sign of load
FORGETTING = 1_000  # answers in which the quickest one fades by about two thirds


@dataclass(slots=True)
class Pace:
    """The width of one lane. ``reduced``: the receiver has made it smaller in this session."""

    width: int = FIRST_WIDTH
    quickest_ms: float = 0.0
    reduced: bool = False

    @classmethod
    def after(cls, width: int, quickest_ms: int) -> Pace:
        """Return the pace of a session after one that ended with these."""
        return cls(max(1, width // RESTART), quickest_ms)

    def accepted(self, latency_ms: int) -> None:
        """Take in the latency of an accepted delivery."""
        if not self.quickest_ms or latency_ms <= self.quickest_ms:
            self.quickest_ms = latency_ms
        else:
            self.quickest_ms += (latency_ms - self.quickest_ms) / FORGETTING
        if latency_ms <= QUICK_FACTOR * self.quickest_ms + SLACK_MS:
            self.width = min(MOST_WIDTH, self.width + 1)
        elif latency_ms > SLOW_FACTOR * self.quickest_ms + SLACK_MS:
            self._reduce(self.width - 1)

    def failed(self) -> None:
        """Take in a failure."""
        self._reduce(self.width // 2)

    def _reduce(self, width: int) -> None:
        self.reduced = True
        self.width = max(1, width)
