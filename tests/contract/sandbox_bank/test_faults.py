"""Each fault shows where it should: in the books and the report where it is money, else in one file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from payonce.reconciliation.readers.rows import GatewayRow
    from tests.contract.sandbox_bank.conftest import Till


def reported(till: Till, reference: str) -> list[GatewayRow]:
    return [row for row in till.report() if row.reference == reference]


def test_a_surplus_charge_is_money_and_can_be_given_back(till: Till) -> None:
    """Fails when the second charge is not in the books, shares the first one's id, or can't be refunded."""
    first = till.charge("pay_1", 1_000)
    surplus = till.fault("duplicate_capture", reference="pay_1")
    one, two = reported(till, "pay_1")
    assert (one.gateway_payment_id, two.gateway_payment_id) == (first["charge_id"], surplus["charge_id"])
    assert (two.amount_minor, two.fee_minor) == (one.amount_minor, one.fee_minor)
    assert one.created_at_ms < two.created_at_ms
    assert len(till.handle.charges(bank=till.bank, reference="pay_1")) == 2
    refund = till.follow_up("refunds", surplus["charge_id"], "correction_1", 1_000)
    assert (refund["status"], refund["charge_id"]) == ("succeeded", surplus["charge_id"])
    (payout,) = till.settle()
    assert payout["amount_minor"] == 2 * (1_000 - 39) - 1_000


def test_a_capture_is_duplicated_too(till: Till) -> None:
    """Fails when only automatic payments can be charged twice."""
    held = till.charge("auth_1", 1_000, capture="manual")
    till.follow_up("captures", held["charge_id"], "cap_1", 600)
    till.fault("duplicate_capture", reference="cap_1")
    assert [row.amount_minor for row in reported(till, "cap_1")] == [600, 600]


def test_a_charge_that_nobody_asked_for(till: Till) -> None:
    """Fails when it is not booked like every other charge."""
    made = till.fault("unrequested_charge", amount_minor=4_200, currency="EUR")
    (row,) = reported(till, made["reference"])
    assert (row.kind, row.amount_minor, row.gateway_payment_id) == (RowKind.CHARGE, 4_200, made["charge_id"])
    assert len(till.handle.charges(bank=till.bank)) == 1


def test_an_orphan_refund_may_exceed_what_was_captured(till: Till) -> None:
    """Fails when the refund is of no charge, or more can still be refunded of a charge that is paid back."""
    charge = till.charge("pay_1", 1_000)
    made = till.fault("orphan_refund", reference="pay_1", amount_minor=1_500)
    (row,) = reported(till, made["reference"])
    assert (row.kind, row.amount_minor, row.gateway_payment_id) == (RowKind.REFUND, -1_500, charge["charge_id"])
    with pytest.raises(HTTPError, match="409"):
        till.follow_up("refunds", charge["charge_id"], "ref_1", 1)


def test_a_dispute_takes_the_amount_and_a_fee(till: Till) -> None:
    """Fails when a dispute is a refund, or costs nothing."""
    charge = till.charge("pay_1", 1_000)
    till.fault("dispute", reference="pay_1", fee_minor=1_500)
    (row,) = (row for row in till.report() if row.kind is RowKind.DISPUTE)
    assert (row.amount_minor, row.fee_minor, row.gateway_payment_id) == (-1_000, 1_500, charge["charge_id"])


def test_a_refund_that_the_report_loses_stays_in_the_books(till: Till) -> None:
    """Fails when the books lose it too, or the payout is of the report and not of the books."""
    charge = till.charge("pay_1", 1_000)
    till.follow_up("refunds", charge["charge_id"], "ref_1", 400)
    till.fault("lose_from_report", reference="ref_1")
    (payout,) = till.settle()
    assert reported(till, "ref_1") == []
    assert len(till.handle.books(bank=till.bank, reference="ref_1")) == 1
    assert payout["amount_minor"] == 1_000 - 39 - 400


@pytest.mark.parametrize("where", ["books", "report"])
def test_a_wrong_amount_or_fee_is_money_or_a_report_error(till: Till, where: str) -> None:
    """Fails when an error of the report changes what is paid out, or one of the books does not."""
    till.charge("pay_1", 1_000)
    till.charge("pay_2", 1_000)
    till.fault("wrong_amount", reference="pay_1", amount_minor=1_900, where=where)
    till.fault("wrong_fee", reference="pay_2", fee_minor=139, where=where)
    (payout,) = till.settle()
    assert [row.amount_minor for row in reported(till, "pay_1")] == [1_900]
    assert [row.fee_minor for row in reported(till, "pay_2")] == [139]
    assert payout["amount_minor"] == 2 * (1_000 - 39) + (800 if where == "books" else 0)
    (booked,) = till.handle.books(bank=till.bank, reference="pay_1")
    assert booked["amount_minor"] == (1_900 if where == "books" else 1_000)


def test_what_was_charged_wrongly_can_be_given_back_and_no_more(till: Till) -> None:
    """Fails when a charge of another amount keeps the limits of the one that was asked for."""
    charge = till.charge("pay_1", 1_000)
    till.fault("wrong_amount", reference="pay_1", amount_minor=600)
    with pytest.raises(HTTPError, match="409"):
        till.follow_up("refunds", charge["charge_id"], "ref_1", 601)
    assert till.follow_up("refunds", charge["charge_id"], "ref_2", 600)["status"] == "succeeded"


def lines(till: Till) -> list[tuple[str | None, int]]:
    return [(line.end_to_end_id, line.amount_minor) for each in till.statements() for line in each.lines]


def test_a_payout_is_credited_twice(till: Till) -> None:
    """Fails when the second credit is another payout's, or its statement does not add up."""
    till.charge("pay_1", 1_000)
    till.fault("credit_twice", currency="EUR")
    (payout,) = till.settle()
    assert lines(till) == [(payout["payout_id"], 961)] * 2
    assert [row.kind for row in till.report()].count(RowKind.PAYOUT) == 1


