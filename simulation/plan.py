"""What is to happen in a run, drawn from its seed: who asks for what, when, through which gateway; and the faults.

A plan is a value: without one of its operations, attempts or faults it is a plan again, so that it can be shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from simulation.drawing import GATEWAYS, SKEWS, Drawing, Operation
from simulation.faults import draw_profile
from simulation.gateway_books import KINDS
from simulation.setup_plan import draw_setups

if TYPE_CHECKING:
    from simulation.faults import Drawn, Profile
    from simulation.scheduler import Host

# Once in a while longer than the hour after which nothing is sent again.
FAULTS_SECONDS = (300,) * 7 + (4_000,)
# Endpoints of a merchant. Webhooks take most of a run's time, and each run need not have them.
ENDPOINTS = (0, 0, 1, 2)
HOLDING = 0.6  # of runs: their gateways hold payments


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. ``faults`` is ``None`` for a run that draws them from ``profile``."""

    seed: int
    gateways: tuple[tuple[str, str], ...]
    operations: tuple[Operation, ...]
    profile: tuple[tuple[tuple[str, str, str], float], ...]
    workers: Host
    worker_skew_ms: int
    endpoints: int
    stream_stalls: float
    faults_seconds: int
    much_later: bool
    receives_seconds: float
    faults: tuple[tuple[tuple[str, int], tuple[str, int]], ...] | None = None


def draw_plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    chance = Random(f"plan/{seed}")
    drawing = Drawing(chance, chance.choice(list(SKEWS)), chance.choice((0.0, 0.5, 1.0)), chance.random() < HOLDING)
    operations = [drawing.create(number) for number in range(1, chance.choice((1, 2, 2, 3)) + 1)]
    for created in list(operations):
        operations += drawing.follow_ups(created)
    operations += draw_setups(seed, drawing)
    faults_seconds = chance.choice(FAULTS_SECONDS)
    profile: Profile = draw_profile(chance, long=faults_seconds > min(FAULTS_SECONDS))
    # Where "not found" is never final, a doubt of more than an hour stays one, as it should: nothing would settle.
    kinds = [kind for kind in KINDS if kind != "honouring" or faults_seconds == min(FAULTS_SECONDS)]
    return Plan(
        seed=seed,
        gateways=tuple((name, chance.choice(kinds)) for name in GATEWAYS),
        operations=tuple(operations),
        profile=tuple(profile.items()),
        workers=drawing.host(),
        worker_skew_ms=drawing.skew_ms(first=False),
        faults_seconds=faults_seconds,
        endpoints=chance.choice(ENDPOINTS),
        stream_stalls=chance.choice((0.0, 0.05, 0.4)),
        much_later=chance.random() < 0.2,
        receives_seconds=chance.choice((0.0, 0.0, chance.uniform(2, 60))),
    )


def played(plan: Plan) -> Drawn | None:
    """Return the faults of a plan that lists them."""
    from simulation.faults import Fault

    if plan.faults is None:
        return None
    return {where: Fault(kind, ms) for where, (kind, ms) in plan.faults}
