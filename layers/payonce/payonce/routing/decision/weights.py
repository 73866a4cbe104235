"""Turns levels and limits into weights.

At least one route is left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
Weights = dict[str, float]

FITS = 12  # rounds, after which the rates of 16 gateways and 6 methods are within 1 %
LEAST_EXCESS = 1e-6  # of the demand: less is rounding


def wanted_rates(weights: Mapping[str, Weights], demand: Mapping[str, float]) -> dict[str, float]:
    """Return the attempts per second that the weights send to each gateway. ``demand`` is per method and second."""
    rates: dict[str, float] = {}
    for method, shares in weights.items():
        for gateway, share in shares.items():
            rates[gateway] = rates.get(gateway, 0.0) + share * demand.get(method, 0.0)
    return rates


def aim(levels: Mapping[str, float], neutral: Mapping[str, float]) -> Weights:
    """Return one method's weights: the neutral ones times the gateways' levels, which are above 0."""
    raw = {gateway: weight * levels.get(gateway, 1.0) for gateway, weight in neutral.items()}
    whole = sum(raw.values())
    return {gateway: weight / whole for gateway, weight in raw.items()}


def apply_limits(
    weights: Mapping[str, Weights], demand: Mapping[str, float], limits: Mapping[str, float], rooms: Mapping[str, float]
) -> tuple[dict[str, Weights], float]:
    """Move what exceeds the ``limits`` to gateways with room, by their weights. All rates are per second.

    ``rooms`` are the rates to which other gateways may be brought; they keep what they have, and those without one take
    everything. Returns the weights and the share (0..1) of the demand that has room.
    """
    wanted = wanted_rates(weights, demand)
    total = sum(wanted.values())
    most = {g: limits.get(g, max(rate, rooms.get(g, math.inf))) for g, rate in wanted.items()}
    rates = {gateway: min(rate, most[gateway]) for gateway, rate in wanted.items()}
    while (excess := total - sum(rates.values())) > LEAST_EXCESS * total:
        open_to = {gateway: wanted[gateway] for gateway, rate in rates.items() if rate < most[gateway]}
        if not sum(open_to.values()):
            break
        share = excess / sum(open_to.values())
        for gateway, weight in open_to.items():
            rates[gateway] = min(most[gateway], rates[gateway] + share * weight)
    if not total or rates == wanted:
        return {method: dict(shares) for method, shares in weights.items()}, 1.0
    served = sum(rates.values()) / total if excess > LEAST_EXCESS * total else 1.0
    return _fitted(weights, demand, {gateway: rate / served for gateway, rate in rates.items()}), served


def _fitted(
    weights: Mapping[str, Weights], demand: Mapping[str, float], rates: Mapping[str, float]
) -> dict[str, Weights]:
    """Return the weights nearest to ``weights`` that send each gateway its rate.

    Methods have different weights, and their sums stay 1, so that both are fitted in turn (Deming and Stephan, Annals
    of Mathematical Statistics 11, 1940).
    """
    fitted = {method: dict(shares) for method, shares in weights.items()}
    for _ in range(FITS):
        sent = wanted_rates(fitted, demand)
        factors = {gateway: rates[gateway] / rate if rate else 1.0 for gateway, rate in sent.items()}
        for method, shares in fitted.items():
            taken = {gateway: share * factors[gateway] for gateway, share in shares.items()}
            whole = sum(taken.values())
            if whole > 0:
                fitted[method] = {gateway: share / whole for gateway, share in taken.items()}
    return fitted
