"""The measurements of one trial."""

from __future__ import annotations

from itertools import pairwise, product
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from laboratory.demand import draw_demand
from laboratory.policies import POLICIES
from laboratory.policies.predictive import Predictive
from laboratory.simulation import Trial
from laboratory.split import scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from laboratory.demand import Demand
    from laboratory.scenarios import Scenario
    from laboratory.simulation import Policy
    from laboratory.trouble import Ranges
    from payonce.routing.control.document import ControlDocument

SLO_SECONDS = 3.0  # from the client's first request to a definite answer
SLO_SHARE = 0.95  # of the payments: what clients are promised, so as long as it is reached nothing has to be done
WINDOW_SECONDS = 10
LAST_SECONDS = 15.0  # payments of the last seconds are not counted: their answers may be missing
ACTED = 0.9  # below this share of the neutral weight, routing has acted on a gateway
FLIPPED = 0.5
DEFINITE = ("approved", "declined")
HOUR, WEEK = 3600.0, 604_800.0

Published = list[tuple[float, "ControlDocument"]]


def run_seed(
    group: dict[str, Ranges],
    name: str,
    seed: int,
    policies: Mapping[str, Callable[[], Policy]] = POLICIES,
    *,
    series: bool = False,
) -> dict[str, Any]:
    """Run the policies on one draw of a scenario; return their figures. ``series`` adds the plots' time series.

    A policy that publishes control documents (``Predictive``) has their figures under ``routing``. Its lead is known
    only with the policy ``none`` before it. So variants of it can be compared: ``{"none": NoProtection, **variants}``.
    """
    drawn = scenario(group, name, seed)
    demand = draw_demand(drawn, seed)
    figures: dict[str, Any] = {"seed": seed, "payments": len(demand), "harmless": drawn.harmless, "policies": {}}
    breach_at = None
    for policy_name, make in policies.items():
        trial = Trial(drawn, demand, make(), Random(seed)).run()
        measured = measure(trial)
        if policy_name == "none":
            breach_at = breach(trial)
            figures["breach_at"] = breach_at
        if isinstance(trial.policy, Predictive):
            measured["routing"] = routing_figures(drawn, trial.policy.published, breach_at)
        if series:
            measured["series"] = timeline(trial)
        figures["policies"][policy_name] = measured
    return figures


def good_payments(trial: Trial) -> np.ndarray:
    """Return a boolean per payment: whether it had a definite answer within the SLO."""
    at = np.asarray(trial.demand.at)
    definite = np.isin(np.asarray(trial.outcome), DEFINITE)
    good: np.ndarray = definite & (np.asarray(trial.ended_at) - at <= SLO_SECONDS)
    return good


def measure(trial: Trial) -> dict[str, Any]:
    """Return the figures of one trial that apply to every policy.

    ``goodput`` is the share of good payments, ``during`` that of those during the trouble, or of all where there is
    none. ``refused`` counts the payments that were given up after refusals, ``refusals`` every single one (429).
    """
    drawn, demand = trial.scenario, trial.demand
    at, good = np.asarray(demand.at), good_payments(trial)
    counted = at < drawn.seconds - LAST_SECONDS
    during = counted & (at >= drawn.fault_at) & (at < (drawn.healed_at or drawn.seconds))
    served = np.asarray(trial.served_by)
    dearest = max(drawn.gateways, key=lambda spec: spec.fee_basis_points).name
    return {
        "goodput": float(good[counted].mean()),
        "during": float(good[during].mean()) if during.any() else None,
        "in_doubt": trial.in_doubt,
        "refused": trial.outcome.count("refused"),
        "refusals": trial.refusals,
        "double_charges": trial.double_charges,
        "dearest_share": float((served == dearest).sum() / max(1, (served != "").sum())),
        "others_goodput": _others_goodput(drawn, demand, good),
    }


def _others_goodput(drawn: Scenario, demand: Demand, good: np.ndarray) -> float | None:
    """Return the other merchants' goodput during one merchant's surge, as a share of that before it."""
    noisy = [surge.merchant for surge in drawn.surges if surge.merchant]
    if not noisy:
        return None
    at, others = np.asarray(demand.at), np.asarray(demand.merchant) != noisy[0]
    before = good[others & (at < drawn.fault_at - SLO_SECONDS)].mean()
    return float(good[others & (at >= drawn.fault_at) & (at < drawn.healed_at)].mean() / before)


