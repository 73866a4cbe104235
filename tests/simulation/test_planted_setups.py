"""Faults planted in set-ups, charges of what they save, and revocations: each that is switched off breaks a promise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import Declined, NotFound, OperationKind, Pending, Succeeded, Unknown
from payonce.payments import create
from payonce.payments.payment_work import GatewayWork
from payonce.payments.setups import create_setup, revoke
from payonce.payments.setups.revoke import RevokeMethod
from payonce.payments.setups.steps import ConfirmSetup
from simulation.gateway import SimulatedGateway
from tests.simulation.test_planted_faults import assert_violated, plant

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SEEDS = 400


def charges_what_is_revoked(patch: pytest.MonkeyPatch) -> None:
    """That a method is active is no condition of a payment's claim."""
    plant(patch, create, "is_active", lambda original, *args: replace(original(*args), require={}, set={"seen": True}))


def revokes_without_ending_the_use(patch: pytest.MonkeyPatch) -> None:
    """A method is charged until its revocation is answered."""
    plant(
        patch, revoke, "being_revoked", lambda original, *args: replace(original(*args), require={}, set={"seen": True})
    )


def takes_silence_for_a_revocation(patch: pytest.MonkeyPatch) -> None:
    def answer(original: Any, *args: Any, **more: Any) -> Any:
        outcome = original(*args, **more)
        return Succeeded("", "") if isinstance(outcome, Unknown | NotFound) else outcome

    for asked in ("_submit", "_find"):
        plant(patch, RevokeMethod, asked, answer)


def takes_a_doubt_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    """A revocation whose answer is lost counts as refused: the method is said to be active again."""

    def submit(original: Any, *args: Any) -> Any:
        outcome = original(*args)
        return Declined("declined", "no") if isinstance(outcome, Unknown) else outcome

    plant(patch, RevokeMethod, "_submit", submit)


def sets_up_again_without_asking(patch: pytest.MonkeyPatch) -> None:
    def find(original: Any, work: Any, *args: Any, **more: Any) -> Any:
        return NotFound() if isinstance(work, create_setup.CreateSetup) else original(work, *args, **more)

    plant(patch, GatewayWork, "_find", find)


def follows_nothing(patch: pytest.MonkeyPatch) -> None:
    """The settlement of a set-up that waits is where nobody looks."""

    def nowhere(original: Any, *args: Any, **more: Any) -> Any:
        write = original(*args, **more)
        return replace(write, item={**write.item, "open_shard": "of nobody"})

    plant(patch, create_setup, "setup_settlement_write", nowhere)


def ends_what_the_payer_can_still_agree_to(patch: pytest.MonkeyPatch) -> None:
    def withdraw(original: Any, gateway: Any, instruction: Any, waiting: Any, deadline: Any) -> Any:
        if instruction.kind is OperationKind.SETUP:
            return Declined("canceled", "It is assumed to be canceled.")
        return original(gateway, instruction, waiting, deadline)

    plant(patch, SimulatedGateway, "withdraw", withdraw)


def confirms_what_was_not_answered(patch: pytest.MonkeyPatch) -> None:
    def confirm(original: Any, *args: Any) -> Any:
        outcome = original(*args)
        known = isinstance(outcome, Succeeded | Declined | Pending)
        return outcome if known else Declined("authentication_failed", "no")

    plant(patch, ConfirmSetup, "_confirm", confirm)


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        (charges_what_is_revoked, "P4 P8"),
        (revokes_without_ending_the_use, "P4"),
        (takes_silence_for_a_revocation, "P4"),
        (takes_a_doubt_for_a_refusal, "P4"),
        (sets_up_again_without_asking, "P1 P4"),
        (follows_nothing, "settling"),
        (ends_what_the_payer_can_still_agree_to, "P4"),
        (confirms_what_was_not_answered, "P4"),
    ],
)
@pytest.mark.usefixtures("without_the_specification")
def test_a_condition_that_is_switched_off_is_missed(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    fault(monkeypatch)
    assert_violated(promise, most_seeds=MOST_SEEDS)
