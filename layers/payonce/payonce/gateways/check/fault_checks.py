"""Checks of what the network and a failing server do: each end of an exchange is an outcome, and the right one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    NeverSent,
    NotFound,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.fault_proxy import ELSEWHERE, Fault
from payonce.gateways.check.stage import HASTY_SECONDS, PATIENT_SECONDS, told, unused_url
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction
    from payonce.gateways.check.stage import Stage

# They end by the deadline alone, which is then a short one.
ENDLESS = frozenset({Fault.SILENT_BEFORE, Fault.SILENT_AFTER, Fault.DRIP_AFTER})
# Where the server has certainly not executed anything, and says so by a status that many vendors document.
REFUSALS = frozenset({Fault.STATUS_401_BEFORE, Fault.STATUS_429_BEFORE, Fault.STATUS_503_BEFORE, Fault.REDIRECT_BEFORE})
# A reader that stops at a limit of a few MB has been sent at most that, and what the sockets' buffers hold.
MOST_SENT_BYTES = 32 * 1024 * 1024
READ_FAULTS = (
    Fault.DROP_BEFORE,
    Fault.SILENT_AFTER,
    Fault.TRUNCATED_AFTER,
    Fault.GARBAGE_AFTER,
    Fault.EMPTY_OBJECT_AFTER,
    Fault.LIST_AFTER,
    Fault.HTML_AFTER,
    Fault.HUGE_AFTER,
    Fault.STATUS_401_BEFORE,
    Fault.STATUS_429_BEFORE,
    Fault.STATUS_500_BEFORE,
    Fault.STATUS_503_BEFORE,
)


def _patience(fault: Fault) -> float:
    return HASTY_SECONDS if fault in ENDLESS else PATIENT_SECONDS


def _submit(stage: Stage, fault: Fault) -> None:
    if fault is Fault.OTHERS_ANSWER_AFTER:
        stage.succeed(stage.payment())  # whose answer then comes
    instruction = stage.payment()
    seen = len(stage.proxy.seen)
    with stage.proxy.broken(fault):
        outcome = stage.submit(instruction, _patience(fault))
    requests = stage.proxy.seen[seen:]
    stage.expect(all(ELSEWHERE not in path for _, path in requests), "it followed the redirect")
    allowed = (Unknown, NeverSent) if fault in REFUSALS else (Unknown,)
    stage.expect(isinstance(outcome, allowed), f"the outcome is {told(outcome)}")
    stage.expect_count(instruction, 1 if fault.forwards else 0)
    writes = [path for method, path in requests if method not in {"GET", "HEAD"}]
    stage.expect(len(writes) <= 1, f"one submission sent {len(writes)} requests that change something")
    if fault is Fault.HUGE_AFTER:
        _expect_bounded(stage)
    _recovered(stage, instruction, outcome, executed=fault.forwards)


def _recovered(stage: Stage, instruction: Instruction, outcome: object, *, executed: bool) -> None:
    """Repeat what may be repeated, as recovery does: one execution is left."""
    honours = stage.capabilities.key_retention_seconds > 0
    if isinstance(outcome, NeverSent) or (isinstance(outcome, Unknown) and outcome.repeatable and honours):
        again = stage.submit(instruction)
        stage.expect(not isinstance(again, Declined), f"sent again, as it said it can be, it ended as {told(again)}")
        stage.expect_count(instruction, 1)
    elif executed and stage.capabilities.lookup_by_reference:
        found = stage.seen(instruction)  # who waits for its payer waits on
        stage.expect(
            isinstance(found, Succeeded | Pending), f"it was executed, and find by its reference said {told(found)}"
        )
        stage.expect_count(instruction, 1)


def _expect_bounded(stage: Stage) -> None:
    sent = stage.proxy.sent_bytes
    stage.expect(sent <= MOST_SENT_BYTES, f"it read {sent // 2**20} MiB of an answer that has a few KB")


def _slow(stage: Stage) -> None:
    instruction = stage.payment()
    with stage.proxy.broken(Fault.SLOW_AFTER, reads_too=True):
        outcome = stage.submit(instruction)
    stage.expect(not isinstance(outcome, Unknown | NeverSent | Declined), f"the outcome is {told(outcome)}")
    stage.expect_count(instruction, 1)


def _find(stage: Stage, fault: Fault) -> None:
    instruction = stage.payment()
    made = stage.succeed(instruction)
    if not stage.capabilities.lookup_by_reference:
        instruction = replace(instruction, gateway_charge_id=made.gateway_charge_id)
    with stage.proxy.broken(fault, reads_too=True):
        outcome = stage.find(instruction, _patience(fault))
    # A lookup that rests on events needs no answer: then it may know the truth.
    harmless = outcome == made or isinstance(outcome, stage.may_not_find)
    stage.expect(harmless, f"find said {told(outcome)} of a payment that was executed")


def _read(stage: Stage, fault: Fault) -> None:
    charge_id = stage.succeed(stage.payment()).gateway_charge_id
    with stage.proxy.broken(fault, reads_too=True):
        outcome = stage.read_charge(charge_id, _patience(fault))
    stage.expect(isinstance(outcome, Unknown), f"read_charge said {told(outcome)} of a charge that is there")


def _refund(stage: Stage, fault: Fault) -> None:
    first = stage.payment()
    charge_id = stage.succeed(first).gateway_charge_id
    refund = stage.follow_up(OperationKind.REFUND, first, charge_id)
    with stage.proxy.broken(fault):
        outcome = stage.submit(refund, _patience(fault))
    stage.expect(isinstance(outcome, Unknown), f"the outcome is {told(outcome)}")
    stage.expect_count(refund, 1 if fault.forwards else 0)
    found = stage.seen(refund) if fault.forwards else stage.find(refund)
    expected: tuple[type, ...] = (Succeeded, Pending) if fault.forwards else (NotFound,)
    if not stage.capabilities.lookup_by_reference:
        expected = (*expected, Unknown)
    stage.expect(isinstance(found, expected), f"find said {told(found)}")


def _nobody(stage: Stage) -> None:
    gateway = stage.vendor.make_adapter(unused_url(), stage.clock)
    instruction = stage.payment()
    waiting = AwaitsPayer("no_such_charge", "waiting")
    for what, outcome, expected in (
        ("submit", gateway.submit(instruction, stage.soon()), NeverSent),
        ("find", gateway.find(instruction, stage.soon()), stage.may_not_find),
        ("read_charge", gateway.read_charge("ch_1", stage.soon()), Unknown),
        ("withdraw", gateway.withdraw(instruction, waiting, stage.soon()), AwaitsPayer),
        ("confirm", gateway.confirm(instruction, waiting, "x", stage.soon()), (NeverSent, Unknown, AwaitsPayer)),
    ):
        stage.expect(isinstance(outcome, expected), f"{what} said {told(outcome)}")


def _too_late(stage: Stage) -> None:
    instruction = stage.payment()
    outcome = stage.submit(instruction, seconds=-1)
    stage.expect(isinstance(outcome, NeverSent), f"submit said {told(outcome)}")
    found = stage.find(instruction, seconds=-1)
    stage.expect(isinstance(found, stage.may_not_find), f"find said {told(found)}")
    stage.expect_count(instruction, 0)


CHECKS = (
    Check(
        "fault.nobody_listening",
        "P4",
        "Where nobody listens, submit is NeverSent, and every question is Unknown, never NotFound.",
        "neversent",
        _nobody,
    ),
    Check(
        "fault.deadline_over",
        "P4",
        "After its deadline nothing is sent: submit is NeverSent and find is Unknown.",
        "the-deadline",
        _too_late,
    ),
    *(
        Check(
            f"fault.submit.{fault.slug}",
            "P4",
            f"Submit is {'NeverSent or Unknown' if fault in REFUSALS else 'Unknown'} when {fault}; "
            "it ends by the deadline, sends one request, and one execution is left after the recovery.",
            "neversent" if fault in REFUSALS else "unknown",
            partial(_submit, fault=fault),
        )
        for fault in Fault
        if fault is not Fault.SLOW_AFTER
    ),
    Check(
        "fault.submit.slow_after",
        "P1",
        "An answer that comes late, but by the deadline, is taken.",
        "the-deadline",
        _slow,
    ),
    *(
        Check(
            f"fault.refund.{fault.slug}",
            "P4",
            f"A refund is Unknown when {fault}, and what became of it is found.",
            "unknown",
            partial(_refund, fault=fault),
        )
        for fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER)
    ),
    *(
        Check(
            f"fault.{name}.{fault.slug}",
            "P4",
            f"{name} is Unknown when {fault}: a doubt is never settled by an answer that is none.",
            chapter,
            partial(run, fault=fault),
        )
        for name, chapter, run in (("find", "how-it-is-found", _find), ("read_charge", "read_charge", _read))
        for fault in READ_FAULTS
    ),
)