def breach(trial: Trial) -> float | None:
    """Return when the ailing gateway first broke the SLO: the end of the first window with under 95 % good payments."""
    if trial.scenario.ailing is None:
        return None
    at, good = np.asarray(trial.demand.at), good_payments(trial)
    mine = np.asarray(trial.served_by) == trial.scenario.ailing
    for end in range(int(trial.scenario.fault_at) + WINDOW_SECONDS, int(trial.scenario.healed_at)):
        window = mine & (at >= end - WINDOW_SECONDS) & (at < end)
        if window.sum() >= 20 and good[window].mean() < SLO_SHARE:
            return float(end)
    return None


def routing_figures(drawn: Scenario, published: Published, breach_at: float | None) -> dict[str, Any]:
    """Return the figures of one trial's documents: actions, lead, flips, restoration. Times are in seconds."""
    neutral = drawn.weights
    acted_at = {name: _episodes(published, lambda d, g=name: _lowest(d, g) < ACTED * neutral[g]) for name in neutral}
    shed_at = _episodes(
        published, lambda document: document.admission.authorization < 1 or bool(document.admission.merchants)
    )
    figures: dict[str, Any] = {
        "actions": sum(map(len, acted_at.values())),
        "sheddings": len(shed_at),
        "on_the_well": sum(len(times) for name, times in acted_at.items() if name != drawn.ailing),
        "weeks": drawn.seconds / WEEK * len(neutral),
        "flips_per_hour": _flips(published, neutral) / ((drawn.seconds - drawn.fault_at) / HOUR),
    }
    if drawn.ailing:
        first = next((at for at in acted_at[drawn.ailing] if at >= drawn.fault_at), None)
        figures["acted_after"] = None if first is None else first - drawn.fault_at
        figures["lead"] = breach_at - first if breach_at is not None and first is not None else None
    if drawn.healed_at < drawn.seconds - 60:
        figures["restored_after"] = _restored(published, drawn, neutral)
    return figures


def _lowest(document: ControlDocument, gateway: str) -> float:
    return min((weights[gateway] for weights in document.weights.values()), default=1.0)


def _episodes(published: Published, is_so: Any) -> list[float]:
    """Return the times at which ``is_so`` became true."""
    began, before = [], False
    for at, document in published:
        now = is_so(document)
        if now and not before:
            began.append(at)
        before = now
    return began


def _flips(published: Published, neutral: dict[str, float]) -> int:
    """Return how often a weight crossed half of the neutral one, for the gateway and method with the most crossings."""
    most = 0
    methods = {method for _, document in published for method in document.weights}
    for method, (gateway, usual) in product(methods, neutral.items()):
        weights = [document.weights.get(method, {}).get(gateway, usual) for _, document in published]
        low = [weight < FLIPPED * usual for weight in weights]
        most = max(most, sum(1 for one, other in pairwise([False, *low]) if one != other))
    return most


def _restored(published: Published, drawn: Scenario, neutral: dict[str, float]) -> float | None:
    """Return the seconds from healing until all weights are neutral for good; ``None`` if not by the end."""
    restored: float | None = drawn.healed_at
    for at, document in published:
        usual = all(
            weight >= ACTED * neutral[gateway]
            for weights in document.weights.values()
            for gateway, weight in weights.items()
        )
        shedding = document.admission.authorization < 1 or document.admission.merchants
        if not usual or shedding:
            restored = None
        elif restored is None:
            restored = max(at, drawn.healed_at)
    return None if restored is None else restored - drawn.healed_at


def timeline(trial: Trial) -> dict[str, list[float]]:
    """Return the plots' series per window: goodput, and the ailing (or first) gateway's share of sent payments."""
    drawn = trial.scenario
    watched = drawn.ailing or drawn.gateways[0].name
    step = WINDOW_SECONDS if drawn.seconds < 20_000 else HOUR
    slot = (np.asarray(trial.demand.at) // step).astype(int)
    good, served = good_payments(trial), np.asarray(trial.served_by)
    count = np.maximum(1, np.bincount(slot))
    sent = np.maximum(1, np.bincount(slot, served != "", minlength=len(count)))
    return {
        "at": (np.arange(len(count)) * step).tolist(),
        "goodput": (np.bincount(slot, good, minlength=len(count)) / count).round(4).tolist(),
        "share": (np.bincount(slot, served == watched, minlength=len(count)) / sent).round(4).tolist(),
    }
