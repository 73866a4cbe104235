"""Two troubles at once. Incidents rarely come alone: see https://stripe.com/rcas/2019-07-10, two in one day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from laboratory.scenarios import Fault, Surge
from laboratory.trouble.ranges import drawn

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario
    from laboratory.trouble.ranges import Draw, Ranges

ERRORS = (0.06, 0.25)  # share of quick 5xx beside another trouble
SURGE = (1.3, 1.7)  # within what the gateways can serve while one is well
BESIDE = (1.6, 2.4)  # factor on the answers of a second gateway, within the SLO


def late_all_unknown_one(name: str, ranges: Ranges, seed: int) -> Scenario:
    """All gateways answer later, nothing queues, and one of them also returns quick 5xx."""
    draw = drawn(ranges, seed)
    faults = [Fault("late", gateway, draw.start, draw.heals, draw.strength) for gateway in draw.names]
    faults.append(Fault("unknown", draw.ailing, draw.start, draw.heals, draw.random.uniform(*ERRORS)))
    return draw.scenario(name, ranges, faults)


def ramp_in_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway gets slower and slower while demand is high, as Stripe's queue did on 17 December 2015.

    https://www.outagereports.net/outage-postmortem-2015-12-17-utc-stripe/
    """
    draw = drawn(ranges, seed)
    growing = (draw.heals - draw.start) * 0.8
    fault = Fault("slow", draw.ailing, draw.start, draw.heals, draw.strength, "ramp", ramp_seconds=growing)
    surge = Surge(max(0.0, draw.start - 60), draw.heals, draw.random.uniform(*SURGE))
    return replace(draw.scenario(name, ranges, [fault]), surges=(surge,))


def hang_beside_late(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of one gateway's answers never arrive, while another is late and has to take its payments."""
    draw = drawn(ranges, seed)
    faults = [
        Fault("hang", draw.ailing, draw.start, draw.heals, draw.strength),
        Fault("late", _another(draw), draw.start - 60, draw.heals, draw.random.uniform(*BESIDE)),
    ]
    return draw.scenario(name, ranges, faults)


def handover(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway recovers in the middle of another's failure, which needs it at once."""
    draw = drawn(ranges, seed)
    third = (draw.heals - draw.start) / 3
    faults = [
        Fault("hang", draw.ailing, draw.start, draw.heals - third, draw.strength),
        Fault("unknown", _another(draw), draw.start + third, draw.heals, draw.strength),
    ]
    return draw.scenario(name, ranges, faults, one=False)


def _another(draw: Draw) -> str:
    return draw.random.choice([name for name in draw.names if name != draw.ailing])


KINDS = (late_all_unknown_one, ramp_in_surge, hang_beside_late, handover)
