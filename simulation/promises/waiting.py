"""P4 for what a gateway holds: it ends unpaid only when it can't be paid any more, and its end is the gateway's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, OperationKind, Succeeded
from payonce.domain.payment import Change as PaymentChange
from payonce.outbox import is_event
from payonce.payments.settlement import OPERATION
from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.goals import Goal
from simulation.promises.shared import HELD, IN_PROGRESS, changes_of, completes, payment_version, told_in

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction
    from payonce.ports import Item
    from simulation.database import Commit
    from simulation.gateway_books import Booking

UNPAID = {"expired", "declined", "voided", "failed"}
PAID = {"authorized", "captured"}
_GOALS = {
    PaymentChange.EXPIRED: Goal.EXPIRED,
    PaymentChange.VOID: Goal.CANCELED_WAITING,
    PaymentChange.VOIDED_ELSEWHERE: Goal.CANCELED_WAITING,
}


def p4_ended_unpaid_is_certain(facts: Facts, commit: Commit) -> None:
    """What waited is declined, voided or expired only once no gateway can execute it, and paid only once one has."""
    for change in changes_of(commit, Table.PAYMENTS):
        before, after = change.before or {}, change.after or {}
        if change.key[1] != "PAYMENT" or before.get("status") not in HELD or after.get("status") in HELD:
            continue
        reference = after["gateway_reference"]
        gateway = facts.gateways[after["gateway"]]
        if after["status"] in UNPAID and gateway.may_be_executed(reference):
            raise Violated("P4", f"{reference} is {after['status']}, and {gateway.name} may still execute it")
        booked = [booking for booking in gateway.booked(reference) if isinstance(booking.outcome, Succeeded)]
        if after["status"] in PAID and not booked:
            raise Violated("P4", f"{reference} is {after['status']}, and {gateway.name} has not executed it")


def p4_status_is_true(facts: Facts) -> None:
    """In the end every payment's status is what its gateway has done with it."""
    for item in facts.database.items(Table.OUTBOX):
        if item["sk"] != "0000000001" or item["pk"] in facts.touched or not item["pk"].startswith("pay_"):
            continue
        payment = payment_version(facts.database, item["merchant_id"], item["pk"]) or {}
        status, allowed = payment["status"], _true_statuses(facts, item["pk"])
        if status not in allowed:
            raise Violated("P4", f"{item['pk']} is {status}, and at its gateway {sorted(allowed)}")
        if status in UNPAID and (payment["capturable_minor"] or payment["refundable_minor"]):
            raise Violated("P7", f"{item['pk']} is {status}, and something is left on it: {payment}")


def _true_statuses(facts: Facts, payment_id: str) -> set[str]:
    done = dict.fromkeys(OperationKind, 0)
    manual = returned = False
    for gateway in facts.gateways.values():
        for booking in gateway.bookings:
            if not _is_of(facts, booking, payment_id):
                continue
            if booking in gateway.came_back:
                returned = True
                continue
            instruction = booking.instruction
            done[instruction.kind] += instruction.money.amount_minor
            manual = manual or (instruction.kind is OperationKind.PAYMENT and _is_manual(instruction))
    if done[OperationKind.VOID]:
        return {"voided", "expired"}
    if not done[OperationKind.PAYMENT]:
        return UNPAID
    captured = done[OperationKind.CAPTURE] if manual else done[OperationKind.PAYMENT]
    if done[OperationKind.REFUND]:
        return {"refunded" if done[OperationKind.REFUND] == captured else "partially_refunded"}
    if not captured:
        return {"authorized"}
    # What was refunded and is no more is captured, though a rest can still be.
    in_part = {"captured", "partially_captured"} if returned else {"partially_captured"}
    return {"captured"} if captured == done[OperationKind.PAYMENT] else in_part


def _is_of(facts: Facts, booking: Booking, payment_id: str) -> bool:
    """Return whether a gateway has executed it for a payment: by its key, or as the payer's withdrawal."""
    instruction = booking.instruction
    withdrawn = booking.surplus and instruction.kind is OperationKind.VOID
    if instruction.payment_id != payment_id or (booking.surplus and not withdrawn):
        return False
    corrects = "#correct_break#" in facts.record_of.get(instruction.gateway_reference, "")
    return isinstance(booking.outcome, Succeeded) and not corrects


def _is_manual(instruction: Instruction) -> bool:
    return instruction.capture_method is CaptureMethod.MANUAL


def note_waiting(facts: Facts, commit: Commit) -> None:
    """Keep what was reached about payments that are held."""
    reached = facts.history.reached
    told = [_type(change.after) for change in changes_of(commit, Table.OUTBOX) if change.after is not None]
    kinds = [kind for kind in told if kind]
    was = {(change.before or {}).get("status") for change in changes_of(commit, Table.PAYMENTS)}
    for change in changes_of(commit, Table.IDEMPOTENCY):
        record_id, after = change.key[0], change.after
        settlement, confirmation = f"#{OPERATION}#" in record_id, "#confirm_payment#" in record_id
        if after is None or change.before is None:
            continue
        if settlement and after["fence"] > change.before["fence"] > 1:
            reached[Goal.SETTLEMENT_LEFT] += change.before["status"] == IN_PROGRESS
        if completes(change) and settlement:
            of_operation = "operation" in change.before["plan"]
            reached[Goal.RECEIVED] += of_operation and bool(kinds)
            reached[Goal.SETTLED] += not of_operation and bool(kinds)
            reached[Goal.SETTLEMENT_MET_ANOTHER] += not of_operation and not kinds
        if completes(change) and confirmation:
            reached[Goal.CONFIRMED] += bool(kinds)
            reached[Goal.CONFIRMATION_MET_SETTLEMENT] += not kinds
    for kind in kinds:
        if kind in _GOALS and was & HELD:
            reached[_GOALS[PaymentChange(kind)]] += 1
        reached[Goal.VOID_TOLD_TWICE] += kind == PaymentChange.VOID and "voided" in was


def _type(item: Item) -> str:
    told, body = told_in(item) if is_event(item) else ({}, b"")
    return str(told["type"]) if body else ""