def test_a_payout_is_returned(till: Till) -> None:
    """Fails when the return is not a debit that names the payout."""
    till.charge("pay_1", 1_000)
    till.fault("return_payout", currency="EUR")
    (payout,) = till.settle()
    assert lines(till) == [(payout["payout_id"], 961), (payout["payout_id"], -961)]


def test_a_payout_is_withheld_once_and_in_its_currency_alone(till: Till) -> None:
    """Fails when the report does not have it, the account does, or the next payout or another currency is hit."""
    till.fault("withhold_payout", currency="EUR")
    till.charge("pay_1", 1_000)
    till.charge("pay_2", 1_000, "JPY")
    euro, yen = till.settle()
    assert lines(till) == [(yen["payout_id"], yen["amount_minor"])]
    assert euro["payout_id"] in {row.transaction_id for row in till.report()}
    till.charge("pay_3", 1_000)
    (next_euro,) = till.settle(days=1)
    assert (next_euro["payout_id"], 961) in lines(till)


def test_a_statement_is_skipped(till: Till) -> None:
    """Fails when the sequence has no gap, or the statement after it opens where the one before it closed."""
    for day in range(3):
        if day == 1:
            till.fault("skip_statement", currency="EUR")
        till.charge(f"pay_{day}", 1_000)
        till.settle(days=day)
    first, third = till.statements()
    assert (first.sequence, third.sequence) == (1, 3)
    assert third.opening_minor == 961 * 2 != first.closing_minor


@pytest.mark.parametrize(
    ("status", "fault", "values"),
    [
        (400, "no_such_fault", {}),
        (400, "duplicate_capture", {"reference": "pay_1", "times": 2}),
        (400, "duplicate_capture", {}),
        (400, "unrequested_charge", {"amount_minor": 0, "currency": "EUR"}),
        (400, "unrequested_charge", {"amount_minor": 1, "currency": "???"}),
        (400, "wrong_fee", {"reference": "pay_1", "fee_minor": 1, "where": "moon"}),
        (404, "dispute", {"reference": "nothing"}),
        (409, "duplicate_capture", {"reference": "ref_1"}),
        (409, "wrong_amount", {"reference": "settled_1", "amount_minor": 5}),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(
    till: Till, status: int, fault: str, values: dict[str, Any]
) -> None:
    """Fails when a mistake in a test or a demo passes for a fault that was committed."""
    till.charge("settled_1", 1_000)
    till.settle()
    charge = till.charge("pay_1", 1_000)
    till.follow_up("refunds", charge["charge_id"], "ref_1", 400)
    before = till.report()
    with pytest.raises(HTTPError, match=str(status)):
        till.fault(fault, **values)
    assert till.report() == before
