"""What payments and webhooks write, with all that follows: on DynamoDB Local behind the meter, and within a budget.

The figures are AWS's units, see benchmarks/write_units.py. A change that needs more has to say so here.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from benchmarks.units.cases import Cases
from benchmarks.units.shop import Shop, body_of
from benchmarks.units.stage import Stage, running_stage
from benchmarks.units.tally import tally

if TYPE_CHECKING:
    from collections.abc import Iterator

FRESH_BUDGET = 24
DELIVERY_BUDGET = 6
REPLAY_BUDGET = 1


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """payonce on DynamoDB Local behind the meter."""
    with running_stage() as made:
        yield made


@pytest.fixture(scope="module")
def cases(stage: Stage) -> Cases:
    """The cases on the stage."""
    return Cases(stage)


def test_a_payment_and_its_webhook_are_within_their_budget(cases: Cases) -> None:
    """Fails when a payment or a delivery writes more than before, or a function that follows does not run."""
    fresh = cases.fresh()
    assert fresh.ours.write_units <= FRESH_BUDGET
    delivery = cases.delivered([], fresh)
    assert 0 < delivery.ours.write_units <= DELIVERY_BUDGET
    ran = set(fresh.ours.invocations)
    followers = {
        function.name
        for function in cases.stage.functions
        if any(source.kind == "DynamoDB" for source in function.sources)
    }
    assert followers
    assert followers <= ran


def test_a_replay_and_a_conflict_cost_one_write(cases: Cases) -> None:
    """Fails when a copy of a request reads, or writes more than the refused claim."""
    replay, conflict = cases.replayed_and_conflicting()
    for case in (replay, conflict):
        assert (case.ours.write_units, case.ours.read_units) == (REPLAY_BUDGET, 0), case.name


def test_memory_is_charged_as_the_wire_is(stage: Stage) -> None:
    """Fails when the traffic that the capacity page rests on is charged otherwise than real requests."""
    body, found = body_of(metadata={"order_id": str(uuid.uuid4())}), []
    with running_stage(in_memory=True) as in_memory:
        for one in (stage, in_memory):
            shop = Shop(one)
            merchant = shop.ids.new("mer")
            shop.subscribe(merchant)
            one.meter.requests.clear()
            shop.pay(merchant, body=body)
            one.drain()
            units = tally(one.meter.requests)
            found.append((dict(units.write), dict(units.read)))
    assert found[0] == found[1]
