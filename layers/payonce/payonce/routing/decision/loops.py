"""Both loops as one pure function, from state and observation to the next state and the control document."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payonce.routing.control.admission import MIN_PROVEN, plan_admission
from payonce.routing.control.document import EVERYTHING, Admission, ControlDocument
from payonce.routing.decision import levels, reflex
from payonce.routing.decision.weights import aim, apply_limits, shift, wanted_rates
from payonce.routing.detection import detector
from payonce.routing.detection.baseline import Baseline
from payonce.routing.detection.forecast import Forecast, forecast
from payonce.routing.signals.observation import Cell

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.decision.state import State
    from payonce.routing.detection.detector import Assessment
    from payonce.routing.detection.forecast import Model
    from payonce.routing.signals.observation import Observation

OVERDUE_FACTOR = 1.25  # an attempt without an answer after this multiple of the usual p95 counts as slow
UNKNOWN_MEAN_SECONDS = 1.0  # the mean latency assumed until a gateway's own is learned
NOTED_SHIFT = 0.02  # smaller changes of a weight are not mentioned in the reason
WEIGHT_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Decision:
    """What one step decided. ``forecasts`` is empty for a step of the reflex loop alone.

    ``document`` is ``None`` if a reflex step found nothing to limit, so that the last document still holds.
    """

    state: State
    document: ControlDocument | None
    forecasts: dict[Cell, Forecast] = field(default_factory=dict)


def decide(state: State, observed: Observation, settings: RoutingSettings, model: Model, now_ms: int) -> Decision:
    """Return the decision of one step: of both loops if the observation has the forecast's windows, else of the reflex.

    Everything is judged at ``observed.at_ms``, the stream's time; ``now_ms``, the predictor's time, only dates the
    document. ``state`` is not modified.
    """
    following = replace(state, epoch=state.epoch + 1, limits=dict(state.limits))
    forecasts: dict[Cell, Forecast] = {}
    if not observed.cells and _is_calm(state, observed):
        for gateway, signals in observed.gateways.items():
            known = state.limits.get(gateway, reflex.Limit())
            following.limits[gateway] = reflex.unlimited(known, signals, observed.at_ms, observed.recent_seconds)
        return Decision(following, None)
    if observed.cells:
        forecasts = _forecast_step(following, observed, settings, model)
    wanted = wanted_rates(_all_weights(following, observed, settings), observed.demand)
    for gateway, signals in observed.gateways.items():
        following.limits[gateway] = reflex.step(
            state.limits.get(gateway, reflex.Limit()),
            signals,
            now_ms=observed.at_ms,
            recent_seconds=observed.recent_seconds,
            mean_seconds=following.means.get(gateway, UNKNOWN_MEAN_SECONDS),
            wanted_rate=wanted.get(gateway, 0.0),
            probe_rate=settings.probes_per_second,
            scarce=state.scarce,
        )
    document = _document(following, observed, settings, forecasts, now_ms)
    following.scarce = document.admission is not EVERYTHING
    return Decision(following, document, forecasts)


def _is_calm(state: State, observed: Observation) -> bool:
    limited = any(limit.rate is not None for limit in state.limits.values())
    return not limited and not any(reflex.is_alarm(signals) for signals in observed.gateways.values())


def expectations(state: State) -> dict[Cell, int]:
    """Return per warm route the milliseconds after which an attempt is slow or overdue, for ``SignalBook.expect``."""
    warm = {cell: baseline for cell, baseline in state.baselines.items() if baseline.warm}
    return {cell: round(OVERDUE_FACTOR * baseline.p95_ms) for cell, baseline in warm.items()}


def _forecast_step(
    following: State, observed: Observation, settings: RoutingSettings, model: Model
) -> dict[Cell, Forecast]:
    baselines, assessments = dict(following.baselines), {}
    for cell, signals in observed.cells.items():
        before = baselines.get(cell, Baseline())
        demoted = cell in following.levels and following.levels[cell].demoted
        baselines[cell], assessments[cell] = detector.assess(
            before, signals, observed.at_ms, settings.slo_ms, demoted=demoted
        )
    forecasts = {cell: forecast(assessment, model) for cell, assessment in assessments.items()}
    following.baselines = baselines
    following.levels = _levels(following, observed, assessments, forecasts, settings)
    following.weights = _weights(following, observed, settings)
    following.means = {gateway: _mean_seconds(following, gateway) for gateway in observed.gateways}
    return forecasts


def _levels(
    following: State,
    observed: Observation,
    assessments: dict[Cell, Assessment],
    forecasts: dict[Cell, Forecast],
    settings: RoutingSettings,
) -> dict[Cell, levels.Level]:
    after = dict(following.levels)
    limited = {gateway for gateway, limit in following.limits.items() if limit.rate is not None}
    assessments = _pooled(assessments, after)
    overload = _learn_demand(following, observed)
    elevated = {cell.gateway for cell, assessment in assessments.items() if assessment.elevated}
    for cell, assessment in assessments.items():
        # While payments are refused, a limited gateway is not demoted for being slow: every gateway is needed, and the
        # limit already keeps it to what it can serve.
        scarce = following.scarce and cell.gateway in limited
        assessment = replace(
            assessment,
            elevated=assessment.elevated or (assessment.suspect and cell.gateway in elevated),
            overloaded=assessment.overloaded or overload or (scarce and "technical_errors" not in assessment.reasons),
        )
        likely = forecasts[cell].probability >= settings.act_at_probability
        likely = likely or (assessment.elevated and cell.gateway in limited)  # the reflex had the stronger evidence
        before = after.get(cell, levels.Level())
        after[cell] = levels.step(
            before, assessment, likely=likely, scarce=following.scarce, now_ms=observed.at_ms, settings=settings
        )
    return _share_trouble(after)


def _pooled(assessments: dict[Cell, Assessment], known: dict[Cell, levels.Level]) -> dict[Cell, Assessment]:
    """Return the assessments with the few probes of a gateway's demoted methods counted together.

    Methods whose level has risen again are left out: their answers are many, and a slow one among them is no bad probe.
    """
    demoted = [cell for cell in assessments if cell in known and known[cell].demoted and not known[cell].risen]
    pooled = dict(assessments)
    for cell in demoted:
        near = [assessments[other] for other in demoted if other.gateway == cell.gateway]
        good, bad = sum(one.good for one in near), sum(one.bad for one in near)
        pooled[cell] = replace(assessments[cell], good=good, bad=bad)
    return pooled


def _share_trouble(after: dict[Cell, levels.Level]) -> dict[Cell, levels.Level]:
    """Let a bad probe of one demoted method restart the hold of its gateway's other demoted methods: probes are few."""
    demoted = {cell: level for cell, level in after.items() if level.demoted}
    for cell, level in demoted.items():
        bad_at_ms = max(other.bad_at_ms for near, other in demoted.items() if near.gateway == cell.gateway)
        after[cell] = replace(level, bad_at_ms=bad_at_ms)
    return after


