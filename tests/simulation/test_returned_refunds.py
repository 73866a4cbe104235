"""Refunds come back at any moment of a run: while they are in doubt, being stored, or followed by others.

The plans are drawn as always, and a dashboard's act follows each refund, by which it comes back if it was executed.
Executions are killed and frozen, answers lost, and the gateway's event about it is applied four times.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import NotFound
from payonce.payments import at_gateway, booking
from payonce.payments.payment_work import GatewayWork
from simulation.goals import Goal
from simulation.plan import Plan, draw_plan
from simulation.run import run
from tests.simulation.test_planted_faults import plant

if TYPE_CHECKING:
    from collections.abc import Callable

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


def books_a_return_with_each_event(patch: pytest.MonkeyPatch) -> None:
    def known(original: Any, *args: Any) -> Any:
        found = original(*args)
        booked = {identity: replace(refund, is_reversed=False) for identity, refund in found.booked.items()}
        return replace(found, booked=booked)

    plant(patch, at_gateway, "known_refunds", known)


def _told_as(came_back: bool) -> Callable[[pytest.MonkeyPatch], None]:
    def changes(original: Any, payment: Any, state: Any, *args: Any, **more: Any) -> Any:
        refunds = tuple(replace(refund, came_back=came_back) for refund in state.refunds)
        return original(payment, replace(state, refunds=refunds), *args, **more)

    return lambda patch: plant(patch, at_gateway, "refund_changes", changes)


def marks_no_refund_as_returned(patch: pytest.MonkeyPatch) -> None:
    plant(patch, booking, "_returned_writes", lambda *_: [])


def books_a_return_beside_its_payment(patch: pytest.MonkeyPatch) -> None:
    """The entry and the event are stored, and the payment's head stays as it was."""
    plant(patch, at_gateway, "elsewhere_writes", lambda original, *args: original(*args)[1:])


def resubmits_without_asking(patch: pytest.MonkeyPatch) -> None:
    plant(patch, GatewayWork, "_find", lambda *_args, **_more: NotFound())


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        pytest.param(books_a_return_with_each_event, "P7 settling", id="with each event"),
        pytest.param(_told_as(came_back=True), "P7", id="of a refund that stands"),
        pytest.param(_told_as(came_back=False), "P9 settling", id="never"),
        pytest.param(marks_no_refund_as_returned, "P9", id="without its refund"),
        pytest.param(books_a_return_beside_its_payment, "P5", id="beside its payment"),
        pytest.param(resubmits_without_asking, "P1 P4 P9", id="of one that is sent again"),
    ],
)
@pytest.mark.usefixtures("without_the_specification")
def test_a_return_that_is_booked_wrongly_is_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    """Fails when a promise allows more for a refund that came back than its gateway has given back."""
    fault(monkeypatch)
    outcomes = (run(with_returns(draw_plan(seed))) for seed in SEEDS)
    found = next((outcome for outcome in outcomes if outcome.violated), None)
    assert found is not None
    assert found.invariant in promise.split(), found.violated
