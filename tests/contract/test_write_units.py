"""What payments and webhooks write, with all that follows: on DynamoDB Local, and as docs/capacity.md says.

A change that needs other units has to say so there: ``python -m benchmarks.write_units --write``.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from benchmarks.units.cases import Cases
from benchmarks.units.page import read
from benchmarks.units.shop import Shop, body_of
from benchmarks.units.stage import Stage, running_stage
from benchmarks.units.tally import tally
from benchmarks.write_units import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.units.template import Source


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """payonce on DynamoDB Local behind the meter."""
    with running_stage() as made:
        yield made


@pytest.fixture(scope="module")
def cases(stage: Stage) -> Cases:
    """The cases on the stage."""
    return Cases(stage)


def waits(source: Source) -> bool:
    """Return whether a stream's reader waits for more records: its cost is of a window, and not of a payment."""
    return bool(source.properties.get("MaximumBatchingWindowInSeconds"))


def on_the_page(name: str) -> tuple[float, float]:
    """Return the write and read units that the page says."""
    (row,) = [row for row in read(CASES) if row[0] == name]
    return float(row[2]), float(row[3])


def test_a_payment_and_its_webhook_cost_what_the_page_says(cases: Cases) -> None:
    """Fails when a payment or a delivery costs other units than the page says, or a function is left out."""
    fresh, of_a_customer = cases.fresh(), cases.of_a_customer()
    delivery = cases.delivered([], fresh)
    for case in (fresh, of_a_customer, delivery):
        assert (case.ours.write_units, case.ours.read_units) == on_the_page(case.name), case.name
    ran = set(fresh.ours.invocations)
    followers = {
        function.name
        for function in cases.stage.functions
        if any(source.kind == "DynamoDB" and not waits(source) for source in function.sources)
    }
    assert followers
    assert followers <= ran


def test_the_overview_costs_two_writes_for_a_merchants_window(cases: Cases) -> None:
    """Fails when what is counted for people costs by the payment: it is an item of the merchant's and one of all."""
    case = cases.ten_seconds()
    assert (case.ours.write_units, case.ours.read_units) == (2, 0) == on_the_page(case.name)
    assert case.ours.invocations == {"KeepOverviewFunction": 1}


def test_a_replay_and_a_conflict_cost_one_write(cases: Cases) -> None:
    """Fails when a copy of a request reads, or writes more than the refused claim."""
    replay, conflict = cases.replayed_and_conflicting()
    for case in (replay, conflict):
        assert (case.ours.write_units, case.ours.read_units) == (1, 0) == on_the_page(case.name), case.name


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
