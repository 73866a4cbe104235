"""Short runs with real servers that are killed: they are linearizable, and two planted faults are found.

``make histories`` runs longer, on every front and store; ``make histories-planted`` plants every fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histories.history import Execution
from histories.key_model import Outcome
from histories.planted import look_for
from histories.plants import PLANTS
from histories.run import run
from histories.worlds import running_world

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 6  # a fault or two
SETTLE_SECONDS = 16  # a lease ends 13 s after its claim
PLANTED_SECONDS = 3
QUICKLY_FOUND = ("claims_in_any_case", "renders_replays_anew")


@pytest.mark.parametrize(
    ("front", "store"), [("api", "dynamodb"), ("sidecar", "valkey"), ("in_process", "valkey"), ("middleware", "valkey")]
)
def test_what_clients_see_is_linearizable(front: str, store: str, tmp_path: Path) -> None:
    with running_world(front, store, tmp_path) as world:
        done = run(world, SECONDS, seed=1, settle_seconds=SETTLE_SECONDS)
    assert done.findings.problems == {}
    assert done.findings.outcomes[Outcome.ANSWERED] > 0
    assert done.findings.outcomes[Outcome.REUSED] > 0
    assert sum(done.faults.values()) > 0


def test_an_event_is_one_however_often_it_is_asked_for(tmp_path: Path) -> None:
    """Of the soak's dispatcher. Fails when each worker has an endpoint or ids of its own."""
    with running_world("dispatcher", "dynamodb", tmp_path, is_durable=False) as world:
        told = [world.ask(worker.url, "an-event-of-its-own", "a", 1) for worker in [*world.workers, *world.workers]]
        assert [one.outcome for one in told] == [Outcome.ANSWERED, *[Outcome.UNKNOWN] * 3]
        assert world.executions() == {"an-event-of-its-own": [Execution("a")]}


@pytest.mark.parametrize("name", QUICKLY_FOUND)
def test_a_planted_fault_is_found(name: str) -> None:
    plant = next(plant for plant in PLANTS if plant.function == name)
    assert look_for(plant, PLANTED_SECONDS, settle_seconds=1).findings.problems
