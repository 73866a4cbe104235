"""Which of the limits apply: those of gateways that are worse off than another one, or all while payments are refused.

A payment moved to a gateway that is well loses nothing, so that needs little certainty. Refusing needs much.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from payonce.routing.decision.reflex import Limit

WORSE = 2.0  # multiple of the least time at another gateway; less is no reason to move payments
WORSE_DEVIATIONS = 2.0  # standard deviations of the number in flight, a Poisson count, beyond that multiple
WORSE_SECONDS = 2  # in a row, before payments are moved: a pause is over by then, and a queue is not
NO_LONGER_WORSE = 1.25  # the multiple at which a limited gateway counts as well off as the other one


def compare(limits: dict[str, Limit], used: Set[str]) -> None:
    """Mark the limited gateways that are worse off than another one in use. Changes ``limits``."""
    before = dict(limits)
    for gateway in used & limits.keys():
        limit, others = before[gateway], [before[other] for other in used & limits.keys() - {gateway}]
        well = [other.spent_seconds for other in others if other.is_well]
        if limit.is_worse:
            worse = any(limit.spent_seconds > NO_LONGER_WORSE * other.spent_seconds for other in others)
            worse = worse or any(other.rate is None for other in others)
        else:
            n = min(limit.in_flights[-WORSE_SECONDS:], default=0)
            usual = WORSE * min(well) * limit.served[-1] if well and limit.served else math.inf
            worse = n > usual + WORSE_DEVIATIONS * math.sqrt(n)
        worse = limit.rate is not None and (worse or limit.is_sure)
        if worse != limit.is_worse:
            limits[gateway] = replace(limit, is_worse=worse)


def limiting(limits: Mapping[str, Limit], used: Set[str]) -> tuple[dict[str, float], dict[str, float], bool]:
    """Return the rates of the limited gateways, those the others may be brought to, and whether to refuse.

    A gateway is limited alone if another one is better off. Payments are refused only if every gateway is full, and
    one of them surely so.
    """
    rates = {g: rate for g in sorted(used & limits.keys()) if (rate := limits[g].rate) is not None}
    refuse = rates.keys() == used and any(limits[gateway].is_sure for gateway in used)
    limited = {gateway: rate for gateway, rate in rates.items() if refuse or limits[gateway].is_worse}
    rooms = {gateway: rate for gateway, rate in rates.items() if gateway not in limited}
    return limited, rooms, refuse
