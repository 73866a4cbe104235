"""A charge's state at Stripe: what was taken back, disputed and charged for it.

The shapes are those of Stripe's OpenAPI specification (https://github.com/stripe/openapi), as the SDK's ``Charge``,
``Dispute`` and ``BalanceTransaction`` declare them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.exchange import Lost
from payonce.domain.gateway import ChargeRefund, ChargeState, DisputeState, DisputeStatus, NotFound, Unknown
from tests.unit.gateways.stripe_world import (
    CHARGE,
    INTENT,
    REFERENCE,
    SOON,
    answer,
    error,
    gateway_on,
    intent,
    listing,
    refund,
)

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

DUE_SECONDS = 1_801_000_000
PAID = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR")


def charge(status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """Return the charge of ``intent()``, as it is expanded."""
    return {
        "id": CHARGE,
        "object": "charge",
        "status": status,
        "amount": 1000,
        "amount_captured": 1000,
        "amount_refunded": 0,
        "captured": True,
        "paid": status == "succeeded",
        "currency": "eur",
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "balance_transaction": "txn_1",
        **changes,
    }


def failed(**changes: Any) -> dict[str, Any]:
    """Return a debit's charge that failed after it was booked to the account."""
    changes = {"failure_balance_transaction": "txn_2", "failure_code": "insufficient_funds", **changes}
    return charge("failed", **changes)


def movement(amount: int, fee: int = 0, currency: str = "eur") -> dict[str, Any]:
    """Return a balance transaction of a dispute: negative amounts were withdrawn."""
    return {
        "id": "txn_3",
        "object": "balance_transaction",
        "type": "adjustment",
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": currency,
    }


