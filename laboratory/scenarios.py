"""The data of a scenario: gateways, demand, and faults with their times, drawn from ranges by the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HEALTHY_MEDIAN_MS = 600.0
SIGMA = 0.35  # standard deviation of the log latency: the p95 is 1.8 times the median, as for card authorisations
OUTLIERS = 0.002  # share of a healthy gateway's answers that take seconds longer
OUTLIER_MS = (1500.0, 5000.0)


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """A gateway. ``servers`` is how many authorisations it processes concurrently; further ones queue.

    ``sigma`` is the standard deviation of the log latency; ``declined`` and ``failing`` are probabilities.
    """

    name: str
    servers: int
    fee_basis_points: int
    median_ms: float = HEALTHY_MEDIAN_MS
    sigma: float = SIGMA
    declined: float = 0.08
    failing: float = 0.002


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one gateway from ``start`` to ``end``, in seconds.

    ``kind`` gives the meaning of ``strength``: slow (factor on the service time), capacity (factor on servers), hang,
    fail, loss, decline (probabilities). ``shape`` is step; ramp (grows exponentially over ``ramp_seconds``, then
    holds); square (on and off for half a ``period_seconds`` each); daily (a wave with its maximum at noon). Empty
    ``methods`` mean all methods.
    """

    kind: str
    gateway: str
    start: float
    end: float
    strength: float
    shape: str = "step"
    ramp_seconds: float = 0.0
    period_seconds: float = 0.0
    methods: tuple[str, ...] = ()

    def at(self, seconds: float) -> float | None:
        """Return the strength at a time, ``None`` while the fault has no effect."""
        if not self.start <= seconds < self.end:
            return None
        if self.shape == "ramp":
            return float(self.strength ** min(1.0, (seconds - self.start) / self.ramp_seconds))
        if self.shape == "square":
            return self.strength if (seconds - self.start) % self.period_seconds < self.period_seconds / 2 else None
        if self.shape == "daily":
            return 1 + (self.strength - 1) * (1 - math.cos(2 * math.pi * seconds / 86_400)) / 2
        return self.strength


@dataclass(frozen=True, slots=True)
class Surge:
    """A surge: demand is multiplied by ``factor`` from ``start`` to ``end``, for one ``merchant`` or for all."""

    start: float
    end: float
    factor: float
    merchant: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. ``rate`` is payments per second; ``daily`` makes it vary over the day and fall at the weekend.

    ``fault_at`` and ``healed_at`` bound the trouble, in seconds; ``ailing`` is the gateway in trouble.
    """

    name: str
    gateways: tuple[GatewaySpec, ...]
    rate: float
    seconds: float
    faults: tuple[Fault, ...] = ()
    surges: tuple[Surge, ...] = ()
    methods: dict[str, float] = field(default_factory=lambda: {"card": 0.7, "wallet": 0.3})
    merchants: int = 20
    batch_share: float = 0.1
    protected_share: float = 0.05
    daily: bool = False
    ailing: str | None = None
    fault_at: float = 0.0
    healed_at: float = 0.0
