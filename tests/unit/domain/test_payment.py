"""The payment itself: the rows of its table that nothing but the table says, and its next version."""

from __future__ import annotations

import pytest

from payonce.domain.gateway import CaptureMethod
from payonce.domain.gateway_address import PLATFORM, Whereabouts, parts_of
from payonce.domain.payment import Change, Payment, PaymentStatus, TransitionError, next_status

NOW_MS = 1_800_000_000_000


def payment(status: PaymentStatus = PaymentStatus.AUTHORIZED, *, account: str = PLATFORM) -> Payment:
    """Return a payment of which nothing is known but its plan."""
    return Payment(
        payment_id="pay_1",
        merchant_id="mer_1",
        status=status,
        amount_minor=500,
        currency="EUR",
        capture_method=CaptureMethod.MANUAL,
        payment_method="pm_1",
        gateway="bank",
        gateway_reference="pay_1-1",
        created_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
        version=7,
        account=account,
    )


def test_a_payment_of_which_nothing_is_known_has_moved_nothing() -> None:
    """Fails when an amount can be captured or refunded that no gateway has told of, or a reference counts that was
    never sent.
    """
    made = payment()
    moved = (made.captured_minor, made.refunded_minor, made.reversed_minor, made.disputed_minor)
    assert (moved, made.capturable_minor, made.refundable_minor) == ((0, 0, 0, 0), 0, 0)
    assert made.attempts == 1


def test_a_change_makes_the_next_version_and_no_other() -> None:
    """Fails when an event would get the number of another one, or a change keeps the state or the time before it."""
    made = payment()
    after = made.changed(Change.CAPTURE_REST, at_ms=NOW_MS + 5)
    assert (after.status, after.version, after.updated_at_ms) == (PaymentStatus.CAPTURED, 8, NOW_MS + 5)
    assert (after.created_at_ms, after.amount_minor, after.captured_minor) == (NOW_MS, 500, 0)


def test_what_the_table_does_not_have_is_a_defect_and_is_called_one() -> None:
    with pytest.raises(TransitionError, match=r"payment\.captured is not possible in state voided"):
        next_status(PaymentStatus.VOIDED, Change.CHARGED)


@pytest.mark.parametrize("told", [Change.RETURNED, Change.RETURNED_PART, Change.RETURNED_ELSEWHERE])
def test_money_that_comes_back_opens_a_payment_again_unless_the_payers_bank_has_taken_it(told: Change) -> None:
    """Fails when a reversed payment can be refunded once more, or a refunded one whose refund came back can't be."""
    part = {Change.RETURNED_PART: PaymentStatus.PARTIALLY_REFUNDED}
    assert next_status(PaymentStatus.REFUNDED, told) == part.get(told, PaymentStatus.CAPTURED)
    assert next_status(PaymentStatus.REVERSED, told) is PaymentStatus.REVERSED


def test_only_what_was_captured_can_be_disputed() -> None:
    """Fails when a dispute is booked of a payment of which nothing was taken, or is not booked of a refunded one."""
    disputable = {status for status in PaymentStatus if payment(status).is_open_to_disputes}
    assert disputable == {
        PaymentStatus.PARTIALLY_CAPTURED,
        PaymentStatus.CAPTURED,
        PaymentStatus.PARTIALLY_REFUNDED,
        PaymentStatus.REFUNDED,
        PaymentStatus.REVERSED,
    }


def test_a_payment_is_asked_about_at_the_account_that_has_it() -> None:
    """Fails when a merchant's own account is left out: the platform's account does not know the payment."""
    assert parts_of(payment(account="acct_1").address) == Whereabouts("bank", "mer_1", "acct_1")
    assert parts_of(payment().address) == Whereabouts("bank")
