"""The fast loop, once a second: a concurrency limit per gateway, for cliffs and overload.

A gateway is limited only on evidence: more than 5 % of its answers slower than usual, or failing, beyond any chance.
Then the rate at which new attempts may start follows from what it still answers (μ, per second) and from what is in
flight (n)::

    limit = μ x (usual mean latency + ALLOWED_QUEUE_SECONDS)         by Little's law: what belongs in flight
    rate  = μ + (limit - n) / SETTLE_SECONDS                         bring n to the limit in a few seconds

So a gateway that lost half its capacity gets the half it can do, one that hangs gets nothing but probes, and one that
is well again gets more with every second. A false alarm limits nothing: μ is then what was offered, n below the limit.

What it served while it was full is its *ceiling*: what it can do as it is now, whatever it could do before::

    proven 20 ─────────┐ loses its servers                    ┌──── ceiling outgrown, forgotten
                       └─ full: 6 ── ceiling 6, held 10 s ── +1 % a second, +2 %, +4 % ... while it is reached
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.detection.probability import surprise

if TYPE_CHECKING:
    from payonce.routing.signals.observation import GatewaySignals

TAIL = 0.05
ALARM_EVIDENCE = 9.0  # zeros: a week has 600,000 steps, and one false action a week is one too many
ALARM_COUNT = 7  # the fewest that can be such evidence: 0.05 to the seventh
SETTLE_SECONDS = 3.0  # above the loop's delay of about 2 s times pi/2, where a proportional controller begins to swing
ALLOWED_QUEUE_SECONDS = 0.7  # a queue keeps the gateway busy while demand comes in bursts; far below any SLO
KEPT_SHARE = 0.3  # of what it serves, while a queue drains: 70 % of its capacity drains it, and less would idle it
CUT = 0.8  # less than this of the last rate is a cut, and more is the noise of counting
WAIT_SECONDS = 3.0  # after a cut, before anything is given back: until the cut has arrived and has been measured
SLOW_START = 0.5  # of its proven rate: up to there the limit grows by itself, as TCP's window does
GROWTH = 1.2  # per second at most: down at once, up step by step
RELEASE_HEADROOM = 1.1  # of what is wanted from the gateway: then the limit limits nothing
CALM_SECONDS = 3.0  # without alarm, as long as the window, so that an alarm is really over
PEAK_SECONDS = 1800.0  # how long a rate that was served well proves that it can be
WELL_SHARE = 0.2  # of a few answers may be bad ones: more, and nothing is given back on trust
CEILING_DECAY = 0.95  # per second that it is full: what one window of 3 s serves is noisy
CEILING_WAIT_SECONDS = 10.0  # since it was last full, before more than the ceiling is tried
CEILING_GROWTH = 0.01  # per second at first, and twice as much
CEILING_DOUBLING_SECONDS = 15.0  # later, up to
CEILING_GROWTH_MOST = (
    0.1  # so that what is well again has its old rate within a minute, what isn't no alarm each second
)
CEILING_USED = 0.95  # of the ceiling, or what it serves says nothing about whether it could do more
CEILING_LEAST = 0.05  # of its proven rate: lower, and a gateway that hung altogether would climb for ever
CEILING_FORGOTTEN = 1.3  # times its proven rate: then the ceiling says nothing any more
CEILING_SECONDS = 600.0  # without alarm, and it is forgotten, too
PROVEN_FACTOR = 2.0  # how far beyond its proven rate a gateway may be loaded before it is seen how it bears that


@dataclass(slots=True)
class Limit:
    """One gateway. ``rate`` is how many attempts may start per second, ``None`` without limit.

    ``proven_rate`` is what it has been seen to serve well, ``ceiling`` what it served when it was last full, with more
    in flight than it could do; ``None`` when that is long ago.
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
        """What it may be given in all, by what it has been seen to do. Unbounded until anything was seen."""
        known = self.rate if self.rate is not None else self.ceiling
        return known if known is not None else self.untested_rate

    @property
    def untested_rate(self) -> float:
        """What it may be given before payments are refused: far more than was proven, until it is full."""
        return PROVEN_FACTOR * self.proven_rate if self.proven_rate else math.inf


def _answers_well(signals: GatewaySignals) -> bool:
    bad = min(signals.slow, signals.answered) + signals.technical + signals.overdue
    return signals.answered > 0 and bad <= WELL_SHARE * (signals.answered + signals.technical + signals.overdue)


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
    proven = max(served, limit.proven_rate * kept)
    ceiling = _raised(limit, served, now_ms)
    return Limit(None, None, limit.alarmed_at_ms, limit.cut_at_ms, proven, now_ms, ceiling, limit.full_at_ms)


def _raised(limit: Limit, served: float, now_ms: int) -> float | None:
    """The ceiling a second later: higher when it is reached and nothing is wrong, the quicker the longer so."""
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
    """The rate within what may be given back in a second. ``few``: less is in flight than belongs there."""
    grown, well = GROWTH * last + probe_rate, _answers_well(signals)
    if few and well and last < SLOW_START * limit.proven_rate:
        rate = grown  # so little is asked of it that what it serves says nothing about what it could
    if not well and not scarce and last < SLOW_START * (limit.ceiling or limit.proven_rate):
        grown = last  # so little is asked of it that what it bears badly is not its load
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
    """Return the limit for the next second. ``wanted_rate`` is what the weights would send it, per second.

    ``scarce``: payments are being refused, so that nothing is held back to be sure.
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
        # It serves what it is asked for; what it could serve is known from when it was asked for more.
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
