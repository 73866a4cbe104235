"""What was done to a charge at the gateway is booked in one transaction, which every database has to take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, DisputeStatus, OperationKind
from payonce.payments import dispute_reads, payment_reads
from payonce.payments.at_gateway import CaughtUp, catch_up
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline
from tests.support.disputes import dispute
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


def test_disputes_and_a_reversal_are_committed_and_listed(database: Database) -> None:
    """Fails when a commit writes a dispute's item twice, or an index is not what the list of disputes asks."""
    world = World(database=database)
    payment_id = json.loads(world.create().response.body)["id"]
    payment = find_payment(database, MERCHANT, payment_id)
    assert payment is not None
    world.gateway.reversed_minor = 100
    world.gateway.disputes = tuple(
        dispute(DisputeStatus.EVIDENCE_DUE, 1, name=f"dp_{number:02d}") for number in range(12)
    )
    deadline = Deadline(world.clock.ms + 20_000)
    first = catch_up(world.services, world.gateway, payment, deadline)
    assert (len(first.changes), len(catch_up(world.services, world.gateway, payment, deadline).changes)) == (20, 5)
    assert catch_up(world.services, world.gateway, payment, deadline) == CaughtUp()
    listed: list[str] = []
    cursor = None
    for _ in range(4):
        page = dispute_reads.list_disputes(world.services, MERCHANT, limit=5, cursor=cursor)
        listed += [view["id"] for view in page["data"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    whole = dispute_reads.disputes_of_payment(world.services, MERCHANT, payment_id)["data"]
    assert sorted(listed) == sorted(view["id"] for view in whole)
    assert len(listed) == 12
    after = find_payment(database, MERCHANT, payment_id)
    assert after is not None
    assert (after.reversed_minor, after.disputed_minor, after.refundable_minor) == (100, 12, 888)
