"""Faults planted in what follows held payments, one at a time: each condition that is switched off breaks a promise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import AwaitsPayer, Declined, Pending, Succeeded
from payonce.domain.payment import PaymentStatus
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.payments import cancel_waiting, corrective, corrective_refund, create, held
from payonce.payments.confirm import ConfirmPayment
from payonce.payments.settlement import PaymentSettlement
from payonce.ports import Adjust
from payonce.recovery import backlog
from simulation.gateway import SimulatedGateway
from tests.simulation.test_planted_faults import assert_violated, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.payments.held import Held

MOST_SEEDS = 250


def expires_what_can_be_paid(patch: pytest.MonkeyPatch) -> None:
    """The time of the payer is over, and nothing is withdrawn."""

    def withdraw(original: Any, gateway: Any, instruction: Any, waiting: Any, deadline: Any) -> Any:
        if waiting.reason == "requires_action":
            return Declined("canceled", "It is assumed to be canceled.")
        return original(gateway, instruction, waiting, deadline)

    plant(patch, SimulatedGateway, "withdraw", withdraw)


def takes_silence_for_a_withdrawal(patch: pytest.MonkeyPatch) -> None:
    def withdraw(original: Any, *args: Any) -> Any:
        outcome = original(*args)
        return outcome if isinstance(outcome, Succeeded | Declined) else Succeeded("", "")

    plant(patch, cancel_waiting.CancelWaiting, "_withdraw", withdraw)


def decides_what_is_decided(patch: pytest.MonkeyPatch) -> None:
    """The status that was read is not looked at, neither before the question nor before the write."""
    patch.setattr(held, "WAITING", frozenset(PaymentStatus))


def decides_by_an_old_reading(patch: pytest.MonkeyPatch) -> None:
    """The payment is read once, and its version is not required."""
    kept: dict[str, Held] = {}

    def read_once(original: Any, work: Any) -> Held:
        return kept.setdefault(work._payment_id, original(work))

    plant(patch, PaymentSettlement, "_held", read_once)


def drops_the_fence_of_settlements(patch: pytest.MonkeyPatch) -> None:
    def write(original: Any, store: Any, owned: Any, writes: list[Any]) -> None:
        first = writes[0]
        if isinstance(first, Adjust) and "#settle_payment#" in owned.record_id:
            first = replace(first, require={"claim_id": owned.claim_id})
        original(store, owned, [first, *writes[1:]])

    plant(patch, DatabaseIdempotencyStore, "_write_owned", write)


def follows_nothing(patch: pytest.MonkeyPatch) -> None:
    """No settlement is made: who needs the payer is never looked at again."""
    plant(patch, create, "settlement_write", lambda original, *args, **more: _nowhere(original(*args, **more)))


def _nowhere(write: Any) -> Any:
    return replace(write, item={**write.item, "id": "nobody#" + write.item["id"], "status": "COMPLETED"})


def asks_about_nothing_that_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backlog, "WAITING_SHARDS", range(0))


def ends_a_correction_that_is_received(patch: pytest.MonkeyPatch) -> None:
    for kind in (corrective.GiveBackSurplus, corrective_refund.CorrectiveRefund):
        patch.setattr(kind, "follows", lambda *_: True)


def confirms_without_asking_what_became_of_it(patch: pytest.MonkeyPatch) -> None:
    """A confirmation that gets no answer is taken for done."""

    def confirm(original: Any, *args: Any) -> Any:
        outcome = original(*args)
        return outcome if isinstance(outcome, Succeeded | Declined | Pending) else Succeeded("ch", "op")

    plant(patch, ConfirmPayment, "_confirm", confirm)


def charges_what_is_processing(patch: pytest.MonkeyPatch) -> None:
    """A debit that is accepted counts as paid."""

    def charged_by(original: Any, result: Any, payment: Any, **more: Any) -> Any:
        if isinstance(result, Pending) and not isinstance(result, AwaitsPayer):
            result = Succeeded(result.gateway_object_id, "")
        return original(result, payment, **more)

    for module in (create, held):
        plant(patch, module, "charged_by", charged_by)


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        (expires_what_can_be_paid, "P4"),
        (takes_silence_for_a_withdrawal, "P2 P4"),
        (decides_what_is_decided, "P0"),
        (decides_by_an_old_reading, "P0 settling"),
        (drops_the_fence_of_settlements, "P3 P5"),
        (follows_nothing, "P4"),
        (asks_about_nothing_that_waits, "settling"),
        (ends_a_correction_that_is_received, "P4 P9"),
        (confirms_without_asking_what_became_of_it, "P2 P4"),
        (charges_what_is_processing, "P2 P4"),
    ],
)
@pytest.mark.usefixtures("without_the_specification")
def test_a_condition_that_is_switched_off_is_missed(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    fault(monkeypatch)
    assert_violated(promise, most_seeds=MOST_SEEDS)
