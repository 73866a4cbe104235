"""Checks of what an adapter declares: a capability that turns out untrue charges somebody twice, one day."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    NeverSent,
    NotFound,
    OperationKind,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.fault_proxy import Fault
from payonce.gateways.check.stage import AMOUNT_MINOR, ASKS, HASTY_SECONDS, PAUSE_SECONDS, told
from payonce.gateways.check.vendor import VendorFault
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage

WATCHED_SECONDS = 4.0  # how long a late booking is waited for: longer than the servers' faults last


def _throttled(stage: Stage) -> None:
    instruction = stage.payment()
    with stage.vendor.misbehave(VendorFault.THROTTLED):
        outcome = stage.submit(instruction)
    stage.expect(isinstance(outcome, NeverSent | Unknown), f"the outcome is {told(outcome)}")
    stage.expect_count(instruction, 0)
    if isinstance(outcome, NeverSent):
        stage.succeed(instruction)


def _authoritative_after(stage: Stage) -> float:
    after = stage.capabilities.lookup_authoritative_after_seconds
    if after is None:
        stage.need(False, "lookup_authoritative_after_seconds is None")
        return 0
    stage.need(stage.capabilities.lookup_by_reference, "lookup_by_reference is False")
    return after


def _final_when_executed(stage: Stage) -> None:
    after = _authoritative_after(stage)
    instruction = stage.payment()
    with stage.proxy.broken(Fault.DROP_AFTER):
        stage.submit(instruction)
    if isinstance(stage.find(instruction), NotFound):
        stage.wait(after)
        found = stage.find(instruction)
        stage.expect(
            not isinstance(found, NotFound), f"{after} s after its submission it is executed, and find said NotFound"
        )


def _final_when_late(stage: Stage) -> None:
    after = _authoritative_after(stage)
    instruction = stage.payment()
    with stage.vendor.misbehave(VendorFault.BOOKED_LATE):
        stage.submit(instruction, HASTY_SECONDS)
        sent = time.monotonic()
    while isinstance(found := stage.find(instruction), NotFound):
        if time.monotonic() - sent >= after:
            break
        time.sleep(PAUSE_SECONDS)
    if isinstance(found, NotFound):
        give_up = time.monotonic() + WATCHED_SECONDS
        while stage.vendor.count(instruction) == 0 and time.monotonic() < give_up:
            time.sleep(PAUSE_SECONDS)
        stage.expect(
            stage.vendor.count(instruction) == 0,
            f"{after} s after its submission find said NotFound, and it was executed afterwards",
        )


def _final_when_never(stage: Stage) -> None:
    after = _authoritative_after(stage)
    instruction = stage.payment()
    with stage.proxy.broken(Fault.DROP_BEFORE):
        stage.submit(instruction)
    found = stage.find(instruction)
    stage.expect(isinstance(found, NotFound), f"it never arrived, and find said {told(found)} ({after=})")


def _captures(stage: Stage) -> None:
    first = stage.payment(capture=CaptureMethod.MANUAL)
    stage.need(OperationKind.CAPTURE in stage.capabilities.operations, "operations lacks capture")
    charge_id = stage.succeed(first).gateway_charge_id
    one, two = (
        stage.follow_up(OperationKind.CAPTURE, first, charge_id, amount) for amount in (400, AMOUNT_MINOR - 400)
    )
    stage.succeed(one)
    outcome = stage.drive(two, stage.submit(two))
    if stage.capabilities.multiple_captures:
        stage.expect(
            isinstance(outcome, Succeeded),
            f"multiple_captures is True, and the second of two captures ended as {told(outcome)}",
        )
    else:
        stage.expect(
            not isinstance(outcome, Succeeded),
            "multiple_captures is False, so the rest counts as released, and a second capture has succeeded",
        )


def _operations(stage: Stage) -> None:
    stage.expect(OperationKind.PAYMENT in stage.capabilities.operations, "operations lacks payment")
    stage.expect(bool(stage.capabilities.payment_method_types), "payment_method_types is empty")
    stage.expect(
        stage.vendor.method_type in stage.capabilities.payment_method_types,
        f"payment_method_types lacks {stage.vendor.method_type}, by which the ordinary payments are made",
    )


def _method_type(stage: Stage, method_type: PaymentMethodType) -> None:
    stage.need(method_type in stage.capabilities.payment_method_types, f"payment_method_types lacks {method_type}")
    token = stage.vendor.method_token(method_type)
    instruction = stage.payment(method_type=method_type, payment_method=token)
    outcome: object = stage.submit(instruction)
    for _ in range(ASKS if isinstance(outcome, Unknown) else 0):
        outcome = stage.find(instruction)
        if not isinstance(outcome, Unknown):
            break
    stage.expect(
        isinstance(outcome, Succeeded | Pending | AwaitsPayer),
        f"payment_method_types has {method_type}, and a payment by it ended as {told(outcome)}",
    )
    stage.expect_count(instruction, 1)


_FINAL = "when-not-found-is-final"
CHECKS = (
    Check(
        "fault.vendor.throttled",
        "P4",
        "A refusal before execution in the vendor's own words is NeverSent or Unknown, never Declined.",
        "neversent",
        _throttled,
    ),
    Check(
        "lookup_authoritative_after_seconds.executed",
        "P4",
        "Once it is authoritative, find does not say NotFound of a payment that was executed.",
        _FINAL,
        _final_when_executed,
    ),
    Check(
        "lookup_authoritative_after_seconds.late",
        "P4",
        "What find calls NotFound once it is authoritative is not executed later.",
        _FINAL,
        _final_when_late,
    ),
    Check(
        "lookup_authoritative_after_seconds.never_arrived",
        "P4",
        "A payment that never arrived is NotFound, so that it can be sent again.",
        _FINAL,
        _final_when_never,
    ),
    Check(
        "multiple_captures",
        "P9",
        "An authorization is captured in several parts exactly where that is declared.",
        "what-is-declared",
        _captures,
    ),
    Check("operations", "P1", "Payments and their ordinary method are declared.", "what-is-declared", _operations),
    *(
        Check(
            f"payment_method_types.{method_type}",
            "P1",
            f"A payment by {method_type} is taken where that is declared.",
            "what-is-declared",
            partial(_method_type, method_type=method_type),
        )
        for method_type in PaymentMethodType
    ),
)
