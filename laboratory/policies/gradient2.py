"""Gradient2, the adaptive concurrency limit of Netflix' concurrency-limits (``Gradient2Limit``), one per gateway.

::

    gradient  = clamp(tolerance x long-term latency / latency, 0.5, 1)
    limit     = (1 - smoothing) x limit + smoothing x (limit x gradient + queue)

https://github.com/Netflix/concurrency-limits: ``Gradient2Limit`` in a ``WindowedLimit``, behind a ``SimpleLimiter``.
Two things are kinder than there: the least limit, and that a window with fewer than ten samples is not dropped but goes
on, since a gateway with few payments would keep its limit (goodput in the scenario ``ramp``: 0.982 instead of 0.989).

Payments beyond a gateway's limit go to another gateway below its limit. ``ExactGradient2`` knows the number in flight
over all functions exactly and immediately, which a deployment could only with a shared counter for every payment.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from laboratory.policies.none import REPEAT_SECONDS, NoProtection
from payonce.routing.signals.book import Outcome

if TYPE_CHECKING:
    from laboratory.simulation import Trial

# The library's defaults, except for the minimum: its 20 in flight would never limit gateways of this size.
INITIAL_LIMIT = 20.0
MIN_LIMIT = 4.0
MAX_LIMIT = 200.0
SMOOTHING = 0.2
TOLERANCE = 1.5
QUEUE = 4.0
LONG_WINDOW = 600
WARM_UP = 10
WINDOW_SECONDS = 1.0  # single samples are too noisy, so they are averaged over a second, as in its WindowedLimit
WINDOW_SAMPLES = 10
# The library's ``onIgnore``: a call that failed before its latency could be measured. A timeout is a sample.
NO_SAMPLE = frozenset({Outcome.NEVER_SENT})


class Gradient2:
    """The concurrency limit of one gateway."""

    def __init__(self) -> None:
        self.limit = INITIAL_LIMIT
        self.long = self._sum = 0.0
        self._count = 0

    @property
    def permits(self) -> int:
        """Return how many may be in flight: the library hands out whole permits."""
        return int(self.limit)

    def sample(self, latency: float, in_flight: int) -> None:
        """Update the limit by one averaged latency in seconds, measured with ``in_flight`` attempts."""
        self._average(latency)
        if self.long / latency > 2:  # after a long overload the average falls faster
            self.long *= 0.95
        if in_flight < self.limit / 2:
            return  # below half of the limit, the latency says nothing about it
        gradient = max(0.5, min(1.0, TOLERANCE * self.long / latency))
        wanted = self.limit * gradient + QUEUE
        self.limit = max(MIN_LIMIT, min(MAX_LIMIT, self.limit * (1 - SMOOTHING) + wanted * SMOOTHING))

    def _average(self, latency: float) -> None:
        if self._count < WARM_UP:
            self._count, self._sum = self._count + 1, self._sum + latency
            self.long = self._sum / self._count
        else:
            self.long += (latency - self.long) * 2 / (LONG_WINDOW + 1)


class ExactGradient2(NoProtection):
    """Chooses the preferred gateway within its limit, else the one with the most room, else refuses."""

    name = "gradient2"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.limits = {name: Gradient2() for name in self.names}
        self.in_flight = dict.fromkeys(self.names, 0)
        self.in_flight_at: dict[tuple[int, int], int] = {}  # attempt → number in flight when it was sent, itself too
        self.window: dict[str, list[tuple[float, int]]] = {name: [] for name in self.names}
        self.window_ends = dict.fromkeys(self.names, 0.0)

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        left = [name for name in self.names if name not in excluding] if excluding else self.names
        if not left:
            return REPEAT_SECONDS
        preferred = self.preferred(payment, left)
        if self.in_flight[preferred] < self.limits[preferred].permits:
            return preferred
        room, roomiest = max((self.limits[name].permits - self.in_flight[name], name) for name in left)
        return roomiest if room > 0 else REPEAT_SECONDS

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""
        self.in_flight[gateway] += 1
        self.in_flight_at[payment, attempt] = self.in_flight[gateway]

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
        self.in_flight[gateway] -= 1
        in_flight = self.in_flight_at.pop((payment, attempt))
        if outcome in NO_SAMPLE:
            return
        window, now = self.window[gateway], self.trial.now
        window.append((latency, in_flight))
        if now > self.window_ends[gateway] and len(window) >= WINDOW_SAMPLES:
            mean = sum(latency for latency, _ in window) / len(window)
            self.limits[gateway].sample(mean, max(in_flight for _, in_flight in window))
            window.clear()
            self.window_ends[gateway] = now + WINDOW_SECONDS


STALE_SECONDS = 5.0
LOOP_SECONDS = 5.0


class StaleGradient2(NoProtection):
    """Gradient2 with a shared table instead of exact knowledge: a loop every 5 s over data that are 5 s old.

    Functions can't see the number in flight between two loops, so they admit payments at the ratio of the limit to the
    number that was in flight.
    """

    name = "gradient2_stale"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.limits = {name: Gradient2() for name in self.names}
        self.share = dict.fromkeys(self.names, 1.0)
        self.in_flight = dict.fromkeys(self.names, 0)
        self.past: dict[str, deque[tuple[float, int]]] = {name: deque() for name in self.names}
        self.samples: dict[str, deque[tuple[float, float]]] = {name: deque() for name in self.names}
        trial.clockwork.every(LOOP_SECONDS, self._loop, LOOP_SECONDS)
        trial.clockwork.every(1.0, self._note)

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        left = [name for name in self.names if name not in excluding] if excluding else self.names
        if not left:
            return REPEAT_SECONDS
        preferred = self.preferred(payment, left)
        draw = self.trial.random.random()
        if draw < self.share[preferred]:
            return preferred
        best = max(left, key=self.share.__getitem__)
        return best if best != preferred and draw < self.share[best] else REPEAT_SECONDS

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""
        self.in_flight[gateway] += 1

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
        self.in_flight[gateway] -= 1
        if outcome not in NO_SAMPLE:
            self.samples[gateway].append((self.trial.now, latency))

    def _note(self) -> None:
        for name, past in self.past.items():
            past.append((self.trial.now, self.in_flight[name]))

    def _loop(self) -> None:
        seen_until = self.trial.now - STALE_SECONDS
        for name in self.names:
            latencies, in_flight = [], 0
            while self.samples[name] and self.samples[name][0][0] <= seen_until:
                latencies.append(self.samples[name].popleft()[1])
            while self.past[name] and self.past[name][0][0] <= seen_until:
                in_flight = self.past[name].popleft()[1]
            if len(latencies) >= WINDOW_SAMPLES:
                self.limits[name].sample(sum(latencies) / len(latencies), in_flight)
            self.share[name] = min(1.0, self.limits[name].limit / max(1, in_flight))
