"""What looks like trouble and is none: nothing that a policy could do would help a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Fault
from laboratory.trouble.ranges import drawn

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario
    from laboratory.trouble.ranges import Ranges

PAUSE_SECONDS = (5.0, 30.0)
BETWEEN_SECONDS = (180.0, 360.0)
HICCUP_SECONDS = 2.0
RESTART_SECONDS = (2.0, 8.0)
WARMING_SECONDS = 30.0
WARMING = 1.5  # how much later a gateway answers while its caches are empty


def quiet(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Nothing happens."""
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, [], one=False)


def pauses(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Every few minutes answers come later for 5 to 30 s, within the SLO: of one gateway, or of all at once.

    A garbage collection, a backup or a fail-over does this; Clearhaus reports one of two minutes with 15 errors
    (https://status.clearhaus.com/incidents/96w7bhbk2g6d).
    """
    draw = drawn(ranges, seed)
    period, on_seconds = draw.random.uniform(*BETWEEN_SECONDS), draw.random.uniform(*PAUSE_SECONDS)
    one = draw.random.random() < 0.5
    faults = [
        Fault(
            "late", gateway, draw.start, draw.heals, draw.strength, "square",
            period_seconds=period, on_seconds=on_seconds,
        )
        for gateway in ([draw.ailing] if one else draw.names)
    ]  # fmt: skip
    return draw.scenario(name, ranges, faults, one=one)


def hiccups(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Every few minutes all gateways answer later for 2 s, as if packets had waited on the way to all of them."""
    draw = drawn(ranges, seed)
    period = draw.random.uniform(*BETWEEN_SECONDS)
    faults = [
        Fault(
            "late", gateway, draw.start, draw.heals, draw.strength, "square",
            period_seconds=period, on_seconds=HICCUP_SECONDS,
        )
        for gateway in draw.names
    ]  # fmt: skip
    return draw.scenario(name, ranges, faults, one=False)


def deployments(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A deployment goes round the gateways: each refuses a share of connections for seconds, then answers later.

    What is refused moves to another gateway at once. So every payment is served in time without any policy.
    """
    draw = drawn(ranges, seed)
    faults, at, number = [], draw.start, 0
    while at < draw.heals:
        gateway = draw.names[number % len(draw.names)]
        started = at + draw.random.uniform(*RESTART_SECONDS)
        faults.append(Fault("fail", gateway, at, started, draw.strength))
        faults.append(Fault("late", gateway, started, started + WARMING_SECONDS, WARMING))
        at, number = at + draw.random.uniform(*BETWEEN_SECONDS), number + 1
    return draw.scenario(name, ranges, faults, one=False)


KINDS = (quiet, pauses, hiccups, deployments)
