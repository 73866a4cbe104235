"""A failure-rate circuit breaker per gateway: resilience4j's with all of its documented defaults.

https://resilience4j.readme.io/docs/circuitbreaker: a window of 100 calls, at least 100 of them before the rate is
looked at, open at 50 % failures for 60 s, then 10 trial calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.policies.breaker import SlowCallBreaker
from payonce.routing.signals.book import TECHNICAL

if TYPE_CHECKING:
    from payonce.routing.signals.book import Outcome


class FailureRateBreaker(SlowCallBreaker):
    """Chooses by weight among the gateways whose breaker permits a call; only refused and unknown ones are failures.

    It counts the calls of all functions in one window, which a Lambda could not: each would have a window of its own.
    """

    name = "failure_breaker"

    def bad(self, latency: float, outcome: Outcome) -> bool:
        """Return whether a call has failed, however long it took."""
        return outcome in TECHNICAL
