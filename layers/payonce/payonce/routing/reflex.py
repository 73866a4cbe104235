"""The fast loop, once a second: a concurrency limit per gateway, for cliffs and overload.

A gateway is limited only on evidence: more than 5 % of its answers slower than usual, or failing, beyond any chance.
Then the rate at which new attempts may start follows from what it still answers (μ, per second) and from what is in
flight (n)::

    limit = μ x (usual mean latency + ALLOWED_QUEUE_SECONDS)         by Little's law: what belongs in flight
    rate  = μ + (limit - n) / SETTLE_SECONDS                         bring n to the limit in a few seconds

So a gateway that lost half its capacity gets the half it can do, one that hangs gets nothing but probes, and one that
is well again gets more with every second. A false alarm limits nothing: μ is then what was offered, n below the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.probability import surprise

if TYPE_CHECKING:
    from payonce.routing.observation import GatewaySignals

TAIL = 0.05
ALARM_EVIDENCE = 9.0  # zeros: a week has 600,000 steps, and one false action a week is one too many
ALARM_COUNT = 7  # the fewest that can be such evidence: 0.05 to the seventh
SETTLE_SECONDS = 3.0  # above the loop's delay of about 2 s times pi/2, where a proportional controller begins to swing
ALLOWED_QUEUE_SECONDS = 0.5  # a short queue keeps the gateway busy; far below any SLO
KEPT_SHARE = 0.3  # of what it serves, while a queue drains: 70 % of its capacity drains it, and less would idle it
CUT = 0.8  # less than this of the last rate is a cut, and more is the noise of counting
WAIT_SECONDS = 3.0  # after a cut, before anything is given back: until the cut has arrived and has been measured
SLOW_START = 0.5  # of its proven rate: up to there the limit grows by itself, as TCP's window does
GROWTH = 1.2  # per second at most: down at once, up step by step
RELEASE_HEADROOM = 1.1  # of what is wanted from the gateway: then the limit limits nothing
CALM_SECONDS = 3.0  # without alarm, as long as the window, so that an alarm is really over
PEAK_SECONDS = 1800.0  # how long a rate that was served well proves that it can be
PROVEN_FACTOR = 2.0  # how far beyond its proven rate a gateway may be loaded before it is seen how it bears that


@dataclass(slots=True)
class Limit:
    """One gateway. ``rate`` is how many attempts may start per second, ``None`` without limit."""

    rate: float | None = None
    concurrency: float | None = None
    alarmed_at_ms: int = 0
    cut_at_ms: int = 0
    proven_rate: float = 0.0
    at_ms: int = 0

    @property
    def headroom_rate(self) -> float:
        """What it may be given in all, by what it has been seen to do. Unbounded until anything was seen."""
        if self.rate is not None:
            return self.rate
        return PROVEN_FACTOR * self.proven_rate if self.proven_rate else math.inf


def is_alarm(signals: GatewaySignals) -> bool:
    """Whether the gateway is slow or failing right now, beyond any chance."""
    if not signals.expects:
        return False
    ended = signals.answered + signals.technical
    slow, seen = min(signals.slow, ended) + signals.overdue, ended + signals.overdue
    if max(slow, signals.technical) < ALARM_COUNT:
        return False
    return max(surprise(slow, seen, TAIL), surprise(signals.technical, ended, TAIL)) >= ALARM_EVIDENCE


def unlimited(limit: Limit, signals: GatewaySignals, now_ms: int, recent_seconds: float) -> Limit:
    """A second without a limit: what was served is proven."""
    kept = math.exp(-max(0, now_ms - limit.at_ms) / 1000 / PEAK_SECONDS)
    served = signals.answered / recent_seconds
    return Limit(None, None, limit.alarmed_at_ms, limit.cut_at_ms, max(served, limit.proven_rate * kept), now_ms)


def step(
    limit: Limit,
    signals: GatewaySignals,
    *,
    now_ms: int,
    recent_seconds: float,
    mean_seconds: float,
    wanted_rate: float,
    probe_rate: float,
) -> Limit:
    """Return the limit for the next second. ``wanted_rate`` is what the weights would send it, per second."""
    alarmed = is_alarm(signals)
    served = signals.answered / recent_seconds
    if not alarmed and limit.rate is None:
        return unlimited(limit, signals, now_ms, recent_seconds)
    following = replace(limit, at_ms=now_ms, alarmed_at_ms=now_ms if alarmed else limit.alarmed_at_ms)
    allowed = served * (mean_seconds + ALLOWED_QUEUE_SECONDS)
    rate = max(probe_rate, KEPT_SHARE * served, served + (allowed - signals.in_flight) / SETTLE_SECONDS)
    if limit.rate is not None:
        grown = GROWTH * limit.rate + probe_rate
        few = signals.in_flight <= limit.rate * (mean_seconds + ALLOWED_QUEUE_SECONDS)
        if few and not alarmed and limit.rate < SLOW_START * limit.proven_rate:
            rate = grown  # so little is asked of it that what it serves says nothing about what it could
        rate = min(rate, grown)
        if rate < CUT * limit.rate:
            following.cut_at_ms = now_ms
        elif now_ms - limit.cut_at_ms < WAIT_SECONDS * 1000:
            rate = min(rate, limit.rate)
    calm = now_ms - following.alarmed_at_ms >= CALM_SECONDS * 1000
    if calm and rate >= RELEASE_HEADROOM * wanted_rate:
        following.rate = following.concurrency = None
    else:
        following.rate, following.concurrency = rate, max(1.0, allowed)
    return following
