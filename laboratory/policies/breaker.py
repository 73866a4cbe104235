"""A slow-call circuit breaker per gateway, as in resilience4j, with exact knowledge of all calls."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from laboratory.policies.none import REPEAT_SECONDS, NoProtection
from payonce.routing.signals.book import TECHNICAL

if TYPE_CHECKING:
    from laboratory.simulation import Trial
    from payonce.routing.signals.book import Outcome

# resilience4j's defaults, except for the slow calls: with its default of 60 s it would never open.
WINDOW_CALLS = 100
FAILURE_RATE = 0.5
SLOW_RATE = 0.5  # the default of 1.0 would open only if every call were slow
SLOW_SECONDS = 2.0
OPEN_SECONDS = 60.0
TRIAL_CALLS = 10


class _Breaker:
    def __init__(self) -> None:
        self.calls: deque[bool] = deque(maxlen=WINDOW_CALLS)
        self.open_until = 0.0
        self.half_open = False
        self.permitted = 0

    def permits(self, now: float) -> bool:
        if now < self.open_until:
            return False
        if self.open_until and not self.half_open:
            self.half_open, self.permitted = True, TRIAL_CALLS
            self.calls = deque(maxlen=TRIAL_CALLS)
        return not self.half_open or self.permitted > 0

    def ended(self, now: float, *, bad: bool) -> None:
        if now < self.open_until:
            return
        self.calls.append(bad)
        if len(self.calls) < (self.calls.maxlen or 0):
            return
        if sum(self.calls) >= SLOW_RATE * len(self.calls):
            self.open_until, self.half_open = now + OPEN_SECONDS, False
            self.calls = deque(maxlen=WINDOW_CALLS)
        elif self.half_open:
            self.open_until, self.half_open = 0.0, False
            self.calls = deque(maxlen=WINDOW_CALLS)


class SlowCallBreaker(NoProtection):
    """Chooses evenly among the gateways whose breaker permits a call."""

    name = "breaker"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.breakers = {name: _Breaker() for name in self.names}

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        now = self.trial.now
        left = [name for name in self.names if name not in excluding and self.breakers[name].permits(now)]
        return self.preferred(payment, left) if left else REPEAT_SECONDS

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""
        self.breakers[gateway].permitted -= 1

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
        self.breakers[gateway].ended(self.trial.now, bad=self.bad(latency, outcome))

    def bad(self, latency: float, outcome: Outcome) -> bool:
        """Return whether a call counts as slow or failed."""
        return latency > SLOW_SECONDS or outcome in TECHNICAL
