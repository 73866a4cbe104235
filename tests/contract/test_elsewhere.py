"""What was done to a charge at the gateway is booked in one transaction, which every database has to take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.payments import payment_reads
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.ports import Database


def test_three_changes_of_one_payment_are_committed_with_the_answer(database: Database) -> None:
    """Fails when the commit writes to one item twice, which memory takes: a balance for each entry, a payment for each
    version.
    """
    world = World(database=database)
    payment_id = json.loads(world.create(capture=CaptureMethod.MANUAL).response.body)["id"]
    world.gateway.elsewhere(OperationKind.CAPTURE, 1000)
    world.gateway.elsewhere(OperationKind.REFUND, 400)
    assert world.follow_up(OperationKind.VOID, payment_id, "key-1").response.status == 409
    history = payment_reads.get_history(world.services, MERCHANT, payment_id)["data"]
    assert [(entry["type"], entry["journal_entry"] is not None) for entry in history] == [
        ("payment.authorized", True),
        ("void.declined", False),
        ("payment.captured_at_gateway", True),
        ("payment.refunded_at_gateway_in_part", True),
    ]
    payment = payment_reads.get_payment(world.services, MERCHANT, payment_id)
    assert (payment["status"], payment["refundable_minor"], payment["version"]) == ("partially_refunded", 600, 4)
    balances = payment_reads.get_balances(world.services, MERCHANT)["data"]
    assert {line["account"]: line["balance_minor"] for line in balances if line["balance_minor"]} == {
        "gateway_receivable:bank": 600,
        "merchant_payable": -600,
    }
