"""One step as a pure function, from state and observation to the next state and the control document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.control.admission import plan_admission
from payonce.routing.control.document import EVERYTHING, Admission, ControlDocument
from payonce.routing.decision import levels, reflex, sharing
from payonce.routing.decision.weights import aim, apply_limits, wanted_rates
from payonce.routing.detection.memory import MOST_FADE_SECONDS, RouteMemory, elapsed_seconds, follow, patience_seconds
from payonce.routing.detection.rising import AHEAD_SECONDS
from payonce.routing.detection.verdict import Field, Forecast

if TYPE_CHECKING:
    from collections.abc import Set

    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.decision.state import State
    from payonce.routing.signals.observation import Cell, Observation

OVERDUE_FACTOR = 1.25  # an attempt without an answer after this multiple of the usual p95 counts as slow
UNKNOWN_USUAL_SHARE = 0.5  # of the SLO: what counts as slow at a gateway whose usual p95 is not known yet
NOTED_SHIFT = 0.02  # smaller changes of a weight are not mentioned in the reason
WEIGHT_DIGITS = 9
FADE_HOLDS = 2.0  # of the configured hold: what an operator sets is how long a gateway has to be well
FULL_LATELY_SECONDS = 20.0  # how long a gateway without a queue is still taken for full


@dataclass(frozen=True, slots=True)
class Decision:
    """What one step decided: the document, the state after it, and what it expected of each route."""

    state: State
    document: ControlDocument
    forecasts: dict[Cell, Forecast]


def decide(state: State, observed: Observation, settings: RoutingSettings, now_ms: int) -> Decision:
    """Return the decision of one step.

    Everything is judged at ``observed.at_ms``, the stream's time; ``now_ms``, the predictor's time, only dates the
    document. ``state`` is not modified.
    """
    following = replace(state, epoch=state.epoch + 1, limits=dict(state.limits))
    forecasts = _judge_routes(following, observed, settings)
    weights = _all_weights(following, observed, settings)
    wanted = wanted_rates(weights, observed.demand)
    offered = sum(rate for _, rate in sorted(observed.demand.items()))
    for gateway, signals in observed.gateways.items():
        following.limits[gateway] = reflex.step(
            state.limits.get(gateway, reflex.Limit()),
            signals,
            now_ms=observed.at_ms,
            recent_seconds=observed.recent_seconds,
            slo_seconds=settings.slo_ms / 1000,
            wanted_rate=max(wanted.get(gateway, 0.0), settings.neutral.get(gateway, 0.0) * offered),
        )
    sharing.compare(following.limits, _used(settings))
    document = _document(following, weights, observed, settings, forecasts, now_ms)
    following.refusing = document.admission != EVERYTHING
    return Decision(following, document, forecasts)


def expectations(state: State, settings: RoutingSettings) -> dict[Cell, int]:
    """Return per route the milliseconds after which an attempt is slow or overdue, for ``SignalBook.expect``."""
    unknown_ms = UNKNOWN_USUAL_SHARE * settings.slo_ms
    return {
        cell: round(OVERDUE_FACTOR * min(settings.slo_ms, memory.p95_ms if memory.warm else unknown_ms))
        for cell, memory in state.memories.items()
    }


def _judge_routes(following: State, observed: Observation, settings: RoutingSettings) -> dict[Cell, Forecast]:
    hanging = {gateway for gateway, signals in observed.gateways.items() if reflex.hangs(signals)}
    demoted = {cell for cell, level in following.levels.items() if levels.is_demoted(level)}
    queueing = _queueing(following, observed, demoted, hanging, _used(settings))
    memories, patience = dict(following.memories), _patience(following)
    held_seconds = FADE_HOLDS * settings.hold_seconds
    for cell, signals in observed.cells.items():
        usual_seconds = patience.get(cell.method, MOST_FADE_SECONDS)
        memories[cell] = follow(
            memories.get(cell, RouteMemory()),
            signals,
            observed.at_ms,
            fade_seconds=max(usual_seconds, held_seconds) if cell in demoted else usual_seconds,
            late_counts=cell not in queueing,
        )
    seconds = elapsed_seconds(following.at_ms, observed.at_ms)
    # As a stored state has them: floating-point sums depend on the order.
    following.memories, following.at_ms = dict(sorted(memories.items())), observed.at_ms
    routes = Field(
        memories=following.memories,
        demoted=demoted,
        limited={gateway for gateway, limit in following.limits.items() if limit.rate is not None},
        hanging=hanging,
        neutral=settings.neutral,
        slo_ms=settings.slo_ms,
    )
    forecasts: dict[Cell, Forecast] = {}
    before, following.levels, weights = following.levels, {}, {}
    for method in sorted({*observed.demand, *following.weights}):
        found = routes.judge(method)
        forecasts |= found
        after = {
            cell: levels.step(before.get(cell, 1.0), known.trusted, seconds=seconds) for cell, known in found.items()
        }
        following.levels |= after
        weights[method] = aim({cell.gateway: level for cell, level in after.items()}, settings.neutral)
    following.weights = weights
    return forecasts


def _patience(state: State) -> dict[str, float]:
    """Return for each method how slowly the counts of its routes fade. One that is demoted gets few: all count."""
    totals: dict[str, list[float]] = {}
    for cell, memory in state.memories.items():
        totals.setdefault(cell.method, []).append(memory.counts.total)
    return {method: patience_seconds(counts) for method, counts in totals.items()}


def _queueing(state: State, observed: Observation, demoted: Set[Cell], hanging: Set[str], used: Set[str]) -> set[Cell]:
    """Return the routes whose late answers are no fault of theirs: every gateway that is well for the method is full.

    They queue then, which their limits answer, and each of them is needed. It stays so for a while, because the first
    payments moved away from one of them would show it again.
    """
    lately_ms = observed.at_ms - FULL_LATELY_SECONDS * 1000
    full = {gateway for gateway, limit in state.limits.items() if limit.full_at_ms and limit.full_at_ms >= lately_ms}
    if state.refusing:
        return {cell for cell in observed.cells if cell.gateway in used}
    methods = {cell.method for cell in observed.cells}
    well = {method: used - {cell.gateway for cell in demoted if cell.method == method} for method in methods}
    return {cell for cell in observed.cells if cell.gateway in full - hanging and well[cell.method] <= full}


def _all_weights(state: State, observed: Observation, settings: RoutingSettings) -> dict[str, dict[str, float]]:
    """Return the weights of all methods in demand or state; neutral ones where the set of gateways has changed."""
    neutral = settings.neutral
    return {
        method: dict(known)
        if (known := state.weights.get(method)) and known.keys() == neutral.keys()
        else dict(neutral)
        for method in sorted({*observed.demand, *state.weights})
    }


def _used(settings: RoutingSettings) -> set[str]:
    return {gateway for gateway, weight in settings.neutral.items() if weight > 0}


def _document(
    state: State,
    before: dict[str, dict[str, float]],
    observed: Observation,
    settings: RoutingSettings,
    forecasts: dict[Cell, Forecast],
    now_ms: int,
) -> ControlDocument:
    rates, rooms, refuse = sharing.limiting(state.limits, _used(settings))
    weights, share = apply_limits(before, observed.demand, rates, rooms)
    admission = plan_admission(share, observed.priorities, observed.merchants) if refuse else EVERYTHING
    return ControlDocument(
        mode=settings.mode,
        epoch=state.epoch,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + settings.life_seconds * 1000,
        reason=_reason(state, forecasts, rates, admission),
        weights={m: {g: round(w, WEIGHT_DIGITS) for g, w in shares.items()} for m, shares in weights.items()},
        limits={g: round(state.limits[g].concurrency or 1.0, 1) for g in sorted(rates)},
        admission=admission,
    )


def _reason(state: State, forecasts: dict[Cell, Forecast], rates: dict[str, float], admission: Admission) -> str:
    parts = [f"{gateway}: limited to {rate:.1f} attempts/s" for gateway, rate in sorted(rates.items())]
    for cell, level in sorted(state.levels.items()):
        if level < 1 - NOTED_SHIFT:
            text = f"{cell.gateway} for {cell.method}: at {level:.0%} of its share"
            if cell in forecasts and forecasts[cell].drivers:
                known = forecasts[cell]
                text += f", {known.bad_share:.0%} bad payments within {AHEAD_SECONDS:.0f} s"
                text += f" against {known.others_share:.0%} ({', '.join(known.drivers)})"
            parts.append(text)
    if admission.merchants or admission.authorization < 1:
        parts.append(f"shedding; {len(admission.merchants)} merchants above the fair level")
    return "; ".join(parts)[:2000] or "nothing unusual"
