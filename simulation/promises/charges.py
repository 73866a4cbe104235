"""P1, P2 and P4 at the gateways: one execution for a key, and no unknown outcome taken for a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind, Succeeded
from payonce.packing import unpack
from payonce.payments.operations import REFERENCES
from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.goals import Goal
from simulation.promises.setups import is_about_setup
from simulation.promises.shared import (
    COMPLETED,
    HELD,
    changes_of,
    completes,
    payment_key,
    payment_of,
    says_never_executed,
)

if TYPE_CHECKING:
    from simulation.database import Change, Commit
    from simulation.gateway_books import Booking, Sent


def p1_one_execution_per_key(facts: Facts, gateway: str, booking: Booking) -> None:
    """Nothing is executed twice for one key, under whatever reference and at whatever gateway."""
    if not isinstance(booking.outcome, Succeeded):
        return
    record_id = facts.record_of[booking.instruction.gateway_reference]
    facts.executed[record_id] += 1
    if facts.executed[record_id] > 1:
        references = sorted({reference for _, reference in facts.sent[record_id]})
        raise Violated("P1", f"{record_id} was executed {facts.executed[record_id]} times, as {references}")


def p1_stored_before_sent(facts: Facts, sent: Sent) -> None:
    """A reference is stored before it is sent: otherwise nobody could ask for it after a crash."""
    if sent.instruction.gateway_reference not in facts.record_of:
        raise Violated("P1", f"{sent.instruction.gateway_reference} was sent to {sent.gateway} and is not stored")


def p1_no_more_than_there_is(facts: Facts, sent: Sent) -> None:
    """Refunds and captures that are under way never sum to more than the payment has for them."""
    kind = sent.instruction.kind
    if kind not in {OperationKind.REFUND, OperationKind.CAPTURE}:
        return
    stored = facts.database.item(Table.PAYMENTS, payment_key(sent.instruction.merchant_id, sent.instruction.payment_id))
    if stored is None or sent.instruction.gateway_charge_id != stored["gateway_charge_id"]:
        return  # the surplus charge of a correction is not the payment's
    under_way = sum(
        item["plan"]["amount_minor"]
        for item in facts.database.items(Table.IDEMPOTENCY)
        if item["status"] != COMPLETED
        and item["plan"].get("kind") == kind.value
        and item["plan"].get("payment_id") == stored["payment_id"]
        and item["plan"].get("known", True)
    )
    limit_minor = stored["captured_minor"] if kind is OperationKind.REFUND else stored["amount_minor"]
    done_minor = stored["refunded_minor"] if kind is OperationKind.REFUND else stored["captured_minor"]
    if under_way + done_minor > limit_minor:
        raise Violated("P1", f"{kind.value}s of {under_way} are under way, {done_minor} of {limit_minor} are done")


def p2_nothing_after_a_503(facts: Facts, gateway: str, booking: Booking) -> None:
    """Nothing is executed for a key whose every request was answered with 503."""
    record_id = facts.record_of[booking.instruction.gateway_reference]
    if record_id in facts.promised and isinstance(booking.outcome, Succeeded):
        raise Violated("P2", f"{gateway} executed {record_id}, of which every client was told that it never will be")


def p2_success_was_executed(facts: Facts, commit: Commit) -> None:
    """What is recorded as done was done."""
    for change in changes_of(commit, Table.IDEMPOTENCY):
        if completes(change) and change.after["response_status"] == 201:  # type: ignore[index]
            record_id = change.key[0]
            exempt = "#correct_break#" in record_id or payment_of(change) in facts.touched
            exempt = exempt or is_about_setup(change)  # promises.setups looks at what became of it
            if not exempt and not facts.executed[record_id] and not _is_held(facts, change):
                raise Violated("P2", f"{record_id} was recorded as executed, and no gateway has executed it")


def _is_held(facts: Facts, change: Change) -> bool:
    """Return whether a 201 says something else than "executed": the gateway holds it, or nobody can pay it."""
    assert change.before is not None and change.after is not None  # noqa: S101 - narrows the types
    if "#confirm_payment#" in change.key[0]:
        return True  # p4_ended_unpaid_is_certain looks at what it made of the payment
    plan = change.before["plan"]
    status = json.loads(unpack(change.after["response_body"]))["status"]
    if "operation" in plan:  # a settlement's, whose operation another key has sent
        reference = plan["operation"][REFERENCES][-1]
        booked = [found for gateway in facts.gateways.values() for found in gateway.booked(reference)]
        return any(isinstance(found.outcome, Succeeded) for found in booked)
    references = {found for name in facts.gateways for found in _references(facts, name, plan["payment_id"])}
    withdrawn = any(each in facts.gateways[name].canceled for name, each in references)
    if plan["kind"] == OperationKind.VOID.value and withdrawn:
        return True  # it expired in the moment in which its payer was faster: a withdrawal of ours was the void
    if plan.get("awaits_payer"):
        return not any(facts.gateways[name].may_be_executed(each) for name, each in references)
    held = [
        booking
        for name, reference in references
        for booking in facts.gateways[name].booked(reference)
        if booking.instruction.kind.value == plan["kind"]
    ]
    return status in HELD and bool(held)


def _references(facts: Facts, name: str, payment_id: str) -> list[tuple[str, str]]:
    return [
        (name, booking.instruction.gateway_reference)
        for booking in facts.gateways[name].bookings
        if booking.instruction.payment_id == payment_id
    ]


def p4_never_rerouted(facts: Facts, sent: Sent) -> None:
    """What was sent to one gateway is sent to no other."""
    record_id = facts.record_of[sent.instruction.gateway_reference]
    for gateway, reference in facts.sent[record_id]:
        if gateway != sent.gateway:
            raise Violated("P4", f"{record_id} was sent to {gateway} as {reference}, and now to {sent.gateway}")
        if reference != sent.instruction.gateway_reference:
            facts.history.reached[Goal.SECOND_REFERENCE] += 1
            if facts.gateways[gateway].may_be_executed(reference):
                raise Violated("P4", f"a second reference of {record_id} is sent, while {reference} may be executed")
    if facts.never_sent.get(record_id, sent.gateway) != sent.gateway:
        facts.history.reached[Goal.OTHER_GATEWAY] += 1
    facts.sent[record_id].append((sent.gateway, sent.instruction.gateway_reference))


def p4_unknown_is_no_failure(facts: Facts, commit: Commit) -> None:
    """Nothing is recorded as failed, or released, that was executed or still may be.

    A refund that was executed and came back before its end was known is declined, as the gateway says by then.
    """
    for change in changes_of(commit, Table.IDEMPOTENCY):
        released = change.after is None
        failed = completes(change) and change.after["response_status"] == 402  # type: ignore[index]
        if not (released or failed):
            continue
        record_id = change.key[0]
        for gateway, reference in facts.sent[record_id]:
            if facts.gateways[gateway].may_be_executed(reference):
                if failed and not says_never_executed(change) and facts.gateways[gateway].has_come_back(reference):
                    continue
                verb = "released" if released else "recorded as failed"
                raise Violated("P4", f"{record_id} is {verb}, while {gateway} has executed {reference} or may do so")
