"""The reflex loop: once a second it sets a concurrency limit per gateway, against cliffs and overload.

A gateway is limited only on evidence: significantly more than 5 % of its answers are slower than usual, or fail. Then
the rate at which new attempts may start follows from the rate it still answers (μ, per second) and from the number in
flight (n)::

    limit = μ x (usual mean latency + ALLOWED_QUEUE_SECONDS)         by Little's law: the number to have in flight
    rate  = μ + (limit - n) / SETTLE_SECONDS                         bring n to the limit in a few seconds

So a gateway that lost half of its capacity gets the half it can serve, a hanging one gets only probes, and a recovered
one gets more every second. A false alarm limits nothing: μ then equals the offered rate, and n is below the limit.

The rate it served while saturated is its *ceiling*, its present capacity whatever it was before::

    proven 20 ─────────┐ loses its servers                    ┌──── ceiling outgrown, forgotten
                       └─ full: 6 ── ceiling 6, held 10 s ── +1 % a second, +2 %, +4 % ... while it is used up
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.detection.probability import surprise

if TYPE_CHECKING:
    from payonce.routing.signals.observation import GatewaySignals

TAIL = 0.05
ALARM_EVIDENCE = 9.0  # -log10 of the p-value: with 600,000 steps a week, 1e-9 keeps false alarms below one in years
ALARM_COUNT = 7  # fewer bad answers can't be that significant: 0.05 ** 7 is about 1e-9
SETTLE_SECONDS = 3.0  # well above 2 s (the loop's delay) x 2/pi, below which a proportional controller is unstable
ALLOWED_QUEUE_SECONDS = 0.7  # a short queue keeps the gateway busy under bursty demand; far below any SLO
KEPT_SHARE = 0.3  # the least share of the served rate kept while a queue drains; less would leave the gateway idle
CUT = 0.8  # a new rate below this share of the last is a cut; a smaller change is counting noise
WAIT_SECONDS = 3.0  # no increase for this long after a cut, until its effect has been measured
SLOW_START = 0.5  # below this share of the proven rate the limit grows by itself, as TCP's window does
GROWTH = 1.2  # largest factor of increase per second; decreases are unbounded
RELEASE_HEADROOM = 1.1  # the limit is removed once it exceeds this multiple of the wanted rate
CALM_SECONDS = 3.0  # removal also needs this long without alarm: the window's length, so that the alarm is over
PEAK_SECONDS = 1800.0  # time constant with which a proven rate decays
WELL_SHARE = 0.2  # with a larger share of bad answers the limit does not grow by itself
CEILING_DECAY = 0.95  # fastest decay of the ceiling per saturated second, because a window of 3 s is noisy
CEILING_WAIT_SECONDS = 10.0  # after the last saturation, before more than the ceiling is tried
# The ceiling grows by 1 % per second at first, then twice as fast every 15 s, up to 10 %: a recovered gateway has its
# old rate back within a minute, and one that has not recovered does not raise an alarm every second.
CEILING_GROWTH = 0.01
CEILING_DOUBLING_SECONDS = 15.0
CEILING_GROWTH_MOST = 0.1
CEILING_USED = 0.95  # the ceiling grows only while this share of it is served: less demand proves nothing
CEILING_LEAST = 0.05  # lower bound, as a share of the proven rate: from zero a gateway that hung would climb for ever
CEILING_FORGOTTEN = 1.3  # the ceiling is dropped above this multiple of the proven rate
CEILING_SECONDS = 600.0  # it is also dropped this long after the last saturation
PROVEN_FACTOR = 2.0  # how far beyond its proven rate a gateway may be loaded before it has been measured there


@dataclass(slots=True)
class Limit:
    """The limit of one gateway. Rates are attempts per second, times epoch milliseconds.

    ``rate`` is how many attempts may start, ``None`` without a limit; ``concurrency`` how many may be in flight.
    ``proven_rate`` is the rate it has been seen to serve well. ``ceiling`` is the rate it served when it was last
    saturated, ``None`` if that was long ago.
    """

    rate: float | None = None
    concurrency: float | None = None
    alarmed_at_ms: int = 0
    cut_at_ms: int = 0
    proven_rate: float = 0.0
    at_ms: int = 0
    ceiling: float | None = None
    full_at_ms: int = 0

    @property
    def headroom_rate(self) -> float:
        """Return the total rate it may be given, by past measurements: infinite if there are none."""
        known = self.rate if self.rate is not None else self.ceiling
        return known if known is not None else self.untested_rate

    @property
    def untested_rate(self) -> float:
        """Return the rate it may be given before payments are refused: more than was proven, infinite if unknown."""
        return PROVEN_FACTOR * self.proven_rate if self.proven_rate else math.inf


def _answers_well(signals: GatewaySignals) -> bool:
    bad = min(signals.slow, signals.answered) + signals.technical + signals.overdue
    return signals.answered > 0 and bad <= WELL_SHARE * (signals.answered + signals.technical + signals.overdue)


def is_alarm(signals: GatewaySignals) -> bool:
    """Return whether the gateway is slow or failing now, with a p-value of at most 10 ** -``ALARM_EVIDENCE``."""
    if not signals.expects:
        return False
    ended = signals.answered + signals.technical
    slow, seen = min(signals.slow, ended) + signals.overdue, ended + signals.overdue
    if max(slow, signals.technical) < ALARM_COUNT:
        return False
    return max(surprise(slow, seen, TAIL), surprise(signals.technical, ended, TAIL)) >= ALARM_EVIDENCE


def unlimited(limit: Limit, signals: GatewaySignals, now_ms: int, recent_seconds: float) -> Limit:
    """Return the limit after a second without limiting, in which the rate served counts as proven."""
    kept = math.exp(-max(0, now_ms - limit.at_ms) / 1000 / PEAK_SECONDS)
    served = signals.answered / recent_seconds
    proven = max(served, limit.proven_rate * kept)
    ceiling = _raised(limit, served, now_ms)
    return Limit(None, None, limit.alarmed_at_ms, limit.cut_at_ms, proven, now_ms, ceiling, limit.full_at_ms)


def _raised(limit: Limit, served: float, now_ms: int) -> float | None:
    """Return the ceiling a second later: it grows while it is used up without alarm, the faster the longer."""
    calm_seconds = (now_ms - limit.full_at_ms) / 1000
    if limit.ceiling is None or calm_seconds >= CEILING_SECONDS:
        return None
    if calm_seconds < CEILING_WAIT_SECONDS or served < CEILING_USED * limit.ceiling:
        return limit.ceiling
    pace = 2 ** min(10.0, (calm_seconds - CEILING_WAIT_SECONDS) / CEILING_DOUBLING_SECONDS)
    ceiling = limit.ceiling * (1 + min(CEILING_GROWTH_MOST, CEILING_GROWTH * pace))
    return ceiling if ceiling < CEILING_FORGOTTEN * limit.proven_rate else None


def _within_growth(
    rate: float, last: float, limit: Limit, signals: GatewaySignals, *, few: bool, probe_rate: float, scarce: bool
) -> float:
    """Return the rate bounded by the growth allowed in a second. ``few``: less is in flight than the limit allows."""
    grown, well = GROWTH * last + probe_rate, _answers_well(signals)
    if few and well and last < SLOW_START * limit.proven_rate:
        rate = grown  # at so little load, the rate it serves says nothing about its capacity
    if not well and not scarce and last < SLOW_START * (limit.ceiling or limit.proven_rate):
        grown = last  # at so little load, its bad answers are not due to the load
    rate = min(rate, grown)
    return rate if limit.ceiling is None else min(rate, max(limit.ceiling, probe_rate))


def step(
    limit: Limit,
    signals: GatewaySignals,
    *,
    now_ms: int,
    recent_seconds: float,
    mean_seconds: float,
    wanted_rate: float,
    probe_rate: float,
    scarce: bool = False,
) -> Limit:
    """Return the limit for the next second.

    ``wanted_rate`` is the rate that the weights would send to the gateway, ``probe_rate`` the least it gets, both per
    second. ``signals`` count over ``recent_seconds``; ``mean_seconds`` is its usual mean latency. ``scarce`` says that
    payments are being refused, so that the limit grows without caution.
    """
    alarmed = is_alarm(signals)
    served = signals.answered / recent_seconds
    if not alarmed and limit.rate is None:
        return unlimited(limit, signals, now_ms, recent_seconds)
    following = replace(limit, at_ms=now_ms, alarmed_at_ms=now_ms if alarmed else limit.alarmed_at_ms)
    in_seconds = mean_seconds + ALLOWED_QUEUE_SECONDS
    full = alarmed and signals.in_flight > served * in_seconds
    if full:
        following.full_at_ms = now_ms
        following.ceiling = max(served, CEILING_DECAY * (limit.ceiling or 0.0), CEILING_LEAST * limit.proven_rate)
    else:
        following.ceiling = _raised(following, served, now_ms)
    able = served
    if not full and limit.rate is not None and following.ceiling is not None:
        # It serves what it is sent. Its capacity is better known from when it was sent more.
        able = max(served, min(following.ceiling, limit.rate))
    allowed = able * in_seconds
    rate = max(probe_rate, KEPT_SHARE * served, able + (allowed - signals.in_flight) / SETTLE_SECONDS)
    if limit.rate is not None:
        few = not alarmed and signals.in_flight <= limit.rate * in_seconds
        rate = _within_growth(rate, limit.rate, following, signals, few=few, probe_rate=probe_rate, scarce=scarce)
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
