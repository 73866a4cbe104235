"""Adapters without set-ups say so, and send nothing if they are asked all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.gateway import MONEY_OPERATIONS, Declined, Instruction, OperationKind
from payonce.gateways.adyen_gateway import ADYEN_CAPABILITIES
from payonce.gateways.adyen_requests import Account, refusal_before
from payonce.gateways.mollie_gateway import MOLLIE_CAPABILITIES, MollieGateway
from payonce.gateways.stripe_gateway import STRIPE_CAPABILITIES
from payonce.ports import Deadline
from tests.support.world import ManualClock
from tests.unit.gateways.test_sandbox_bank_setups import SETUP

SAVING = sorted(frozenset(OperationKind) - MONEY_OPERATIONS)


def test_who_declares_what() -> None:
    assert ADYEN_CAPABILITIES.operations == MOLLIE_CAPABILITIES.operations == MONEY_OPERATIONS
    assert STRIPE_CAPABILITIES.operations == frozenset(OperationKind)


@pytest.mark.parametrize("kind", SAVING)
def test_nothing_is_sent(kind: OperationKind) -> None:
    instruction: Instruction = replace(SETUP, kind=kind)
    assert refusal_before(instruction, Account("TestMerchant")) is not None
    gateway: Any = MollieGateway("mollie", "http://127.0.0.1:1", "test_1", ManualClock())
    outcome = gateway.submit(instruction, Deadline(0))
    assert isinstance(outcome, Declined)
    assert outcome.code == "rejected_by_gateway"
