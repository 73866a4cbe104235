"""A slice of the matrix of faults end to end: a payment for each fault, each at another step and service.

``make faults`` plays every request of a payment with every fault (docs/histories.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from histories.deployed.cell import AMOUNT_MINOR, Cell, Payment, Played
from histories.deployed.matrix import run_cells
from histories.deployed.points import POINTS
from histories.deployed.wire import Fault
from histories.deployed.world import behind_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histories.deployed.world import Deployed
    from local.stack import Stack

SLICE = (
    ("claim: dynamodb", Fault.NO_ANSWER),
    ("submit: bank", Fault.REFUSED),
    ("submit: bank", Fault.RESET_AFTER),
    ("commit: dynamodb", Fault.ERROR_500),
    ("commit: dynamodb", Fault.TRUNCATED),
    ("relay: sqs", Fault.THROTTLED),
    ("deliver: kms", Fault.RESET_BEFORE),
    ("deliver: dynamodb, record", Fault.SLOW),
    ("deliver: receiver", Fault.ERROR_500),
)
BY_NAME = {point.name: point for point in POINTS}


@pytest.fixture(scope="module")
def world(stack: Stack) -> Iterator[Deployed]:
    with behind_proxy(stack) as made:
        yield made


def test_whatever_fails_it_is_charged_once_and_told_truly(world: Deployed) -> None:
    rows = run_cells(world, [Cell(BY_NAME[name], fault) for name, fault in SLICE])
    assert [(row.point, row.fault, row.broken) for row in rows if row.broken] == []
    told = {(row.point, row.fault): row.text() for row in rows}
    assert told["submit: bank", "refused"].startswith("503, 201"), "nobody listened, and the client was told so"


def test_a_second_charge_would_be_found(world: Deployed) -> None:
    """The planted defect: the bank has a charge more than the client was told of."""
    payment = Payment(world.shop(), Played(Cell(BY_NAME["commit: dynamodb"], Fault.SLOW)))
    payment.be_struck()
    body = {
        "reference": "planted",
        "currency": "EUR",
        "payment_method": payment.token,
        "capture": "automatic",
        "amount_minor": AMOUNT_MINOR,
    }
    url = f"{world.stack.bank.base_url('forgetful')}/charges"
    urlopen(Request(url, json.dumps(body).encode(), {"Authorization": "Bearer planted"}), timeout=10).close()
    payment.conclude()
    assert payment.played.broken == ["charges at the bank: 2, not 1"]