def dispute(status: str = "needs_response", *movements: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a dispute of ``charge()``."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "status": status,
        "amount": 1000,
        "currency": "eur",
        "charge": CHARGE,
        "payment_intent": INTENT,
        "reason": "fraudulent",
        "created": 1,
        "balance_transactions": list(movements),
        "evidence_details": {"due_by": DUE_SECONDS, "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": False,
        **changes,
    }


def read(document: dict[str, Any], *answers: Exchange) -> Any:
    """Return the outcome of reading the charge of ``document``; by default there are neither refunds nor disputes."""
    gateway, _ = gateway_on(answer(document), *(answers or (listing(),)))
    return gateway.read_charge(INTENT, SOON)


@pytest.mark.parametrize(
    ("document", "reversed_minor"),
    [
        (intent(latest_charge=charge()), 0),
        (intent(latest_charge=CHARGE), 0),
        (intent(latest_charge=None), 0),
        (intent(latest_charge=failed()), 1000),
        (intent("requires_payment_method", latest_charge=failed()), 1000),
        # It failed before anything was booked, after which another one has succeeded, or will.
        (intent(latest_charge=failed(failure_balance_transaction=None)), 0),
    ],
)
def test_a_debit_that_failed_after_all_is_reversed(document: dict[str, Any], reversed_minor: int) -> None:
    """``failure_balance_transaction``: https://docs.stripe.com/api/charges/object. Fails when the money that the bank
    took back is still thought to be there, or when a failed attempt counts as money that came and went.
    """
    outcome = read(document)
    assert isinstance(outcome, ChargeState)
    assert (outcome.captured_minor, outcome.reversed_minor, outcome.voided) == (1000, reversed_minor, False)


@pytest.mark.parametrize(
    "document",
    [
        intent("processing", latest_charge=charge("pending")),
        intent("requires_payment_method", latest_charge=failed(failure_balance_transaction=None)),
        intent("requires_payment_method", latest_charge=charge()),
        intent("requires_action", latest_charge=None),
        intent(id="pi_2", latest_charge=charge()),
    ],
)
def test_a_charge_that_is_not_decided_is_unknown(document: dict[str, Any]) -> None:
    """Fails when a payment that is under way is told as not captured: it could be captured a moment later."""
    assert isinstance(read(document), Unknown)


@pytest.mark.parametrize(
    ("given", "status", "withdrawn", "fee", "is_due"),
    [
        (dispute("warning_needs_response"), DisputeStatus.EVIDENCE_DUE, 0, 0, True),
        (dispute("warning_under_review"), DisputeStatus.UNDER_REVIEW, 0, 0, False),
        (dispute("warning_closed"), DisputeStatus.WON, 0, 0, False),
        (dispute("needs_response", movement(-1000, 1500)), DisputeStatus.EVIDENCE_DUE, 1000, 1500, True),
        (dispute("needs_response", movement(-400, 1500), amount=400), DisputeStatus.EVIDENCE_DUE, 400, 1500, True),
        (dispute("under_review", movement(-1000, 1500)), DisputeStatus.UNDER_REVIEW, 1000, 1500, False),
        (dispute("lost", movement(-1000, 1500)), DisputeStatus.LOST, 1000, 1500, False),
        (dispute("won", movement(-1000, 1500), movement(1000)), DisputeStatus.WON, 0, 1500, False),
        (dispute("won", movement(-1000, 1500), movement(1000, -1500)), DisputeStatus.WON, 0, 0, False),
        (dispute("appeal_needs_response", movement(-1000)), DisputeStatus.EVIDENCE_DUE, 1000, 0, True),
        (dispute("appeal_under_review", movement(-1000)), DisputeStatus.UNDER_REVIEW, 1000, 0, False),
        (dispute("prevented", movement(-1000)), DisputeStatus.LOST, 1000, 0, False),
        (dispute("prevented"), DisputeStatus.WON, 0, 0, False),
        # The bank hears nobody: due_by "will be 0", says Stripe, as for ACH, whose disputes can't be answered.
        (
            dispute("needs_response", movement(-1000), evidence_details={"due_by": 0}),
            DisputeStatus.OPENED,
            1000,
            0,
            False,
        ),
        (dispute("needs_response", evidence_details={"due_by": None}), DisputeStatus.OPENED, 0, 0, False),
        (dispute("needs_response", evidence_details=None), DisputeStatus.OPENED, 0, 0, False),
        (dispute("a_status_of_next_year", movement(-1000)), DisputeStatus.UNDER_REVIEW, 1000, 0, False),
        # Paid out in another currency, at two rates.
        (dispute("lost", movement(-1090, 1500, "usd")), DisputeStatus.LOST, 1000, 0, False),
        (dispute("won", movement(-1090, 1500, "usd"), movement(1080, 0, "usd")), DisputeStatus.WON, 0, 0, False),
        (dispute("won", movement(-1090, 1500, "usd"), movement(1100, 0, "usd")), DisputeStatus.WON, 0, 0, False),
    ],
)
def test_a_dispute_is_told_as_it_stands(
    given: dict[str, Any], status: DisputeStatus, withdrawn: int, fee: int, is_due: bool
) -> None:
    """Statuses, ``due_by`` and ``balance_transactions``: https://docs.stripe.com/api/disputes/object. Fails when an
    inquiry counts as money taken, when what was given back is not, or when nobody is told until when to answer.
    """
    outcome = read(intent(), listing(), listing(given))
    assert isinstance(outcome, ChargeState)
    assert outcome.disputes == (
        DisputeState(
            gateway_dispute_id="dp_1",
            status=status,
            amount_minor=given["amount"],
            withdrawn_minor=withdrawn,
            currency="EUR",
            reason="fraudulent",
            evidence_due_at_ms=DUE_SECONDS * 1000 if is_due else None,
            fee_minor=fee,
        ),
    )


def test_disputes_are_told_oldest_first_and_apart_from_refunds() -> None:
    """Fails when a dispute is subtracted as a refund too, or in the order of Stripe's listings, newest first."""
    rows = listing(dispute("lost", id="dp_2"), dispute("won", id="dp_1"))
    gateway, paper = gateway_on(answer(intent()), listing(refund(amount=100)), rows)
    outcome = gateway.read_charge(INTENT, SOON)
    assert isinstance(outcome, ChargeState)
    assert (outcome.captured_minor, outcome.refunded_minor) == (1000, 100)
    assert [dispute.gateway_dispute_id for dispute in outcome.disputes] == ["dp_1", "dp_2"]
    assert paper.lines == [f"GET /v1/payment_intents/{INTENT}", "GET /v1/refunds", "GET /v1/disputes"]
    assert paper.asked[0].form == {"expand[0]": "latest_charge"}
    assert paper.asked[2].form == {"payment_intent": INTENT, "limit": "100"}


def test_amounts_are_in_minor_units_of_iso_4217() -> None:
    """Fails when Stripe's hundredths of a krona are told as kronur: a hundred times too much."""
    document = intent(currency="isk", amount=50_000, amount_received=50_000, latest_charge=failed(amount=50_000))
    taken = dispute("lost", movement(-50_000, 10_000, "isk"), amount=50_000, currency="isk")
    outcome = read(document, listing(), listing(taken))
    assert isinstance(outcome, ChargeState)
    assert (outcome.captured_minor, outcome.reversed_minor) == (500, 500)
    (told,) = outcome.disputes
    assert (told.amount_minor, told.withdrawn_minor, told.fee_minor, told.currency) == (500, 500, 100, "ISK")


@pytest.mark.parametrize("status", ["requires_capture", "canceled"])
def test_a_charge_without_money_has_no_disputes_to_ask_for(status: str) -> None:
    """Fails when each read of an authorization costs one more request."""
    gateway, paper = gateway_on(answer(intent(status)), listing())
    assert isinstance(gateway.read_charge(INTENT, SOON), ChargeState)
    assert paper.lines == [f"GET /v1/payment_intents/{INTENT}", "GET /v1/refunds"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([error(404, "resource_missing")], NotFound),
        ([answer(intent()), error(404)], Unknown),  # the intent is there: a look-alike that lacks the listing
        ([answer(intent()), listing(), error(404)], Unknown),
        ([error(500)], Unknown),
        ([answer(intent()), Lost("x")], Unknown),
        ([answer(intent()), listing(), Lost("x")], Unknown),
        ([answer(intent()), listing(has_more=True)], Unknown),
        ([answer(intent()), listing(), listing(has_more=True)], Unknown),
        ([answer(intent()), listing(), listing(dispute(currency="xxx"))], Unknown),
        ([answer(intent(currency="xxx")), listing()], Unknown),
        ([answer(intent()), listing(), answer({"data": [dispute()]})], Unknown),
        ([answer([])], Unknown),
    ],
)
def test_what_can_not_be_read_in_full_is_unknown(answers: list[Exchange], expected: type) -> None:
    """Fails when a charge is told without its disputes, or as missing, because one of three answers is."""
    assert isinstance(gateway_on(*answers)[0].read_charge(INTENT, SOON), expected)


