"""Checks of payments, captures, voids and refunds, and of how a charge is read."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CaptureMethod,
    ChargeState,
    Declined,
    Instruction,
    NotFound,
    OperationKind,
    Overtaken,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.stage import AMOUNT_MINOR, PART_MINOR, told
from payonce.gateways.check.vendor import Token
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage

HOSTILE_IDS = ("no_such_charge", "../admin", "a?b=c", "%2e%2e/x", "a b", "é", "x" * 200)


def _executed_once(stage: Stage) -> None:
    instruction = stage.payment()
    before = stage.find(instruction)
    stage.expect(isinstance(before, NotFound | Unknown), f"before it was submitted, find said {told(before)}")
    outcome = stage.succeed(instruction)
    stage.expect_count(instruction, 1)
    stage.expect(bool(outcome.gateway_charge_id and outcome.gateway_operation_id), f"an id is missing: {told(outcome)}")


def _found(stage: Stage) -> None:
    stage.need(stage.capabilities.lookup_by_reference, "lookup_by_reference is False")
    instruction = stage.payment()
    before = stage.find(instruction)
    stage.expect(isinstance(before, NotFound), f"before it was submitted, find said {told(before)}")
    outcome = stage.succeed(instruction)
    found = stage.decided(instruction)
    stage.expect(found == outcome, f"it ended as {told(outcome)}, and find by its reference said {told(found)}")


def _declined(stage: Stage) -> None:
    instruction = stage.payment(Token.DECLINED)
    outcome = stage.drive(instruction, stage.submit(instruction))
    stage.expect(
        isinstance(outcome, Declined) and not isinstance(outcome, Overtaken), f"the outcome is {told(outcome)}"
    )
    stage.expect_count(instruction, 0)
    found = stage.find(instruction)
    stage.expect(isinstance(found, Declined | NotFound), f"after the decline, find said {told(found)}")


def _charged(stage: Stage, kind: OperationKind) -> tuple[Instruction, str]:
    """Return a payment and its charge, in the state that an operation of ``kind`` needs."""
    automatic = kind in {OperationKind.REFUND, OperationKind.PAYMENT}
    if not automatic:
        # A gateway that takes no capture still has to void, and the other way round.
        stage.need(kind in stage.capabilities.operations, f"operations lacks {kind}")
    first = stage.payment(capture=CaptureMethod.AUTOMATIC if automatic else CaptureMethod.MANUAL)
    return first, stage.succeed(first).gateway_charge_id


def _operation(stage: Stage, kind: OperationKind) -> None:
    stage.need(kind in stage.capabilities.operations, f"operations lacks {kind}")
    first, charge_id = _charged(stage, kind)
    instruction = stage.follow_up(kind, first, charge_id)
    before = stage.find(instruction)
    stage.expect(not isinstance(before, Succeeded | Declined), f"before it was submitted, find said {told(before)}")
    stage.succeed(instruction)
    stage.expect_count(instruction, 1)
    found = stage.decided(instruction)
    expected = Succeeded if stage.capabilities.lookup_by_reference else (Succeeded, Unknown)
    stage.expect(isinstance(found, expected), f"after its success, find said {told(found)}")
    other = stage.find(stage.follow_up(kind, first, charge_id))
    # A void has no reference at some gateways: the charge is voided, whoever asked for it.
    # What can be done only once is known to be out of reach: then it is Overtaken.
    stage.expect(
        kind is OperationKind.VOID or isinstance(other, NotFound | Overtaken | Unknown),
        f"another {kind} that was never submitted is said to have {told(other)}",
    )


def _need_reads(stage: Stage) -> None:
    stage.need(stage.capabilities.reads_charges, "reads_charges is False")


def _overtaken(stage: Stage, kind: OperationKind) -> None:
    _need_reads(stage)
    first, charge_id = _charged(stage, kind)
    ours = stage.follow_up(kind, first, charge_id)
    by_hand = {OperationKind.VOID: OperationKind.CAPTURE}.get(kind, kind)
    if by_hand in stage.capabilities.operations:
        stage.succeed(stage.follow_up(by_hand, first, charge_id))
    else:
        stage.vendor.act_by_hand(by_hand, charge_id, AMOUNT_MINOR)
    outcome = stage.drive(ours, stage.submit(ours))
    if isinstance(outcome, Unknown):
        outcome = stage.find(ours)
    stage.expect(isinstance(outcome, Overtaken), f"the {kind} ended as {told(outcome)}")
    stage.expect(not isinstance(stage.find(ours), Succeeded), "find says that it has succeeded")


def _refunds_apart(stage: Stage) -> None:
    first, charge_id = _charged(stage, OperationKind.REFUND)
    one, two = (stage.follow_up(OperationKind.REFUND, first, charge_id, PART_MINOR) for _ in range(2))
    stage.succeed(one)
    found = stage.find(two)
    stage.expect(
        isinstance(found, NotFound) or not stage.capabilities.lookup_by_reference,
        f"of a refund that was never sent, find said {told(found)}",
    )
    stage.succeed(two)
    stage.expect_count(one, 1)
    stage.expect_count(two, 1)


def _refund_too_much(stage: Stage) -> None:
    first, charge_id = _charged(stage, OperationKind.REFUND)
    ours = stage.follow_up(OperationKind.REFUND, first, charge_id, AMOUNT_MINOR + 1)
    outcome = stage.drive(ours, stage.submit(ours))
    stage.expect(not isinstance(outcome, Succeeded), f"refunding more than was paid ended as {told(outcome)}")
    stage.expect_count(ours, 0)


def _read(stage: Stage, *, captured_minor: int, refunded_minor: int = 0, voided: bool = False) -> ChargeState:
    return ChargeState(
        captured_minor=captured_minor,
        refunded_minor=refunded_minor,
        voided=voided,
        currency=stage.vendor.currency,
    )


def _read_paid(stage: Stage) -> None:
    _need_reads(stage)
    first, charge_id = _charged(stage, OperationKind.REFUND)
    whole = _read(stage, captured_minor=AMOUNT_MINOR)
    _expect_state(stage, charge_id, whole, first)
    stage.succeed(stage.follow_up(OperationKind.REFUND, first, charge_id, PART_MINOR))
    _expect_state(stage, charge_id, replace(whole, refunded_minor=PART_MINOR), first)


def _read_held(stage: Stage) -> None:
    _need_reads(stage)
    first, charge_id = _charged(stage, OperationKind.VOID)
    _expect_state(stage, charge_id, _read(stage, captured_minor=0), first)
    stage.succeed(stage.follow_up(OperationKind.VOID, first, charge_id))
    _expect_state(stage, charge_id, _read(stage, captured_minor=0, voided=True), first)


def _void_of_the_rest(stage: Stage) -> None:
    stage.need(
        stage.capabilities.multiple_captures,
        "multiple_captures is False, so a capture of a part leaves nothing to void",
    )
    first, charge_id = _charged(stage, OperationKind.VOID)
    stage.succeed(stage.follow_up(OperationKind.CAPTURE, first, charge_id, PART_MINOR))
    rest_minor = AMOUNT_MINOR - PART_MINOR
    stage.succeed(stage.follow_up(OperationKind.VOID, first, charge_id, rest_minor))
    late = stage.follow_up(OperationKind.CAPTURE, first, charge_id, rest_minor)
    outcome = stage.drive(late, stage.submit(late))
    stage.expect(not isinstance(outcome, Succeeded), "the rest was voided, and could be captured nevertheless")
    _need_reads(stage)
    _expect_state(stage, charge_id, _read(stage, captured_minor=PART_MINOR), first)


def _expect_state(stage: Stage, charge_id: str, expected: ChargeState, first: Instruction) -> None:
    state = stage.read_charge(charge_id)
    unnamed = replace(state, refunds=()) if isinstance(state, ChargeState) else state
    stage.expect(unnamed == expected, f"the charge is {told(expected)}, and was read as {told(state)}")
    said = state.gateway_reference if isinstance(state, ChargeState) else None
    stage.expect(said in {None, first.gateway_reference}, f"it is said to belong to {said}")


def _read_nobodys(stage: Stage) -> None:
    said = stage.read_charge(HOSTILE_IDS[0])
    expected = NotFound if stage.capabilities.reads_charges else Unknown
    stage.expect(isinstance(said, expected), f"a charge that is not there was read as {told(said)}")
    for charge_id in HOSTILE_IDS[1:]:
        said = stage.read_charge(charge_id)
        stage.expect(isinstance(said, NotFound | Unknown), f"{charge_id!r} was read as {told(said)}")


_OPERATIONS = {
    OperationKind.CAPTURE: "A capture is executed once, found by its reference, and not taken for another capture.",
    OperationKind.VOID: "A void is executed once, and found.",
    OperationKind.REFUND: "A refund is executed once, found by its reference, and not taken for another refund.",
}
_OVERTAKEN = "An operation on a charge that somebody else has changed ends as Overtaken, so that the charge is read."

CHECKS = (
    Check("payment.executed", "P1", "A payment is executed exactly once.", "succeeded", _executed_once),
    Check(
        "lookup_by_reference",
        "P4",
        "A payment is found by its reference alone, with the same ids as in its first answer.",
        "how-it-is-found",
        _found,
    ),
    Check(
        "payment.declined", "P1", "A decline is Declined, and nothing is or will be executed.", "declined", _declined
    ),
    *(
        Check(f"operations.{kind}", "P1", sentence, "succeeded", partial(_operation, kind=kind))
        for kind, sentence in _OPERATIONS.items()
    ),
    *(
        Check(f"overtaken.{kind}", "P9", _OVERTAKEN, "overtaken", partial(_overtaken, kind=kind))
        for kind in _OPERATIONS
    ),
    Check(
        "void.rest",
        "P9",
        "Where an authorization is captured in parts, a void releases the rest, and what was captured stays.",
        "what-is-declared",
        _void_of_the_rest,
    ),
    Check(
        "refund.told_apart",
        "P1",
        "Two refunds of the same amount are told apart by their references.",
        "how-it-is-found",
        _refunds_apart,
    ),
    Check("refund.too_much", "P9", "A refund of more than was paid is not executed.", "declined", _refund_too_much),
    Check(
        "read_charge.paid",
        "P9",
        "A charge is read with what was captured and refunded, or a correction would pay it back once more.",
        "read_charge",
        _read_paid,
    ),
    Check(
        "read_charge.held",
        "P9",
        "An authorization is read with nothing captured, and as voided once it is.",
        "read_charge",
        _read_held,
    ),
    Check(
        "read_charge.nobodys",
        "P9",
        "A charge that the gateway does not know is NotFound, and a hostile id leads nowhere else.",
        "read_charge",
        _read_nobodys,
    ),
)
