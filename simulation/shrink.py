"""Makes a failing plan smaller: fewer requests and fewer faults, and the same promise broken.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over the plan's
requests and faults. Each actor has random streams of its own, so that what is left out changes little else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulation.run import Outcome, run
from simulation.scheduler import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.plan import Plan

MAX_RUNS = 400

type Part = tuple[str, int, int]


def shrink(failed: Outcome, max_runs: int = MAX_RUNS) -> Outcome:
    """Return the outcome of the smallest plan found that breaks the same promise. It takes up to ``max_runs`` runs."""
    best, runs = failed, 0

    def breaks(plan: Plan) -> bool:
        nonlocal best, runs
        runs += 1
        outcome = run(plan)
        if outcome.invariant != failed.invariant:
            return False
        best = outcome
        return True

    plan = failed.plan
    _minimal(_parts(plan), lambda parts: breaks(_with(plan, parts)), lambda: runs < max_runs)
    for change in SIMPLIFICATIONS:
        if runs < max_runs:
            breaks(change(best.plan))
    return best


def size_of(plan: Plan) -> int:
    """Return how many requests and faults a plan has."""
    return len(_parts(plan))


def _minimal(parts: list[Part], breaks: Callable[[list[Part]], bool], may_go_on: Callable[[], bool]) -> list[Part]:
    count = 2
    while len(parts) > 1 and may_go_on():
        size = -(-len(parts) // count)
        for start in range(0, len(parts), size):
            rest = parts[:start] + parts[start + size :]
            if may_go_on() and breaks(rest):
                parts, count = rest, max(count - 1, 2)
                break
        else:
            if count >= len(parts):
                break
            count = min(2 * count, len(parts))
    return parts


def _parts(plan: Plan) -> list[Part]:
    requests = [
        ("request", index, number)
        for index, operation in enumerate(plan.operations)
        for number in range(len(operation.attempts))
    ]
    return requests + [("fault", index, 0) for index in range(len(plan.faults or ()))]


def _with(plan: Plan, parts: Sequence[Part]) -> Plan:
    """Return the plan with these parts alone. An operation without requests is left out."""
    kept = set(parts)
    operations = tuple(
        replace(
            operation,
            attempts=tuple(
                attempt for number, attempt in enumerate(operation.attempts) if ("request", index, number) in kept
            ),
        )
        for index, operation in enumerate(plan.operations)
        if any(("request", index, number) in kept for number in range(len(operation.attempts)))
    )
    faults = tuple(fault for index, fault in enumerate(plan.faults or ()) if ("fault", index, 0) in kept)
    return replace(plan, operations=operations, faults=faults)


SIMPLIFICATIONS: tuple[Callable[[Plan], Plan], ...] = (
    lambda plan: replace(plan, much_later=False),
    lambda plan: replace(plan, stream_stalls=0.0),
    lambda plan: replace(plan, receives_seconds=0.0),
    lambda plan: replace(plan, operations=tuple(replace(each, hold=None) for each in plan.operations)),
    lambda plan: replace(plan, workers=Host.LAMBDA, worker_skew_ms=0),
)
