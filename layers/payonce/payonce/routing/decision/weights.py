"""Turns levels and limits into weights.

At least one route is left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.control.routing_settings import RoutingSettings

Weights = dict[str, float]

LEAST_EXCESS = 1e-6  # of the demand: less is rounding
MAX_PROBE_SHARE = 0.05  # bounds the share of a method's payments that are probes, for times of little traffic


def wanted_rates(weights: Mapping[str, Weights], demand: Mapping[str, float]) -> dict[str, float]:
    """Return the attempts per second that the weights send to each gateway. ``demand`` is per method and second."""
    rates: dict[str, float] = {}
    for method, shares in weights.items():
        for gateway, share in shares.items():
            rates[gateway] = rates.get(gateway, 0.0) + share * demand.get(method, 0.0)
    return rates


def aim(
    levels: Mapping[str, float], offered: float, probing: Mapping[str, float], settings: RoutingSettings
) -> Weights:
    """Return one method's weights by its gateways' levels, with a floor for probes.

    ``offered`` is the demand per second of all demoted methods together, because they share a gateway's probes.
    ``probing`` is the share of its probes that a gateway still gets.
    """
    raw = {gateway: weight * levels.get(gateway, 1.0) for gateway, weight in settings.neutral.items()}
    total = sum(raw.values())
    floor = min(MAX_PROBE_SHARE, settings.probes_per_second / offered) if offered > 0 else MAX_PROBE_SHARE
    floors = {gateway: min(floor * probing.get(gateway, 1.0), weight) for gateway, weight in settings.neutral.items()}
    low = {gateway: least for gateway, least in floors.items() if raw[gateway] / total < least}
    # Gateways at the floor get exactly the floor; the others share the rest of 1.
    rest = sum(raw[gateway] for gateway in raw if gateway not in low)
    share = 1 - sum(low.values())
    return {gateway: low[gateway] if gateway in low else share * raw[gateway] / rest for gateway in raw}


def apply_limits(
    weights: Mapping[str, Weights], demand: Mapping[str, float], limits: Mapping[str, float]
) -> tuple[dict[str, Weights], float]:
    """Move what exceeds the limited gateways' rates to those with room, by their weights. All rates are per second.

    Returns the weights and the share (0..1) of the demand that can be served: less than 1 only if all are limited.
    """
    wanted = wanted_rates(weights, demand)
    total = sum(wanted.values())
    rates = {gateway: min(rate, limits.get(gateway, rate)) for gateway, rate in wanted.items()}
    while (excess := total - sum(rates.values())) > LEAST_EXCESS * total:
        open_to = {gateway: wanted[gateway] for gateway, rate in rates.items() if rate < limits.get(gateway, math.inf)}
        if not sum(open_to.values()):
            break
        share = excess / sum(open_to.values())
        for gateway, weight in open_to.items():
            rates[gateway] = min(limits.get(gateway, math.inf), rates[gateway] + share * weight)
    if not total or rates == wanted:
        return {method: dict(shares) for method, shares in weights.items()}, 1.0
    factors = {gateway: rates[gateway] / wanted[gateway] if wanted[gateway] else 1.0 for gateway in rates}
    limited = {}
    for method, shares in weights.items():
        taken = {gateway: share * factors.get(gateway, 1.0) for gateway, share in shares.items()}
        whole = sum(taken.values())
        limited[method] = {gateway: share / whole for gateway, share in taken.items()} if whole > 0 else dict(shares)
    return limited, sum(rates.values()) / total if excess > LEAST_EXCESS * total else 1.0
