"""One step as a pure function, from state and observation to the next state and the control document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.control.admission import plan_admission
from payonce.routing.control.document import EVERYTHING, Admission, ControlDocument
from payonce.routing.decision import levels, reflex
from payonce.routing.decision.weights import aim, apply_limits, wanted_rates
from payonce.routing.detection import trust, verdict
from payonce.routing.signals.observation import Cell
from payonce.routing.detection.memory import RouteMemory, follow, forgotten
from payonce.routing.detection.verdict import AHEAD_SECONDS, Field, Forecast, Verdict

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.decision.state import State
    from payonce.routing.signals.observation import Cell, Observation

OVERDUE_FACTOR = 1.25  # an attempt without an answer after this multiple of the usual p95 counts as slow
UNKNOWN_USUAL_SHARE = 0.5  # of the SLO: what counts as slow at a gateway whose usual p95 is not known yet
NOTED_SHIFT = 0.02  # smaller changes of a weight are not mentioned in the reason
WEIGHT_DIGITS = 9


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
            wanted_rate=_wanted(following, settings, wanted, offered, gateway),
        )
    reflex.compare(following.limits, _used(settings))
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
    demoted = {cell.gateway for cell, level in following.levels.items() if level.level < 0.5}
    well = {g for g in settings.neutral if settings.neutral[g] and g not in demoted}
    lately = {g for g, limit in following.limits.items() if limit.full_at_ms and observed.at_ms - limit.full_at_ms <= trust.ROOM_SECONDS * 1000}
    full = set()
    if following.refusing: full = set(settings.neutral)
    elif well <= lately: full = lately - hanging
    if trust.KNOWN: full -= {g for g in full if following.limits.get(g, reflex.Limit()).service_seconds > trust.KNOWN * settings.slo_ms / 1000}
    memories = dict(following.memories)
    for cell, signals in observed.cells.items():
        memories[cell] = follow(memories.get(cell, RouteMemory()), signals, observed.at_ms, cell.gateway not in full, following.levels[cell].level if cell in following.levels else 1.0)
    state_at_ms = following.at_ms
    following.memories, following.at_ms = dict(sorted(memories.items())), observed.at_ms
    def counted(cell, memory):
        late = max(0.0, memory.long.bad - memory.long.failed)
        if cell.gateway in hanging:
            return max(0.0, memory.long.ended - memory.long.bad), memory.long.failed + late, 0.0
        return max(0.0, memory.long.ended - memory.long.bad), memory.long.failed, late
    pools = {}
    for cell, memory in following.memories.items():
        pools[cell.gateway] = tuple(x + y for x, y in zip(pools.get(cell.gateway, (0.0, 0.0, 0.0)), counted(cell, memory)))
    after, weights = {}, {}
    neutral = settings.neutral
    for method in sorted({*observed.demand, *following.weights}):
        counts = {}
        rising = {}
        if trust.RISING:
            for gateway in neutral:
                memory = following.memories.get(Cell(gateway, method))
                limit = following.limits.get(gateway)
                others = [Cell(o, method) for o in neutral if o != gateway and neutral[o] and following.levels.get(Cell(o, method), levels.Level()).level >= 0.5]
                if memory and others and not (limit and limit.rate is not None):
                    f = verdict.Field(memories=following.memories, demoted={}, limited=set(), hanging=set(), neutral=neutral, slo_ms=settings.slo_ms)
                    rising[gateway] = trust.RISING * f._ahead(memory, others)
        for gateway in neutral:
            own = counted(Cell(gateway, method), following.memories.get(Cell(gateway, method), RouteMemory()))
            pool = pools.get(gateway, (0.0, 0.0, 0.0))
            share = trust.POOLED / max(trust.POOLED, sum(pool))
            good, failed, late = (x + share * y for x, y in zip(own, pool))
            lshare = trust.LATE_POOLED / max(trust.LATE_POOLED, sum(pool))
            lgood, lfailed, llate = (x + lshare * y for x, y in zip(own, pool))
            counts[gateway] = (good + late, failed), (lgood, llate + rising.get(gateway, 0.0))
        known = dict.fromkeys(neutral, 1.0)
        for n, (full, ind, sh) in enumerate(((trust.FULL, trust.INDIFFERENT, trust.SHARED), (trust.LATE_FULL, trust.LATE_INDIFFERENT, trust.LATE_SHARED))):
            one = {g: c[n] for g, c in counts.items()}
            if max(bad for _, bad in one.values()) < 0.1:
                continue
            chosen = trust.shares(one, neutral, ind, sh)
            for g in chosen:
                level = chosen[g] / (full * neutral[g])
                known[g] = min(known[g], 1.0 if n == 0 and level >= trust.SNAP else level)
        seconds = max(0.0, (observed.at_ms - state_at_ms) / 1000) if state_at_ms else 1.0
        for gateway, level in known.items():
            before = following.levels.get(Cell(gateway, method), levels.Level()).level
            known[gateway] = level = min(level, max(trust.RAISE_FROM, before * trust.RAISE ** seconds))
            after[Cell(gateway, method)] = levels.Level(level=max(1e-6, level))
        raw = {g: w * known[g] for g, w in settings.neutral.items()}
        whole = sum(raw.values())
        weights[method] = {g: w / whole for g, w in raw.items()}
    following.levels, following.weights = after, weights
    return {}


def _all_weights(state: State, observed: Observation, settings: RoutingSettings) -> dict[str, dict[str, float]]:
    """Return the weights of all methods in demand or state; neutral ones where the set of gateways has changed."""
    neutral = settings.neutral
    return {
        method: dict(known)
        if (known := state.weights.get(method)) and known.keys() == neutral.keys()
        else dict(neutral)
        for method in sorted({*observed.demand, *state.weights})
    }


def _wanted(state: State, settings: RoutingSettings, wanted: dict[str, float], offered: float, gateway: str) -> float:
    """Return the rate that a limit has to allow before it can be removed: the neutral one, unless it is demoted."""
    if any(level.demoted and level.is_loadless for cell, level in state.levels.items() if cell.gateway == gateway):
        return wanted.get(gateway, 0.0)
    return max(wanted.get(gateway, 0.0), settings.neutral.get(gateway, 0.0) * offered)


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
    rates, rooms, refuse = reflex.limiting(state.limits, _used(settings))
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
        if level.level < 1 - NOTED_SHIFT:
            text = f"{cell.gateway} for {cell.method}: at {level.level:.0%} of its share"
            if cell in forecasts and forecasts[cell].drivers:
                known = forecasts[cell]
                text += f", {known.bad_share:.0%} bad payments within {AHEAD_SECONDS:.0f} s"
                text += f" against {known.others_share:.0%} ({', '.join(known.drivers)})"
            parts.append(text)
    if admission.merchants or admission.authorization < 1:
        parts.append(f"shedding; {len(admission.merchants)} merchants above the fair level")
    return "; ".join(parts)[:2000] or "nothing unusual"
