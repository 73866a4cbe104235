"""Several troubles, at once or in turn.

Incidents rarely come alone: see https://stripe.com/rcas/2019-07-10, two in one day.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from laboratory.scenarios import Fault, Surge
from laboratory.trouble.ranges import drawn

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario
    from laboratory.trouble.ranges import Draw, Ranges

ERRORS = (0.06, 0.25)  # share of quick 5xx beside another trouble
PENT_UP = (1.6, 2.2)  # within what all gateways can serve
SURGE = (1.3, 1.7)  # within what the gateways can serve while one is well
A_LITTLE = (0.03, 0.08)  # share of quick 5xx of the gateways that are not the worst
SLOWED = (4.0, 8.0)  # factor on the service time of a second gateway, beyond what its servers can bear
CARD, WALLET = "card", "wallet"
IN_TURN = 3  # how many gateways hang one after the other, if there are more
BESIDE = (1.6, 2.4)  # factor on the answers of a second gateway, within the SLO
FILLING_SECONDS = (70.0, 160.0)  # from a process' start until its memory is full
RESTART_SECONDS = (10.0, 25.0)  # until a crashed process has been replaced
WAITING = (1.8, 2.6)  # factor on the answers of a gateway whose processors are busy waiting, within the SLO
LET_IN = (0.35, 0.7)  # share of its even traffic that such a gateway accepts


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


def in_turn(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Gateways hang one after the other, the next before the last has recovered, as in a rollout by regions.

    Whoever moves everything to the next gateway meets its trouble there.
    """
    draw = drawn(ranges, seed)
    others = [name for name in draw.names if name != draw.ailing]
    ill = [draw.ailing, *draw.random.sample(others, min(IN_TURN, len(others)) - 1)]
    step = (draw.heals - draw.start) / (len(ill) + 0.5)
    faults = [
        Fault("hang", gateway, draw.start + number * step, draw.start + (number + 1.5) * step, draw.strength)
        for number, gateway in enumerate(ill)
    ]
    return draw.scenario(name, ranges, faults, one=False)


def two_dead(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Two gateways stop answering in the same second, because they share a data centre; the others are well."""
    draw = drawn(ranges, seed)
    faults = [
        Fault("hang", gateway, draw.start, draw.heals, draw.strength) for gateway in (draw.ailing, _another(draw))
    ]
    return draw.scenario(name, ranges, faults, one=False)


def split_methods(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One method's answers never arrive at one gateway, while the other method is slow at another gateway.

    Each method has another gateway to avoid, and the slow one's queue delays both.
    """
    draw = drawn(ranges, seed)
    faults = [
        Fault("hang", draw.ailing, draw.start, draw.heals, draw.strength, methods=(WALLET,)),
        Fault("slow", _another(draw), draw.start, draw.heals, draw.random.uniform(*SLOWED), methods=(CARD,)),
    ]
    return draw.scenario(name, ranges, faults, one=False)


def unequal_unknown(name: str, ranges: Ranges, seed: int) -> Scenario:
    """All gateways return some quick 5xx, and one of them far more: no route is well, and one is much worse.

    On 12 September 2024 both data centres of a provider failed, and one of them still processed an eighth
    (https://status.clearhaus.com/incidents/hp85pwr0m3yp).
    """
    draw = drawn(ranges, seed)
    faults = [
        Fault(
            "unknown", gateway, draw.start, draw.heals,
            draw.strength if gateway == draw.ailing else draw.random.uniform(*A_LITTLE),
        )
        for gateway in draw.names
    ]  # fmt: skip
    return draw.scenario(name, ranges, faults)


def cut_off(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Connections to all gateways fail, because the shop's own network does, and then what was pent up comes at once.

    During the first third nobody can be served. After it the gateways can bear the demand, so whoever still refuses
    or avoids them costs payments.
    """
    draw = drawn(ranges, seed)
    back = draw.start + (draw.heals - draw.start) / 3
    faults = [Fault("fail", gateway, draw.start, back, draw.strength) for gateway in draw.names]
    surge = Surge(back, draw.heals, draw.random.uniform(*PENT_UP))
    return replace(draw.scenario(name, ranges, faults, one=False), surges=(surge,))


def crash_loop(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway gets slower until its memory is full, crashes, refuses all until replaced, and fills up again.

    On 14 January 2024 this went round at Npay for over ten hours: clients that connected again filled the memory of
    every server that replaced a crashed one (https://npaystatus.nexigroup.com/incidents/cxrbbzvpwymg). What is refused
    moves on at once and costs nothing, and a fresh process answers well. Whoever trusts either is back for the next
    round. The last process is the one that stays well.
    """
    draw = drawn(ranges, seed)
    faults, at = [], draw.start
    while at < draw.heals:
        full = at + draw.random.uniform(*FILLING_SECONDS)
        replaced = full + draw.random.uniform(*RESTART_SECONDS)
        faults.append(Fault("slow", draw.ailing, at, full, draw.strength, "ramp", ramp_seconds=full - at))
        faults.append(Fault("fail", draw.ailing, full, replaced, 1.0))
        at = replaced
    return replace(draw, heals=at).scenario(name, ranges, faults)


def backed_up(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway refuses much, answers the rest late, and leaves a share of what it accepted without an answer.

    At AltaPay one of several databases was at its full load. Few payments needed it, but processors waited for these,
    others got an answer late or a 504, and connections beyond the number of processors were dropped
    (https://status.altapay.com/default/cmdrb1d6i00iryqlm3jda92hj-b44s28cxxl42). The refusals, which are most of what
    is to be seen, are harmless. The harm is in the few that are accepted.
    """
    draw = drawn(ranges, seed)
    limit = draw.random.uniform(*LET_IN) * ranges.rate / ranges.gateways
    faults = [
        Fault("hang", draw.ailing, draw.start, draw.heals, draw.strength),
        Fault("late", draw.ailing, draw.start, draw.heals, draw.random.uniform(*WAITING)),
        Fault("limit", draw.ailing, draw.start, draw.heals, limit),
    ]
    return draw.scenario(name, ranges, faults)


def _another(draw: Draw) -> str:
    return draw.random.choice([name for name in draw.names if name != draw.ailing])


KINDS = (
    late_all_unknown_one, ramp_in_surge, hang_beside_late, handover, in_turn, two_dead, split_methods, unequal_unknown,
    cut_off, crash_loop, backed_up,
)  # fmt: skip