def test_an_undisputed_charge_is_as_before() -> None:
    """Fails when there are disputes where Stripe lists none."""
    assert read(intent()) == PAID


def failed_refund(identity: str = "re_1", **changes: Any) -> dict[str, Any]:
    """Return a refund that failed after its amount was taken from the balance."""
    changes = {"failure_balance_transaction": "txn_9", "failure_reason": "expired_or_canceled_card", **changes}
    return refund("failed", id=identity, **changes)


def test_a_refund_that_failed_has_come_back_if_its_amount_was_given_back() -> None:
    """``failure_balance_transaction``: https://docs.stripe.com/api/refunds/object, "the adjustment made on your account
    balance that reverses the initial balance transaction". Fails when every failed refund counts, or none.
    """
    plain = {"metadata": {}, "amount": 200}
    newest_first = listing(
        failed_refund("re_4", **plain),
        refund("failed", id="re_3", amount=300),
        refund(id="re_2", amount=100),
        failed_refund("re_1", amount=400),
    )
    outcome = read(intent(latest_charge=charge()), newest_first, listing())
    assert isinstance(outcome, ChargeState)
    assert outcome.refunded_minor == 100
    assert outcome.refunds == (
        ChargeRefund(gateway_refund_id="re_1", amount_minor=400, gateway_reference=REFERENCE, came_back=True),
        ChargeRefund(gateway_refund_id="re_2", amount_minor=100, gateway_reference=REFERENCE),
        ChargeRefund(gateway_refund_id="re_4", amount_minor=200, came_back=True),
    )


@pytest.mark.parametrize("status", ["succeeded", "pending", "requires_action"])
def test_a_refund_that_stands_and_was_given_back_at_once_is_not_read(status: str) -> None:
    """Fails when it counts as one that stands: the event about its return would be done with, and the return lost."""
    given = listing(failed_refund() | {"status": status})
    assert isinstance(read(intent(latest_charge=charge()), given, listing()), Unknown)
