"""Checks of payments that wait for their payer, and of those that take days."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    Declined,
    Instruction,
    NotFound,
    Payer,
    PaymentMethodType,
    Pending,
    ResultRefused,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.fault_proxy import Fault
from payonce.gateways.check.stage import held, told
from payonce.gateways.check.vendor import NotBroughtError, Token
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage


def _waiting(stage: Stage, token: Token = Token.NEEDS_PAYER) -> tuple[Instruction, AwaitsPayer]:
    instruction = stage.payment(token)
    outcome = stage.submit(instruction)
    if not isinstance(outcome, AwaitsPayer):
        stage.expect(False, f"a payment that needs its payer ended as {told(outcome)}")
        raise AssertionError
    return instruction, outcome


def _asked(stage: Stage) -> None:
    instruction, waiting = _waiting(stage)
    action = waiting.action
    if action is None:
        stage.expect(False, "the payer is not told what to do: the action is None")
        return
    shown = action.client_secret if action.type is ActionType.GATEWAY_SDK else action.url
    stage.expect(bool(shown), f"the action {action.type} has nothing to show")
    found = stage.seen(held(instruction, waiting))
    same = isinstance(found, AwaitsPayer) and found.gateway_object_id == waiting.gateway_object_id
    stage.expect(same, f"while it waits for the payer, find by its id said {told(found)}")
    outcome = stage.drive(instruction, waiting)
    stage.expect(isinstance(outcome, Succeeded), f"after the payer's approval it ended as {told(outcome)}")
    stage.expect_count(instruction, 1)


def _refused(stage: Stage) -> None:
    instruction, waiting = _waiting(stage)
    outcome = stage.drive(instruction, waiting, approve=False)
    stage.expect(isinstance(outcome, Declined), f"after the payer's refusal it ended as {told(outcome)}")
    stage.expect_count(instruction, 0)


def _absent(stage: Stage) -> None:
    instruction = stage.payment(Token.NEEDS_PAYER, payer=Payer.ABSENT)
    outcome: object = stage.submit(instruction)
    if isinstance(outcome, AwaitsPayer):
        outcome = stage.withdraw(instruction, outcome)  # what payonce does with it
    stage.expect(isinstance(outcome, Declined), f"with an absent payer it ended as {told(outcome)}")
    stage.expect_count(instruction, 0)


def _withdrawn(stage: Stage) -> None:
    instruction, waiting = _waiting(stage)
    outcome = stage.withdraw(instruction, waiting)
    # Leaving it to its expiry is truthful: it claims nothing.
    stage.need(outcome != waiting, "withdraw leaves the payment waiting for its payer")
    stage.expect(isinstance(outcome, Declined), f"withdrawn, it ended as {told(outcome)}")
    outcome = stage.withdraw(instruction, waiting)
    stage.expect(isinstance(outcome, Declined), f"withdrawn again, it ended as {told(outcome)}")
    try:
        stage.vendor.answer_as_payer(waiting, approve=True)
    except NotBroughtError:
        raise
    except Exception as refused:
        del refused  # the vendor's page is closed, as it should be
    stage.expect_count(instruction, 0)
    found = stage.seen(held(instruction, waiting))
    stage.expect(isinstance(found, Declined), f"after its withdrawal, find said {told(found)}")


def _payer_was_faster(stage: Stage) -> None:
    instruction, waiting = _waiting(stage)
    paid = stage.payer_acts(instruction, waiting, approve=True)
    stage.expect(isinstance(paid, Succeeded), f"after the payer's approval it ended as {told(paid)}")
    outcome = stage.withdraw(instruction, waiting)
    stage.expect(
        isinstance(outcome, Succeeded | Pending), f"withdrawn after it was paid, it is said to be {told(outcome)}"
    )
    stage.expect_count(instruction, 1)


def _withdrawal_lost(stage: Stage) -> None:
    for fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER):
        instruction, waiting = _waiting(stage)
        with stage.proxy.broken(fault, reads_too=True):
            outcome = stage.withdraw(instruction, waiting)
        stage.expect(outcome == waiting, f"when {fault}, withdraw said {told(outcome)}, not that it still waits")
        outcome = stage.withdraw(instruction, waiting)
        stage.need(outcome != waiting, "withdraw leaves the payment waiting for its payer")
        stage.expect(isinstance(outcome, Declined), f"made again, the withdrawal ended as {told(outcome)}")
        stage.expect_count(instruction, 0)


def expect_no_forgery(stage: Stage, instruction: Instruction, waiting: AwaitsPayer) -> None:
    """A result that the vendor never issued ends nothing of what waits, a payment or a set-up."""
    outcome = stage.confirm(instruction, waiting, "forged")
    allowed = isinstance(outcome, ResultRefused | AwaitsPayer | Unknown)
    stage.expect(allowed, f"a result that the vendor never issued ended as {told(outcome)}")
    found = stage.seen(held(instruction, waiting))
    stage.expect(isinstance(found, AwaitsPayer), f"after a forged result, find said {told(found)}")


def _forged(stage: Stage) -> None:
    expect_no_forgery(stage, *_waiting(stage, Token.NEEDS_CONFIRMATION))


def _confirmed_twice(stage: Stage) -> None:
    instruction, waiting = _waiting(stage, Token.NEEDS_CONFIRMATION)
    result = stage.vendor.answer_as_payer(waiting, approve=True)
    if result is None:
        raise NotBroughtError("the payer brings no result back")
    with stage.proxy.broken(Fault.DROP_AFTER):
        lost = stage.confirm(instruction, waiting, result)
    stage.expect(isinstance(lost, Unknown | AwaitsPayer), f"when the answer is lost, confirm said {told(lost)}")
    outcome: object = stage.confirm(instruction, waiting, result)
    if isinstance(outcome, Pending):
        outcome = stage.decided(held(instruction, waiting))
    stage.expect(isinstance(outcome, Succeeded), f"confirmed twice, it ended as {told(outcome)}")
    stage.expect_count(instruction, 1)


def _debit(stage: Stage, token: Token) -> tuple[Instruction, object]:
    claimed = PaymentMethodType.BANK_DEBIT in stage.capabilities.payment_method_types
    stage.need(claimed, "payment_method_types lacks bank_debit")
    instruction = stage.payment(token, method_type=PaymentMethodType.BANK_DEBIT)
    outcome = stage.submit(instruction)
    if not isinstance(outcome, Pending) or isinstance(outcome, AwaitsPayer):
        stage.expect(False, f"a debit that takes days ended as {told(outcome)}")
        raise AssertionError
    found = stage.seen(held(instruction, outcome))
    undecided = isinstance(found, Pending) and found.gateway_object_id == outcome.gateway_object_id
    stage.expect(undecided, f"while it is not decided, find by its id said {told(found)}")
    by_reference = stage.seen(replace(instruction, gateway_charge_id=None))
    stage.expect(not isinstance(by_reference, NotFound), "while it is not decided, find by its reference said NotFound")
    stage.vendor.settle()
    return instruction, stage.decided(held(instruction, outcome))


def _debit_succeeds(stage: Stage) -> None:
    instruction, outcome = _debit(stage, Token.DEBIT)
    stage.expect(isinstance(outcome, Succeeded), f"once it is settled, find said {told(outcome)}")
    stage.expect_count(instruction, 1)


def _debit_fails(stage: Stage) -> None:
    instruction, outcome = _debit(stage, Token.DEBIT_FAILS)
    stage.expect(isinstance(outcome, Declined), f"once it has failed, find said {told(outcome)}")
    stage.expect_count(instruction, 0)


def _pending_and_lost(stage: Stage) -> None:
    instruction, waiting = _waiting(stage)
    with stage.proxy.broken(Fault.DROP_BEFORE, reads_too=True):
        outcome = stage.find(held(instruction, waiting))
    # That it waits is what we know already, and harms nobody.
    stage.expect(isinstance(outcome, Unknown | Pending), f"find by its id said {told(outcome)}")


_WAITS = "pending-and-awaitspayer"
CHECKS = (
    Check(
        "payer.asked",
        "P4",
        "A payment that needs its payer is AwaitsPayer with what to show, and succeeds once the payer has acted.",
        _WAITS,
        _asked,
    ),
    Check("payer.refuses", "P4", "A payer who refuses leaves a payment that is Declined for good.", _WAITS, _refused),
    Check(
        "payer.absent",
        "P4",
        "An absent payer is never waited for: nobody can pay after we have said that the payment failed.",
        _WAITS,
        _absent,
    ),
    Check(
        "withdraw",
        "P4",
        "A withdrawn payment is Declined, again and again, and its payer can't pay it any more.",
        "withdraw",
        _withdrawn,
    ),
    Check(
        "withdraw.payer_was_faster",
        "P4",
        "A payment whose payer was faster than the withdrawal is Succeeded.",
        "withdraw",
        _payer_was_faster,
    ),
    Check(
        "withdraw.lost",
        "P4",
        "A withdrawal without an answer leaves the payment waiting, and can be made again.",
        "withdraw",
        _withdrawal_lost,
    ),
    Check("confirm.forged", "P4", "A result that the vendor never issued executes nothing.", "confirm", _forged),
    Check(
        "confirm.twice",
        "P1",
        "A result that is handed in twice executes the payment once.",
        "confirm",
        _confirmed_twice,
    ),
    Check("payer.find_lost", "P4", "A question by id without an answer ends nothing.", _WAITS, _pending_and_lost),
    Check(
        "debit.succeeds",
        "P4",
        "A debit is Pending under its object's id, and Succeeded days later.",
        _WAITS,
        _debit_succeeds,
    ),
    Check("debit.fails", "P4", "A debit that fails days later is Declined then.", _WAITS, _debit_fails),
)
