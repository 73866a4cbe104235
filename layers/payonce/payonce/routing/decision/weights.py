"""Turns levels and limits into weights.

Shifts are bounded, respect the other gateways' capacity, and leave at least one route.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.control.routing_settings import RoutingSettings

Weights = dict[str, float]

ALL_DEMOTED = 0.5  # if no gateway's level is above this, none is better than the others and the weights are neutral
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
    """Return one method's target weights by its levels, with a floor for probes; neutral if all gateways are demoted.

    ``offered`` is the demand per second of all demoted methods together, because they share a gateway's probes.
    ``probing`` is the share of its probes that a gateway still gets.
    """
    used = {gateway: weight for gateway, weight in settings.neutral.items() if weight > 0}
    if all(levels.get(gateway, 1.0) <= ALL_DEMOTED for gateway in used):
        return dict(settings.neutral)
    raw = {gateway: weight * levels.get(gateway, 1.0) for gateway, weight in settings.neutral.items()}
    total = sum(raw.values())
    floor = min(MAX_PROBE_SHARE, settings.probes_per_second / offered) if offered > 0 else MAX_PROBE_SHARE
    floors = {gateway: min(floor * probing.get(gateway, 1.0), weight) for gateway, weight in used.items()}
    low = {gateway: least for gateway, least in floors.items() if raw[gateway] / total < least}
    # Gateways at the floor get exactly the floor; the others share the rest of 1.
    rest = sum(raw[gateway] for gateway in raw if gateway not in low)
    share = 1 - sum(low.values())
    return {gateway: low[gateway] if gateway in low else share * raw[gateway] / rest for gateway in raw}


def shift(before: Mapping[str, float], target: Mapping[str, float], room: Mapping[str, float], most: float) -> Weights:
    """Return the weights moved from ``before`` towards ``target`` by at most ``most`` in total.

    ``room`` is the largest weight a gateway may get, by its measured headroom. What does not fit stays where it was.
    """
    gains = {gateway: max(0.0, target[gateway] - before.get(gateway, 0.0)) for gateway in target}
    losses = {gateway: max(0.0, before.get(gateway, 0.0) - target[gateway]) for gateway in target}
    fitting = {
        gateway: min(gain, max(0.0, room.get(gateway, math.inf) - before.get(gateway, 0.0)))
        for gateway, gain in gains.items()
    }
    lost, fits = sum(losses.values()), sum(fitting.values())
    moved = min(lost, fits, most)
    if moved <= 0:
        return {gateway: before.get(gateway, 0.0) for gateway in target}
    return {
        gateway: before.get(gateway, 0.0) + fitting[gateway] * moved / fits - losses[gateway] * moved / lost
        for gateway in target
    }


def apply_limits(
    weights: Mapping[str, Weights],
    demand: Mapping[str, float],
    limits: Mapping[str, float],
    headroom: Mapping[str, float],
) -> tuple[dict[str, Weights], float]:
    """Move what exceeds the limited gateways' rates to gateways with headroom. All rates are per second.

    Returns the weights and the share (0..1) of the demand that can be served; the rest exceeds every gateway's room.
    """
    wanted = wanted_rates(weights, demand)
    kept = {gateway: min(1.0, limits[gateway] / wanted[gateway]) for gateway in sorted(limits) if wanted.get(gateway)}
    total = sum(demand.get(method, 0.0) for method in weights)
    over = sum(wanted[gateway] * (1 - share) for gateway, share in kept.items())
    if over <= 0 or total <= 0:
        return {method: dict(shares) for method, shares in weights.items()}, 1.0
    room = {g: max(0.0, headroom.get(g, math.inf) - wanted[g]) for g in wanted if g not in limits}
    room = {g: min(free, over) for g, free in room.items()}
    free = sum(room.values())
    given = min(over, free)
    limited: dict[str, Weights] = {}
    for method, shares in weights.items():
        lost = sum(share * (1 - kept.get(gateway, 1.0)) for gateway, share in shares.items())
        taken = {
            gateway: share * kept.get(gateway, 1.0)
            + (lost * given / over * room[gateway] / free if free and gateway in room else 0.0)
            for gateway, share in shares.items()
        }
        whole = sum(taken.values())
        limited[method] = {gateway: share / whole for gateway, share in taken.items()} if whole > 0 else dict(shares)
    return limited, 1 - (over - given) / total
