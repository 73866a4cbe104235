"""Checks of idempotency keys: what is sent twice under one reference is executed once, for as long as is declared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, Declined, OperationKind, Pending, Succeeded, Unknown
from payonce.domain.money import Money
from payonce.gateways.check.stage import AMOUNT_MINOR, told
from payonce.gateways.check.vendor import VendorFault
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage

BEFORE_THE_END_SECONDS = 60


def _need_keys(stage: Stage) -> None:
    stage.need(stage.capabilities.key_retention_seconds > 0, "key_retention_seconds is 0")


def _keys(stage: Stage) -> None:
    _need_keys(stage)
    instruction = stage.payment()
    first = stage.submit(instruction)
    again = stage.submit(instruction)
    stage.expect_count(instruction, 1)
    same = first == again or (isinstance(first, Pending) and isinstance(again, Pending | Succeeded))
    stage.expect(same, f"the first answer was {told(first)}, the second {told(again)}")


def _keys_of_refunds(stage: Stage) -> None:
    _need_keys(stage)
    first = stage.payment()
    refund = stage.follow_up(OperationKind.REFUND, first, stage.succeed(first).gateway_charge_id, AMOUNT_MINOR // 4)
    stage.submit(refund)
    stage.submit(refund)
    stage.expect_count(refund, 1)


def _keys_at_once(stage: Stage) -> None:
    _need_keys(stage)
    instruction = stage.payment()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: stage.submit(instruction), range(4)))
    stage.expect_count(instruction, 1)
    wrong = [told(one) for one in outcomes if isinstance(one, Declined)]
    stage.expect(not wrong, f"of four submissions at once, one ended as {wrong[:1]}")


def _keys_until_the_end(stage: Stage) -> None:
    _need_keys(stage)
    instruction = stage.payment()
    outcome = stage.submit(instruction)
    if isinstance(outcome, AwaitsPayer):  # who may be given up before the key is
        stage.payer_acts(instruction, outcome, approve=True)
    stage.vendor.advance(stage.capabilities.key_retention_seconds - BEFORE_THE_END_SECONDS)
    stage.submit(instruction)
    stage.expect_count(instruction, 1)


def _keys_of_another(stage: Stage) -> None:
    _need_keys(stage)
    instruction = stage.payment()
    stage.submit(instruction)
    other = replace(instruction, money=Money(AMOUNT_MINOR + 1, instruction.money.currency))
    outcome = stage.submit(other)
    stage.expect(isinstance(outcome, Unknown), f"our key with another amount ended as {told(outcome)}")
    stage.expect_count(instruction, 1)


def _kept_failure(stage: Stage) -> None:
    _need_keys(stage)
    instruction = stage.payment()
    with stage.vendor.misbehave(VendorFault.FAILURE_KEPT):
        outcome = stage.submit(instruction)
    stage.expect(
        isinstance(outcome, Unknown) and not outcome.repeatable,
        f"the failure is kept under the key, and the outcome is {told(outcome)}",
    )
    stage.expect_count(instruction, 0)
    renewed = replace(instruction, gateway_reference=instruction.gateway_reference.removesuffix("-1") + "-2")
    stage.succeed(renewed)


_KEYS = "keys"
CHECKS = (
    Check(
        "key_retention_seconds.honoured",
        "P1",
        "A payment that is sent twice under one reference is executed once, and answered alike.",
        _KEYS,
        _keys,
    ),
    Check(
        "key_retention_seconds.refunds",
        "P1",
        "A refund that is sent twice under one reference is executed once.",
        _KEYS,
        _keys_of_refunds,
    ),
    Check(
        "key_retention_seconds.at_once",
        "P1",
        "Four submissions of one reference at once are executed once, and none of them counts as declined.",
        _KEYS,
        _keys_at_once,
    ),
    Check(
        "key_retention_seconds.long_enough",
        "P1",
        "A minute before the declared retention ends, the key is still honoured.",
        _KEYS,
        _keys_until_the_end,
    ),
    Check(
        "key_retention_seconds.another_request",
        "P1",
        "Our key with another amount is Unknown, and is not executed: one of the two sides has a defect.",
        _KEYS,
        _keys_of_another,
    ),
    Check(
        "key_retention_seconds.kept_failure",
        "P4",
        "A failure that the vendor keeps under the key is Unknown and not repeatable; a new reference succeeds.",
        "unknown",
        _kept_failure,
    ),
)
