"""Checks of doubts about set-ups and revocations, at each of their calls: the method is saved once, or not at all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    MethodSaved,
    NeverSent,
    NotFound,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.fault_checks import ENDLESS, READ_FAULTS, REFUSALS
from payonce.gateways.check.fault_proxy import ELSEWHERE, Fault
from payonce.gateways.check.payer_checks import expect_no_forgery
from payonce.gateways.check.setup_steps import absent_charge, is_saved, recovered, saved_by, waiting_setup
from payonce.gateways.check.stage import HASTY_SECONDS, PATIENT_SECONDS, held, told
from payonce.gateways.check.vendor import NotBroughtError, Token
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction
    from payonce.gateways.check.stage import Stage

_SETUPS, _REVOCATIONS = "set-ups", "revocations"
# An answer to a revocation may have no body, so that the faults of a body have nothing to break.
REVOCATION_FAULTS = (
    Fault.SILENT_BEFORE,
    Fault.RESET_AFTER,
    Fault.SILENT_AFTER,
    Fault.STATUS_500_AFTER,
    Fault.STATUS_502_AFTER,
    Fault.STATUS_504_AFTER,
    Fault.REDIRECT_BEFORE,
    Fault.STATUS_401_BEFORE,
    Fault.STATUS_429_BEFORE,
    Fault.STATUS_500_BEFORE,
    Fault.STATUS_503_BEFORE,
)


def _patience(fault: Fault) -> float:
    return HASTY_SECONDS if fault in ENDLESS else PATIENT_SECONDS


def _in_doubt(stage: Stage, fault: Fault, instruction: Instruction) -> object:
    """Submit it while the way is broken. Return the doubt."""
    seen = len(stage.proxy.seen)
    with stage.proxy.broken(fault):
        outcome = stage.submit(instruction, _patience(fault))
    allowed = (Unknown, NeverSent) if fault in REFUSALS else (Unknown,)
    stage.expect(isinstance(outcome, allowed), f"the outcome is {told(outcome)}")
    stage.expect(all(ELSEWHERE not in path for _, path in stage.proxy.seen[seen:]), "it followed the redirect")
    return outcome


def _submitted(stage: Stage, fault: Fault) -> None:
    setup = stage.setup()
    if fault is Fault.OTHERS_ANSWER_AFTER:
        saved_by(stage, stage.setup())  # whose answer then comes
    doubt = _in_doubt(stage, fault, setup)
    count = stage.vendor.count(setup)
    stage.expect(count <= int(fault.forwards), f"the books have {count} executions of a set-up that was in doubt")
    outcome = recovered(stage, setup, doubt, executed=bool(count))
    if outcome is None:
        return  # neither a key nor a lookup helps: payonce leaves it to a person
    if isinstance(outcome, NotFound | Unknown) and not count:
        stage.expect_count(setup, 0)
        return
    saved = is_saved(stage.drive(setup, outcome))
    stage.expect_count(setup, 1)
    if stage.capabilities.lookup_by_reference:
        same = is_saved(stage.seen(setup)).token == saved.token
        stage.expect(same, "asked again, the set-up names another token")


def _found(stage: Stage, fault: Fault) -> None:
    setup = stage.setup()
    made = saved_by(stage, setup)
    asked = setup
    if not stage.capabilities.lookup_by_reference:
        asked = replace(setup, gateway_charge_id=made.gateway_charge_id)
    with stage.proxy.broken(fault, reads_too=True):
        outcome = stage.find(asked, _patience(fault))
    # A lookup that rests on events needs no answer: then it may know the truth.
    same = isinstance(outcome, MethodSaved) and outcome.token == made.token
    stage.expect(same or isinstance(outcome, stage.may_not_find), f"find said {told(outcome)} of a set-up that is made")


def _forged(stage: Stage) -> None:
    expect_no_forgery(stage, *waiting_setup(stage, Token.NEEDS_CONFIRMATION))


def _confirmed(stage: Stage) -> None:
    for fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER):
        setup, waiting = waiting_setup(stage, Token.NEEDS_CONFIRMATION)
        result = stage.vendor.answer_as_payer(waiting, approve=True)
        if result is None:
            raise NotBroughtError("the payer brings no result back")
        with stage.proxy.broken(fault):
            lost = stage.confirm(setup, waiting, result)
        doubt = isinstance(lost, Unknown | NeverSent | AwaitsPayer)
        stage.expect(doubt, f"when {fault}, confirm said {told(lost)}")
        outcome: object = stage.confirm(setup, waiting, result)
        if not isinstance(outcome, MethodSaved):
            outcome = stage.decided(held(setup, waiting))
        saved = is_saved(outcome)
        stage.expect_count(setup, 1)
        charged = absent_charge(stage, setup, saved)[1]
        stage.expect(type(charged) is Succeeded, f"charged while the payer is absent, it ended as {told(charged)}")


def _withdrawn(stage: Stage) -> None:
    for fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER):
        setup, waiting = waiting_setup(stage)
        with stage.proxy.broken(fault, reads_too=True):
            outcome = stage.withdraw(held(setup, waiting), waiting)
        stage.expect(outcome == waiting, f"when {fault}, withdraw said {told(outcome)}, not that it still waits")
        outcome = stage.withdraw(held(setup, waiting), waiting)
        stage.need(outcome != waiting, "withdraw leaves the set-up waiting for its payer")
        stage.expect(isinstance(outcome, Declined), f"made again, the withdrawal ended as {told(outcome)}")
        stage.expect_count(setup, 0)


def _revoked(stage: Stage, fault: Fault) -> None:
    setup = stage.setup()
    saved = saved_by(stage, setup)
    revocation = stage.revocation(setup, saved)
    _in_doubt(stage, fault, revocation)
    expected = Succeeded if fault.forwards else NotFound
    found = stage.seen(revocation) if fault.forwards else stage.find(revocation)
    stage.expect(isinstance(found, expected), f"when {fault}, find said {told(found)} afterwards")
    if not fault.forwards:
        charged = absent_charge(stage, setup, saved)[1]
        stage.expect(type(charged) is Succeeded, f"it was not revoked, and a charge ended as {told(charged)}")
    again = stage.submit(revocation)
    stage.expect(isinstance(again, Succeeded), f"made again, the revocation ended as {told(again)}")


CHECKS = (
    *(
        Check(
            f"setup.submit.{fault.slug}",
            "P4",
            f"A set-up is {'NeverSent or Unknown' if fault in REFUSALS else 'Unknown'} when {fault}; after the "
            "recovery one method is saved, or none.",
            "neversent" if fault in REFUSALS else "unknown",
            partial(_submitted, fault=fault),
        )
        for fault in Fault
        if fault is not Fault.SLOW_AFTER
    ),
    *(
        Check(
            f"setup.find.{fault.slug}",
            "P4",
            f"The question about a set-up ends nothing when {fault}.",
            "how-it-is-found",
            partial(_found, fault=fault),
        )
        for fault in READ_FAULTS
    ),
    Check(
        "setup.forged",
        "P8",
        "A result that the vendor never issued saves nothing, and the set-up waits on.",
        _SETUPS,
        _forged,
    ),
    Check(
        "setup.confirm_lost",
        "P4",
        "A confirmation without an answer is made again: one method is saved, and can be charged.",
        _SETUPS,
        _confirmed,
    ),
    Check(
        "setup.withdraw_lost",
        "P4",
        "A withdrawal without an answer leaves the set-up waiting, and can be made again.",
        _SETUPS,
        _withdrawn,
    ),
    *(
        Check(
            f"revocation.submit.{fault.slug}",
            "P4",
            f"A revocation is {'NeverSent or Unknown' if fault in REFUSALS else 'Unknown'} when {fault}, find tells "
            "the truth about it, and it can be made again.",
            _REVOCATIONS,
            partial(_revoked, fault=fault),
        )
        for fault in REVOCATION_FAULTS
    ),
)