def _learn_demand(following: State, observed: Observation) -> bool:
    """Return whether the total demand is much higher than usual, and learn the usual demand (a slow average)."""
    offered = sum(observed.demand.values())
    overload = following.demand > 0 and detector.is_overload(
        offered * observed.recent_seconds, following.demand, observed.recent_seconds
    )
    seconds = (observed.at_ms - following.at_ms) / 1000 if following.at_ms else math.inf
    gain = 1 - math.exp(-max(0.0, seconds) / detector.LEARN_SECONDS)
    following.demand += gain * (offered - following.demand)
    following.at_ms = observed.at_ms
    return overload


def _weights(following: State, observed: Observation, settings: RoutingSettings) -> dict[str, dict[str, float]]:
    weights = _all_weights(following, observed, settings)
    wanted = wanted_rates(weights, observed.demand)
    demoted = {cell.method for cell, level in following.levels.items() if level.demoted}
    offered = sum(rate for method, rate in observed.demand.items() if method in demoted)
    for method in sorted(weights):
        demand, before = observed.demand.get(method, 0.0), weights[method]
        known = {g: following.levels[Cell(g, method)] for g in before if Cell(g, method) in following.levels}
        probing = {g: levels.probing(level, observed.at_ms) for g, level in known.items()}
        room = {}
        if demand > 0:
            for gateway in before:
                limit = following.limits.get(gateway, reflex.Limit())
                spare = max(0.0, limit.headroom_rate - wanted.get(gateway, 0.0))
                room[gateway] = before[gateway] + spare / demand
        target = aim({g: level.level for g, level in known.items()}, offered, probing, settings)
        after = shift(before, target, room, settings.max_shift)
        for gateway in after:
            wanted[gateway] = wanted.get(gateway, 0.0) + (after[gateway] - before[gateway]) * demand
        weights[method] = after
    return weights


