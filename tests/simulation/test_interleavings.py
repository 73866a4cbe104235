"""The interleaving simulation: no seed of the slice breaks a promise, each goal is reached, planted faults are found.

``make simulate SEEDS=...`` runs more. A failing seed: ``python -m simulation --seed N`` (docs/simulation.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.domain.gateway import NotFound
from payonce.payments.payment_work import GatewayWork
from simulation.plan import draw_plan
from simulation.run import run
from simulation.seeds import run_seeds
from simulation.shrink import shrink, size_of

if TYPE_CHECKING:
    from simulation.run import Outcome

SLICE = 250  # so many that each goal is reached by several seeds


def first_failing(promise: str, seeds: int) -> Outcome:
    """Return the outcome of the first seed that breaks the promise."""
    for seed in range(seeds):
        outcome = run(draw_plan(seed))
        if outcome.invariant == promise:
            return outcome
    pytest.fail(f"none of {seeds} seeds breaks {promise}")


def test_the_slice_keeps_every_promise_and_reaches_every_goal() -> None:
    summary = run_seeds(range(SLICE))
    assert summary.violations == {}
    assert summary.unreached == []


def test_a_seed_replays_exactly() -> None:
    drawn = run(draw_plan(6))
    assert drawn.plan.faults
    assert run(draw_plan(6)).history.render() == drawn.history.render()
    assert run(drawn.plan).history.render() == drawn.history.render()  # from the list of its faults
    assert run(replace(drawn.plan, faults=())).history.render() != drawn.history.render()


@pytest.mark.usefixtures("without_the_specification")
def test_a_failing_seed_shrinks_to_a_history_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayWork, "_find", lambda *_args, **_more: NotFound())  # resubmits without asking
    failed = first_failing("P1", 20)
    small = shrink(failed)
    assert small.invariant == failed.invariant == "P1"
    assert size_of(small.plan) < size_of(failed.plan) / 2
    history = small.history.render().splitlines()
    assert len(history) < len(failed.history.render().splitlines())
    assert "VIOLATED P1" in history[-1]
    assert "was executed 2 times" in history[-1]
    assert run(small.plan).history.render() == small.history.render()
