"""Is a route worse than it usually is, and is it getting worse? Learns what is usual per route, while it runs.

The question asked of every window is one exact test: do more than 5 % take longer than the usual p95 times a factor?
It needs no threshold per gateway and says by itself how much evidence a small window holds.

What is usual is learned with constants in seconds, so a quiet night and a busy noon learn alike, and not at all while
the route looks worse: a ramp must not become the new normal. Only after ``MAX_FROZEN_SECONDS`` it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.detection import trend
from payonce.routing.detection.baseline import PRIOR_ANSWERED, PRIOR_TECHNICAL, Baseline
from payonce.routing.detection.probability import beta_cdf, surprise

if TYPE_CHECKING:
    from payonce.routing.signals.observation import CellSignals

TAIL = 0.05  # by the meaning of p95
ELEVATED_FACTOR = 1.3  # of the usual p95: less is weather
ELEVATED_EVIDENCE = 4.0  # zeros: 1 in 10,000 windows by chance, and two windows in a row are needed
DOUBTFUL_FACTOR = 1.15
DOUBTFUL_EVIDENCE = 2.0  # enough to stop learning
DOUBTFUL_DEVIATION = 2.0  # standard deviations of the typical latency: enough to give no trust back
BLEMISH_EVIDENCE = 1.0  # one bad answer of two, two of ten: enough to go on distrusting a route that is demoted
WELL_SHARE = 0.2  # of a few probes: five may hold one slow answer, one may not be it
OVERLOAD = 1.2  # of the usual rate
LEARN_SECONDS = 600.0  # follows the day, not a ramp of minutes
MAX_FROZEN_SECONDS = 3600.0  # an hour worse is the new usual: a bank has moved its data centre
SUCCESS_SECONDS = 30.0  # how long an outcome weighs in the success rate
MAX_TECHNICAL = 0.05  # a gateway that fails more often than this is worse than its alternative
BREACH_SCALE_SECONDS = 60.0
MAX_BREACH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """One route at one step. ``features`` are what the forecast is made of; 0 is unremarkable in all of them.

    ``elevated``: its tail is worse than usual beyond doubt. ``rising``: its typical latency has left what is usual,
    which matters when the forecast says where it goes. ``suspect``: enough against it to believe it when the gateway's
    other methods are elevated. ``well``: has answered in this window, and nothing speaks against it. ``overloaded``: it
    is asked for much more than usual, which the concurrency limit answers: its share is none the worse for it. ``good``
    and ``bad`` are what has ended since the last step, the overdue among the bad.
    """

    features: dict[str, float]
    elevated: bool
    rising: bool
    suspect: bool
    well: bool
    overloaded: bool
    reasons: tuple[str, ...]
    good: int = 0
    bad: int = 0

    @property
    def blemished(self) -> bool:
        """Whether what has ended since the last step, or is overdue, is worse than chance has it once in ten times."""
        return surprise(self.bad, self.good + self.bad, TAIL) >= BLEMISH_EVIDENCE


@dataclass(frozen=True, slots=True)
class _Window:
    log_p95: float
    log_typical: float
    evidence: float
    doubt: float
    slow_share: float


def assess(
    baseline: Baseline, signals: CellSignals, now_ms: int, slo_ms: float, *, demoted: bool = False
) -> tuple[Baseline, Assessment]:
    """Judge the window, then learn from it. Pure: returns the next baseline.

    ``demoted``: the route has less than its neutral share, so that its load says nothing about what is usual.
    """
    seconds = min(60.0, max(0.0, (now_ms - baseline.at_ms) / 1000)) if baseline.at_ms else 0.0
    following = replace(baseline, at_ms=now_ms)
    _count_outcomes(following, signals, seconds)
    technical = _failing_probability(following)
    window = _window(baseline, signals)
    deviation = trend.follow(following, signals, window.log_typical)
    slow, failing = window.evidence >= ELEVATED_EVIDENCE, technical >= 1 - 10**-ELEVATED_EVIDENCE
    doubtful = window.doubt >= DOUBTFUL_EVIDENCE or technical > 0.5
    features = _features(following, signals, window, math.log(slo_ms)) | {"technical": technical}
    if signals.sketch.total:
        frozen = _is_frozen(following, worse=doubtful or following.change >= trend.DOUBTFUL_CHANGE)
        if not demoted and not (frozen and doubtful):
            _learn_load(following, signals, seconds)
        if not frozen:
            _learn(following, signals, window, seconds)
    unsuspected = not doubtful and deviation < DOUBTFUL_DEVIATION and window.slow_share <= WELL_SHARE
    return following, Assessment(
        features,
        elevated=slow or failing,
        rising=trend.is_rising(following),
        suspect=window.evidence >= DOUBTFUL_EVIDENCE,
        well=bool(signals.sketch.total) and unsuspected,
        overloaded=baseline.warm and is_overload(signals.started, baseline.rate, signals.span_seconds),
        reasons=("latency",) * slow + ("technical_errors",) * failing,
        good=signals.good,
        bad=signals.bad + signals.overdue,
    )


def _window(baseline: Baseline, signals: CellSignals) -> _Window:
    sketch, evidence, doubt, slow_share = signals.sketch, 0.0, 0.0, 0.0
    if baseline.warm and sketch.total:
        above = sketch.above(ELEVATED_FACTOR * baseline.p95_ms)
        evidence, slow_share = surprise(above, sketch.total, TAIL), above / sketch.total
        doubt = surprise(sketch.above(DOUBTFUL_FACTOR * baseline.p95_ms), sketch.total, TAIL)
    log_p95 = math.log(max(1.0, sketch.quantile_ms(1 - TAIL)))
    return _Window(log_p95, sketch.mean_log(), evidence, doubt, slow_share)


def is_overload(started: float, usual_per_second: float, seconds: float) -> bool:
    """Whether so many in so many seconds are much more than usual, beyond two standard deviations of chance."""
    usual = usual_per_second * seconds
    return started > OVERLOAD * usual + 2 * math.sqrt(usual)


def _failing_probability(following: Baseline) -> float:
    # The posterior of the technical errors' share is a Beta distribution. Far below the bound it is not worth its time.
    if following.technical < MAX_TECHNICAL / 4 * (following.answered + following.technical):
        return 0.0
    return 1 - beta_cdf(MAX_TECHNICAL, following.technical, following.answered)


def _count_outcomes(following: Baseline, signals: CellSignals, seconds: float) -> None:
    # The window overlaps its predecessor: only the share of it that is new is counted.
    kept, share = math.exp(-seconds / SUCCESS_SECONDS), min(1.0, seconds / signals.span_seconds)
    following.answered = PRIOR_ANSWERED + (following.answered - PRIOR_ANSWERED) * kept + signals.answered * share
    following.technical = PRIOR_TECHNICAL + (following.technical - PRIOR_TECHNICAL) * kept + signals.technical * share


def _features(following: Baseline, signals: CellSignals, window: _Window, log_slo: float) -> dict[str, float]:
    slope = trend.slope_per_second(following)
    log_p95 = window.log_p95
    usual = following.log_p95 if following.warm else log_p95
    known = following.warm and signals.sketch.total
    drift = max(0.0, window.log_typical - following.log_typical) if known else 0.0
    projected = 0.0
    if trend.is_rising(following):
        projected = trend.projected(drift, slope, log_slo - usual)
    elif window.evidence >= ELEVATED_EVIDENCE:  # worse beyond doubt, but since when is not known
        projected = trend.projected(drift, 0.0, log_slo - usual)
    breach_seconds = MAX_BREACH_SECONDS
    if log_p95 >= log_slo:
        breach_seconds = 0.0
    elif slope > 0:
        breach_seconds = min(MAX_BREACH_SECONDS, (log_slo - log_p95) / slope)
    ratio = max(1, signals.in_flight) / following.peak_in_flight
    return {
        "above_usual": max(0.0, log_p95 - usual),
        "near_slo": max(-2.0, log_p95 - log_slo),
        "slope_per_minute": max(0.0, slope * 60),
        "breach_soon": math.exp(-breach_seconds / BREACH_SCALE_SECONDS),
        "change": following.change,
        "drift": drift,
        "projected": projected,
        "evidence": window.evidence,
        "in_flight": max(0.0, math.log(ratio)),
        "overdue": signals.overdue / max(1, signals.sketch.total),
    }


def _is_frozen(following: Baseline, *, worse: bool) -> bool:
    if not worse or not following.warm:
        following.frozen_since_ms = None
        return False
    following.frozen_since_ms = following.frozen_since_ms or following.at_ms
    return following.at_ms - following.frozen_since_ms < MAX_FROZEN_SECONDS * 1000


def _gain(following: Baseline, seconds: float) -> float:
    # While young, an average of everything; later, of the last LEARN_SECONDS.
    return 1 - math.exp(-seconds / min(LEARN_SECONDS, max(following.learned_seconds, seconds, 1.0)))


def _learn_load(following: Baseline, signals: CellSignals, seconds: float) -> None:
    # Not while demoted: by its few probes, its own share would later look like an overload, which demotes nobody.
    rate = signals.started / signals.span_seconds
    following.rate += _gain(following, seconds) * (rate - following.rate) if following.learned_samples else rate
    decay = math.exp(-seconds / LEARN_SECONDS)
    following.peak_in_flight = max(1.0, float(signals.in_flight), following.peak_in_flight * decay)


def _learn(following: Baseline, signals: CellSignals, window: _Window, seconds: float) -> None:
    log_mean = math.log(max(1.0, signals.sketch.mean_ms()))
    if not following.learned_samples:
        following.log_p95, following.log_mean, following.log_typical = window.log_p95, log_mean, window.log_typical
    gain = _gain(following, seconds)
    following.log_p95 += gain * (window.log_p95 - following.log_p95)
    following.log_mean += gain * (log_mean - following.log_mean)
    off = window.log_typical - following.log_typical
    following.log_typical += gain * off
    counted = min(signals.sketch.total, trend.MOST_COUNTED)
    following.spread = max(trend.LEAST_SPREAD, following.spread + gain * (counted * off * off - following.spread))
    following.learned_seconds += seconds
    following.learned_samples = min(10**6, following.learned_samples + signals.started)