def _all_weights(state: State, observed: Observation, settings: RoutingSettings) -> dict[str, dict[str, float]]:
    """Return the weights of all methods in demand or state; neutral ones where the set of gateways has changed."""
    methods = set(observed.demand) | set(state.weights)
    neutral = settings.neutral
    return {
        method: dict(known)
        if (known := state.weights.get(method)) and known.keys() == neutral.keys()
        else dict(neutral)
        for method in sorted(methods)
    }


def _mean_seconds(state: State, gateway: str) -> float:
    learned = [b for cell, b in sorted(state.baselines.items()) if cell.gateway == gateway and b.warm]
    samples = sum(baseline.learned_samples for baseline in learned)
    if not samples:
        return UNKNOWN_MEAN_SECONDS
    return sum(baseline.mean_ms * baseline.learned_samples for baseline in learned) / samples / 1000


def _document(
    state: State, observed: Observation, settings: RoutingSettings, forecasts: dict[Cell, Forecast], now_ms: int
) -> ControlDocument:
    rates = {gateway: limit.rate for gateway, limit in state.limits.items() if limit.rate is not None}
    headroom = {gateway: limit.untested_rate for gateway, limit in state.limits.items()}
    before = _all_weights(state, observed, settings)
    weights, share = apply_limits(before, observed.demand, rates, headroom)
    offered = sum(observed.demand.values())
    proven = sum(limit.proven_rate for limit in state.limits.values())
    share = max(share, min(1.0, MIN_PROVEN * proven / offered)) if offered else 1.0
    admission = plan_admission(share, observed.priorities, observed.merchants)
    return ControlDocument(
        mode=settings.mode,
        epoch=state.epoch,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + settings.life_seconds * 1000,
        reason=_reason(state, forecasts, rates, admission),
        weights={m: {g: round(w, WEIGHT_DIGITS) for g, w in shares.items()} for m, shares in weights.items()},
        limits={g: round(limit.concurrency, 1) for g, limit in state.limits.items() if limit.concurrency is not None},
        admission=admission,
    )


def _reason(state: State, forecasts: dict[Cell, Forecast], rates: dict[str, float], admission: Admission) -> str:
    parts = [f"{gateway}: limited to {rate:.1f} attempts/s" for gateway, rate in sorted(rates.items())]
    for cell, level in sorted(state.levels.items()):
        if level.level < 1 - NOTED_SHIFT:
            text = f"{cell.gateway} for {cell.method}: at {level.level:.0%} of its share"
            if cell in forecasts:
                known = forecasts[cell]
                text += f", {known.probability:.0%} likely to miss the SLO within {known.horizon_seconds} s"
                text += f" ({', '.join(known.drivers)})" if known.drivers else ""
            parts.append(text)
    if admission.merchants or admission.authorization < 1:
        parts.append(f"shedding; {len(admission.merchants)} merchants above the fair level")
    return "; ".join(parts)[:2000] or "nothing unusual"
