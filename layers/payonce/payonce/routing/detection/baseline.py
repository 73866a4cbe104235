"""The baseline of one route: what the detector has learned to be usual for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

WARM_UP_SECONDS = 30.0
WARM_UP_SAMPLES = 100
PRIOR_ANSWERED, PRIOR_TECHNICAL = 20.0, 0.2  # a new route is presumed healthy: 1 % of 20 failed


@dataclass(slots=True)
class Baseline:
    """What is usual for one route, and its last steps. Every field is a number or a list of numbers.

    ``log_p95``, ``log_mean`` and ``log_typical`` (the geometric mean) are logarithms of milliseconds; ``spread`` is
    the variance of a single latency's logarithm. ``change`` is the cumulative sum of ``trend``, and ``recent_...`` are
    the steps since it was last zero. ``learned_seconds`` and ``learned_samples`` decide when the baseline is warm.
    """

    log_p95: float = 0.0
    log_mean: float = 0.0
    log_typical: float = 0.0
    spread: float = 0.12
    learned_seconds: float = 0.0
    learned_samples: int = 0
    at_ms: int = 0
    frozen_since_ms: int | None = None
    answered: float = PRIOR_ANSWERED
    technical: float = PRIOR_TECHNICAL
    change: float = 0.0
    peak_in_flight: float = 1.0
    rate: float = 0.0
    recent_at_ms: list[int] = field(default_factory=list)
    recent_log_typical: list[float] = field(default_factory=list)

    @property
    def warm(self) -> bool:
        """Return whether it rests on enough samples to judge by."""
        return self.learned_seconds >= WARM_UP_SECONDS and self.learned_samples >= WARM_UP_SAMPLES

    @property
    def p95_ms(self) -> float:
        """Return the usual 95th percentile of the latency in milliseconds."""
        return math.exp(self.log_p95)

    @property
    def mean_ms(self) -> float:
        """Return the usual mean latency in milliseconds."""
        return math.exp(self.log_mean)
