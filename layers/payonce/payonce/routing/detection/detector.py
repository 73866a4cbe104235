"""Detects whether a route is worse than usual and getting worse, and learns what is usual for it online.

Every window is judged by one exact binomial test: do more than 5 % of its answers take longer than a multiple of the
usual p95? The test needs no threshold per gateway, and its p-value accounts for small windows.

The baseline is learned with time constants in seconds, so that a quiet night and a busy noon teach at the same speed.
Learning is frozen while the route looks worse, because a ramp must not become the new normal; only after
``MAX_FROZEN_SECONDS`` it does.
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

TAIL = 0.05  # the share above a p95, by definition
ELEVATED_FACTOR = 1.3  # multiple of the usual p95; a smaller increase is ordinary variation
ELEVATED_EVIDENCE = 4.0  # -log10 of the p-value: 1 in 10,000 windows by chance, and two windows in a row are needed
DOUBTFUL_FACTOR = 1.15
DOUBTFUL_EVIDENCE = 2.0  # -log10 of the p-value at which learning stops
DOUBTFUL_DEVIATION = 2.0  # standard deviations of the typical latency above which a route does not count as well
BLEMISH_EVIDENCE = 1.0  # one bad answer of two, two of ten: enough to keep distrusting a demoted route
WELL_SHARE = 0.2  # largest share of slow answers of a well route: one of five probes may be slow, but not the only one
OVERLOAD = 1.2  # multiple of the usual rate
LEARN_SECONDS = 600.0  # time constant: follows the time of day, not a ramp of minutes
MAX_FROZEN_SECONDS = 3600.0  # what has lasted an hour is the new usual, as after a bank's move to another data centre
SUCCESS_SECONDS = 30.0  # time constant of the success rate
MAX_TECHNICAL = 0.05  # a gateway that fails more often than this is worse than its alternative
BREACH_SCALE_SECONDS = 60.0
MAX_BREACH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """The judgement of one route at one step. ``features`` are the forecast's inputs; 0 means unremarkable in each.

    ``elevated``: its tail or its errors are significantly worse than usual. ``rising``: its typical latency has left
    the usual range, which counts if the forecast projects a miss. ``suspect``: weaker evidence, enough if another
    method of the gateway is elevated. ``well``: it has answered in this window without any sign of trouble.
    ``overloaded``: demand is much higher than usual; that is for the concurrency limit and does not demote the route.
    ``good`` and ``bad`` count the attempts ended since the last step; overdue ones are bad.
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
        """Return whether so many bad answers since the last step have a p-value of 0.1 or less."""
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
    """Judge the window against ``baseline``; return the next baseline and the assessment. Pure.

    ``demoted`` says that the route has less than its neutral share, so that its load is not learned as usual.
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
    """Return whether ``started`` attempts in ``seconds`` are over ``OVERLOAD`` times the usual plus two sigma."""
    usual = usual_per_second * seconds
    return started > OVERLOAD * usual + 2 * math.sqrt(usual)


def _failing_probability(following: Baseline) -> float:
    # The posterior of the technical errors' share is a Beta distribution. Far below the bound it is not computed.
    if following.technical < MAX_TECHNICAL / 4 * (following.answered + following.technical):
        return 0.0
    return 1 - beta_cdf(MAX_TECHNICAL, following.technical, following.answered)


def _count_outcomes(following: Baseline, signals: CellSignals, seconds: float) -> None:
    # The window overlaps the previous one: only its new part is counted.
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
    elif window.evidence >= ELEVATED_EVIDENCE:  # significantly worse, but the begin is unknown
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
    # At first this averages over all samples, later over the last LEARN_SECONDS.
    return 1 - math.exp(-seconds / min(LEARN_SECONDS, max(following.learned_seconds, seconds, 1.0)))


def _learn_load(following: Baseline, signals: CellSignals, seconds: float) -> None:
    # Not while demoted: compared with a few probes, the route's full share would look like an overload, and an
    # overload demotes no route.
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
