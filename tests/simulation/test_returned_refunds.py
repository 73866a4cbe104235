"""Refunds come back at any moment of a run: while they are in doubt, being stored, or followed by others.

The plans are drawn as always, and a dashboard's act follows each refund, by which it comes back if it was executed.
Executions are killed and frozen, answers lost, and the gateway's event about it is applied four times.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from simulation.goals import Goal
from simulation.plan import Plan, draw_plan
from simulation.run import run

SEEDS = range(60)
AFTER_MS = (5, 400, 3_000, 40_000)


def with_returns(plan: Plan) -> Plan:
    """Return the plan with an act that lets a refund come back, soon after each is asked for."""
    returns = [
        replace(
            operation,
            name=f"{operation.name}-back-{after_ms}",
            kind="dashboard",
            amount_minor=1,
            attempts=(replace(operation.attempts[0], at_ms=operation.attempts[0].at_ms + after_ms),),
        )
        for number, operation in enumerate(plan.operations)
        for after_ms in (AFTER_MS[number % len(AFTER_MS)], AFTER_MS[(number + 1) % len(AFTER_MS)])
        if operation.kind == "refund"
    ]
    return replace(plan, operations=(*plan.operations, *returns))


def test_no_promise_is_broken_when_refunds_come_back() -> None:
    """Fails when a return is booked twice, for a refund that was never booked, or by more than came back."""
    reached: Counter[Goal] = Counter()
    for seed in SEEDS:
        outcome = run(with_returns(draw_plan(seed)))
        assert outcome.violated is None, f"seed {seed}: {outcome.violated}"
        reached.update(outcome.history.reached)
    assert reached[Goal.REFUND_CAME_BACK] >= 30
    assert reached[Goal.RETURN_BOOKED] >= 8
