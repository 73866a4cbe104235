"""The data of a scenario: gateways, demand, and faults with their times, drawn from ranges by the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from payonce.domain.durations import DAY_SECONDS, HOUR_SECONDS

HEALTHY_MEDIAN_MS = 600.0
SIGMA = 0.35  # standard deviation of the log latency: the p95 is 1.8 times the median, as for card authorisations
OUTLIERS = 0.002  # share of a healthy gateway's answers that take seconds longer
OUTLIER_MS = (1500.0, 5000.0)
FACTORS = frozenset({"slow", "late", "capacity"})  # kinds of faults whose strength multiplies; others are probabilities
PEAK_HOURS = ((12.5, 1.5), (19.5, 2.0))  # a shop's busy times: after lunch, and in the evening; hour and its spread


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """A gateway. ``servers`` is how many authorisations it processes concurrently; further ones queue.

    ``sigma`` is the standard deviation of the log latency; ``declined`` and ``failing`` are probabilities. ``tail`` is
    lognormal; pareto (the slowest sixth falls off by a power law); or mixture (a few answers are a slower issuer's).
    """

    name: str
    servers: int
    fee_basis_points: int
    median_ms: float = HEALTHY_MEDIAN_MS
    sigma: float = SIGMA
    declined: float = 0.08
    failing: float = 0.002
    tail: str = "lognormal"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one gateway from ``start`` to ``end``, in seconds. A ``start`` below 0 is before the first payment.

    ``kind`` gives the meaning of ``strength``:

    - slow: factor on the service time, so that servers are occupied longer and become scarce;
    - late: factor on the time until the answer, which occupies no server (a slow network or issuer);
    - capacity: factor on the number of servers;
    - limit: attempts per second beyond which the gateway's own limiter refuses;
    - hang, unknown, fail, loss, decline: probabilities of no answer, of a quick error that leaves the outcome unknown,
      of a refused connection, of a lost packet, and of a decline.

    ``shape`` is step; ramp (a factor grows exponentially from 1, a probability linearly from 0, over ``ramp_seconds``,
    and then holds); square (on for ``on_seconds``, by default half, of each ``period_seconds``); daily (a wave with its
    maximum at noon); peaks (two maxima a day, with the demand's); hill (a factor that rises from 1 to its maximum
    in the middle and falls back to 1 at the end). Empty ``methods`` mean all methods.
    """

    kind: str
    gateway: str
    start: float
    end: float
    strength: float
    shape: str = "step"
    ramp_seconds: float = 0.0
    period_seconds: float = 0.0
    on_seconds: float = 0.0
    methods: tuple[str, ...] = ()

    def at(self, seconds: float) -> float | None:
        """Return the strength at a time, ``None`` while the fault has no effect."""
        if not self.start <= seconds < self.end:
            return None
        if self.shape == "ramp":
            share = min(1.0, (seconds - self.start) / self.ramp_seconds)
            return float(self.strength**share) if self.kind in FACTORS else self.strength * share
        if self.shape == "square":
            on_seconds = self.on_seconds or self.period_seconds / 2
            return self.strength if (seconds - self.start) % self.period_seconds < on_seconds else None
        if self.shape == "daily":
            return 1 + (self.strength - 1) * (1 - math.cos(2 * math.pi * seconds / DAY_SECONDS)) / 2
        if self.shape == "peaks":
            return 1 + (self.strength - 1) * peaks(seconds)
        if self.shape == "hill":
            return 1 + (self.strength - 1) * math.sin(math.pi * (seconds - self.start) / (self.end - self.start))
        return self.strength


def peaks(seconds: float) -> float:
    """Return how near the time of day is to one of the two busy times: 1 at a peak, near 0 at night."""
    hour = seconds % DAY_SECONDS / HOUR_SECONDS
    return max(math.exp(-(((hour - peak) / spread) ** 2) / 2) for peak, spread in PEAK_HOURS)


@dataclass(frozen=True, slots=True)
class Surge:
    """A surge: demand is multiplied by ``factor`` from ``start`` to ``end``, for one ``merchant`` or for all."""

    start: float
    end: float
    factor: float
    merchant: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """How late the stream of claims and commits reaches a policy that reads it.

    Without bursts each event arrives ``seconds`` after it was written. With them, a delivery comes about every
    ``burst_seconds`` (half to one and a half times that) and holds what was written up to ``seconds``, plus at most
    ``jitter_seconds``, before it. The default is a DynamoDB stream polled four times a second, plus the invocation;
    with every split of a shard its reader falls seconds behind
    (https://phpout.com/questions/amazon-web-sevices/amazon-web-services-dynamodb-stream-lambda-iterator-age).
    """

    seconds: float = 0.6
    jitter_seconds: float = 0.0
    burst_seconds: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. ``rate`` is payments per second.

    ``profile`` makes it vary over the day and fall at the weekend: daily has its maximum at noon, peaks has two maxima.
    ``fault_at`` and ``healed_at`` bound the trouble, in seconds; ``ailing`` is the gateway in trouble, if it is one.
    ``harmless`` says that there is nothing to win by changing routes, so that changing them is a fault.
    ``neutral`` are the shares of the gateways while nothing is wrong, even ones by default: read ``weights``.
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
    profile: str = ""
    ailing: str | None = None
    fault_at: float = 0.0
    healed_at: float = 0.0
    harmless: bool = False
    neutral: dict[str, float] = field(default_factory=dict)
    stream: Stream = Stream()

    @property
    def weights(self) -> dict[str, float]:
        """Return the neutral weight of every gateway, by its name; they sum to 1."""
        return self.neutral or {spec.name: 1 / len(self.gateways) for spec in self.gateways}
