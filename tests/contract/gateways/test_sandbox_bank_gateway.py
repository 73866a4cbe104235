"""What only the sandbox bank's adapter has to show: which of the bank's failures come again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.sandbox_bank.running import running_bank
from payonce.domain.gateway import CaptureMethod, Instruction, NotFound, OperationKind, Succeeded, Unknown
from payonce.domain.money import Money
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.ports import Deadline
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.sandbox_bank.running import BankHandle

CLOCK = RealClock()
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as handle:
        yield handle


def payment(token: str) -> Instruction:
    number = next(_numbers)
    return Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=f"pay_{number}-1",
        merchant_id="mer_1",
        payment_id=f"pay_{number}",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method=token,
        first_submitted_at_ms=CLOCK.now_ms(),
    )


def soon() -> Deadline:
    return Deadline(CLOCK.now_ms() + 60_000)


@pytest.mark.parametrize("bank_name", ["remembering", "forgetful"])
def test_a_kept_failure_comes_again_and_is_said_to(bank: BankHandle, bank_name: str) -> None:
    """Fails when the adapter does not say that repeating is of no use, or says so of a bank that keeps nothing."""
    keeps = bank_name == "remembering"
    bank.scenario(bank_name, "error_kept", times=1)
    options = {"url": bank.base_url(bank_name), "key_retention_seconds": 86_400 if keeps else 0}
    gateway = sandbox_bank_from_options(bank_name, options, {"sandbox_bank_api_key": "x"}, CLOCK)
    instruction = payment(f"pm_kept_{bank_name}")
    assert gateway.submit(instruction, soon()) == Unknown("HTTP 500", repeatable=not keeps)
    assert gateway.find(instruction, soon()) == NotFound()
    again = gateway.submit(instruction, soon())
    assert again == Unknown("HTTP 500", repeatable=False) if keeps else isinstance(again, Succeeded)
    renewed = replace(instruction, gateway_reference=instruction.gateway_reference.replace("-1", "-2"))
    assert isinstance(gateway.submit(renewed, soon()), Succeeded) or not keeps
