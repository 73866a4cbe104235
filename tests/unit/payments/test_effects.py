"""What an operation's outcome does to its payment, by state: its amounts, the hold in the books, a condition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.gateway import Declined, OperationKind, Succeeded
from payonce.domain.ledger import charge, release_hold
from payonce.domain.payment import PaymentStatus
from payonce.payments.effects import Effect, effect_of
from payonce.payments.payment_work import Doubted, Result
from payonce.payments.rules import NeverExecuted
from tests.support.payments import stored_payment, waiting_payment

CAPTURE, VOID = OperationKind.CAPTURE, OperationKind.VOID
AUTHORIZED = stored_payment("mer_1", "pay_1", captured=False)  # of 1050
DONE = Succeeded("ch_1", "op_1")
NO = Declined("declined", "No.")


def effect(kind: OperationKind, result: Result, amount_minor: int, *, multiple: bool = True, **changes: Any) -> Effect:
    """Return the effect on an authorized payment with these ``changes``, of which ``amount_minor`` is reserved."""
    payment = replace(AUTHORIZED, **changes)
    return effect_of(kind, result, payment, amount_minor, at_ms=7, multiple_captures=multiple)


@pytest.mark.parametrize("result", [NO, NeverExecuted(), Doubted()], ids=lambda result: type(result).__name__)
@pytest.mark.parametrize(
    ("multiple", "captured_minor", "left_minor"),
    [
        (True, 0, 1050),
        (True, 400, 650),
        (False, 0, 1050),
        (False, 1, 0),  # the first capture has released the rest, however small it was
        (False, 400, 0),
    ],
)
def test_a_capture_that_took_nothing_returns_its_amount_where_there_still_is_a_hold(
    multiple: bool, captured_minor: int, left_minor: int, result: Result
) -> None:
    """Fails when the amount can never be captured, or when it can although the gateway has released the hold."""
    status = PaymentStatus.AUTHORIZED if not captured_minor else PaymentStatus.CAPTURED
    if captured_minor and multiple:
        status = PaymentStatus.PARTIALLY_CAPTURED
    reserved_minor = 1050 - captured_minor
    found = effect(
        CAPTURE,
        result,
        reserved_minor,
        multiple=multiple,
        status=status,
        captured_minor=captured_minor,
        capturable_minor=0,
    )
    assert found.payment.capturable_minor == (0 if isinstance(result, Doubted) else left_minor)
    assert found.postings == ()


@pytest.mark.parametrize("multiple", [True, False])
@pytest.mark.parametrize("kind", [CAPTURE, VOID])
def test_what_a_void_has_freed_is_no_hold_to_return_to(kind: OperationKind, multiple: bool) -> None:
    """Fails when a voided payment can be captured."""
    found = effect(kind, NO, 300, multiple=multiple, status=PaymentStatus.VOIDED, capturable_minor=0)
    assert found.payment.capturable_minor == 0


def test_a_void_of_what_it_has_reserved_frees_the_whole_hold() -> None:
    """Fails when it overwrites what it did not reserve: an amount that was returned meanwhile."""
    found = effect(VOID, DONE, 1050, capturable_minor=7)
    assert (found.payment.status, found.payment.capturable_minor) == (PaymentStatus.VOIDED, 7)
    assert (found.postings, found.exact) == (release_hold(1050), ())


def test_a_void_that_reserved_nothing_takes_the_hold_that_came_meanwhile() -> None:
    """The payer was authorized while it was under way. Fails when what the gateway has voided can be captured."""
    found = effect(VOID, DONE, 0)
    assert (found.payment.status, found.payment.capturable_minor) == (PaymentStatus.VOIDED, 0)
    assert (found.postings, found.exact) == (release_hold(1050), ("capturable_minor",))


def test_a_void_of_what_awaits_its_payer_frees_no_hold() -> None:
    """Fails when the books end a hold that never was, or the commit depends on an amount that it does not change."""
    waiting = waiting_payment("mer_1", "pay_1")
    found = effect_of(VOID, DONE, waiting, 0, at_ms=7, multiple_captures=False)
    assert (found.payment.status, found.payment.next_action) == (PaymentStatus.VOIDED, None)
    assert (found.postings, found.exact) == ((), ())


@pytest.mark.parametrize(
    ("multiple", "captured_minor", "freed_minor", "exact"),
    [
        (True, 0, 300, ()),
        (True, 400, 300, ()),
        (False, 0, 1050, ("capturable_minor",)),
        (False, 400, 0, ("capturable_minor",)),  # one that the gateway should have refused: no hold was left
    ],
)
def test_a_capture_frees_the_hold_once(
    multiple: bool, captured_minor: int, freed_minor: int, exact: tuple[str, ...]
) -> None:
    """Fails when the books release more than was held, or the commit misses a capture that changed what is left."""
    found = effect(
        CAPTURE,
        DONE,
        300,
        multiple=multiple,
        status=PaymentStatus.PARTIALLY_CAPTURED if captured_minor else PaymentStatus.AUTHORIZED,
        captured_minor=captured_minor,
        refundable_minor=captured_minor,
        capturable_minor=1050 - captured_minor - 300,
    )
    assert found.postings == charge("bank", 300) + (release_hold(freed_minor) if freed_minor else ())
    assert found.exact == exact
    assert found.payment.capturable_minor == (1050 - captured_minor - 300 if multiple else 0)
    assert (found.payment.captured_minor, found.payment.refundable_minor) == (captured_minor + 300,) * 2
    assert (found.dispute, found.is_first_of_dispute) == (None, False)
