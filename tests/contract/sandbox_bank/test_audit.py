"""The bank's files under the rules: each fault is the break that it is meant to show, and a clean day has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import FeeRule, LedgerKind, LedgerRow, LedgerState, RunSettings
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.taxonomy import CLASSES, BreakClass, Family

if TYPE_CHECKING:
    from payonce.reconciliation.model import Break
    from tests.contract.sandbox_bank.conftest import Till

# Two days after the bank's day: what is on one side alone is no longer on its way.
AS_OF_DAYS = 2
DAY_MS = 86_400_000
OVERDUE_DAYS = 7  # more than a payout has to come to the bank


def a_day(till: Till) -> list[LedgerRow]:
    """Book a day at the bank and return the ledger that asked for it."""
    first = till.charge("pay_1", 10_000)
    second = till.charge("pay_2", 2_000)
    refund = till.follow_up("refunds", first["charge_id"], "ref_1", 2_500)
    return [_entry(till.bank, operation) for operation in (first, second, refund)]


def _entry(bank: str, operation: dict[str, Any]) -> LedgerRow:
    refund = operation["kind"] == "refund"
    return LedgerRow(
        entry_id=f"entry_{operation['reference']}",
        merchant_id="m1",
        payment_id=operation["reference"],
        gateway=bank,
        kind=LedgerKind.REFUND if refund else LedgerKind.CHARGE,
        state=LedgerState.BOOKED,
        reference=operation["reference"],
        amount_minor=-operation["amount_minor"] if refund else operation["amount_minor"],
        currency=operation["currency"],
        booked_at_ms=operation["created_at_ms"],
        gateway_payment_id=operation["charge_id"],
    )


def breaks(till: Till, ledger: list[LedgerRow]) -> list[Break]:
    """Settle, and return what the rules find between the ledger and the bank's two files."""
    till.settle()
    return audited(till, ledger, AS_OF_DAYS)


def audited(till: Till, ledger: list[LedgerRow], days: int) -> list[Break]:
    """Return what the rules find so many days later, without a settlement."""
    settings = RunSettings(
        as_of_ms=max(row.created_at_ms for row in till.report()) + days * DAY_MS,
        fees=(FeeRule(gateway=till.bank, currency="EUR", fixed_minor=25, basis_points=140, tolerance_minor=0),),
    )
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(ledger)
        workspace.add_file(read_file(till.handle.report(till.bank)), gateway=till.bank)
        workspace.add_file(read_file(till.handle.statement(till.bank)))
        return list(workspace.run(settings).breaks)


def test_a_clean_day_has_no_break(till: Till) -> None:
    """Fails when the bank's fees, times, references or payouts are not what its terms and our instructions say."""
    assert breaks(till, a_day(till)) == []


@pytest.mark.parametrize(
    ("fault", "values", "expected"),
    [
        ("duplicate_capture", {"reference": "pay_1"}, BreakClass.DUPLICATE_CAPTURE),
        ("unrequested_charge", {"amount_minor": 4_200, "currency": "EUR"}, BreakClass.MISSING_IN_LEDGER),
        ("orphan_refund", {"reference": "pay_2", "amount_minor": 500}, BreakClass.ORPHAN_REFUND),
        ("orphan_refund", {"reference": "pay_1", "amount_minor": 9_000}, BreakClass.REFUND_EXCEEDS_CAPTURE),
        ("dispute", {"reference": "pay_2"}, BreakClass.DISPUTE_OPEN),
        ("wrong_amount", {"reference": "pay_1", "amount_minor": 9_990}, BreakClass.AMOUNT_MISMATCH),
        ("wrong_fee", {"reference": "pay_1", "fee_minor": 500}, BreakClass.FEE_MISMATCH),
        ("lose_from_report", {"reference": "ref_1"}, BreakClass.MISSING_IN_GATEWAY),
    ],
)
def test_a_fault_is_the_break_it_is_meant_to_be(
    till: Till, fault: str, values: dict[str, Any], expected: BreakClass
) -> None:
    """Fails when a fault is committed that the rules can't see, or take for another one."""
    ledger = a_day(till)
    made = till.fault(fault, **values)
    found = breaks(till, ledger)
    # A report that lost a row, or errs in an amount, also contradicts its own payout: that is the bank's family.
    assert [each.break_class for each in found if CLASSES[each.break_class].family is not Family.BANK] == [expected]
    if expected is BreakClass.DUPLICATE_CAPTURE:
        assert found[0].surplus_gateway_payment_id == made["charge_id"]


@pytest.mark.parametrize(
    ("end", "expected"),
    [(None, [BreakClass.DISPUTE_OPEN]), ("win", []), ("lose", [BreakClass.DISPUTE_OPEN])],
)
def test_a_dispute_is_one_break_until_it_is_won(till: Till, end: str | None, expected: list[BreakClass]) -> None:
    """Fails when the money of a dispute, or that which comes back, is not told from other money."""
    ledger = a_day(till)
    dispute = till.handle.dashboard(till.bank, "dispute", reference="pay_2")
    if end:
        till.handle.dashboard(till.bank, end, dispute_id=dispute["dispute_id"])
    assert [each.break_class for each in breaks(till, ledger)] == expected


def test_a_reversed_debit_and_a_refund_made_elsewhere_are_seen(till: Till) -> None:
    """Fails when what the payer's bank took back, or what somebody refunded by hand, passes for the merchant's own."""
    ledger = [*a_day(till), _entry(till.bank, till.pay("tok_debit_reversed", "pay_3"))]
    till.handle.advance(till.bank, days=8)
    till.handle.dashboard(till.bank, "refund", reference="pay_2", amount_minor=500)
    found = {each.break_class for each in breaks(till, ledger)}
    assert found == {BreakClass.SETTLEMENT_REVERSED, BreakClass.ORPHAN_REFUND}


@pytest.mark.parametrize(
    ("fault", "values", "off_minor"),
    [
        ("wrong_amount", {"reference": "pay_1", "amount_minor": 9_990}, 10),
        ("wrong_fee", {"reference": "pay_2", "fee_minor": 500}, 500 - 53),
        ("lose_from_report", {"reference": "ref_1"}, 2_500),
    ],
)
def test_a_report_that_contradicts_its_own_payout(
    till: Till, fault: str, values: dict[str, Any], off_minor: int
) -> None:
    """Fails when the movements of a payout are not added up, or the bank's credit alone decides."""
    ledger = a_day(till)
    till.fault(fault, **values, **({} if fault == "lose_from_report" else {"where": "report"}))
    found = [each for each in breaks(till, ledger) if CLASSES[each.break_class].family is Family.BANK]
    assert [(each.break_class, each.amount_minor) for each in found] == [(BreakClass.PAYOUT_DIFFERENT, off_minor)]


def three_days(till: Till, fault: str | None) -> tuple[list[LedgerRow], list[dict[str, Any]]]:
    """Sell and settle on three days, with the fault on the second. Return the ledger and the payouts."""
    ledger: list[LedgerRow] = []
    payouts: list[dict[str, Any]] = []
    for number in range(3):
        if fault is not None and number == 1:
            till.fault(fault, currency="EUR")
        ledger.append(_entry(till.bank, till.charge(f"pay_{number}", 10_000 + 100 * number)))
        payouts += till.settle(days=number)
    return ledger, payouts


def test_three_days_of_payouts_have_no_break(till: Till) -> None:
    """Fails when the bank's statements do not open where the ones before them closed."""
    ledger, payouts = three_days(till, None)
    assert len(payouts) == 3
    assert audited(till, ledger, OVERDUE_DAYS) == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("credit_twice", [BreakClass.DUPLICATE_CREDIT]),
        ("return_payout", [BreakClass.PAYOUT_RETURNED]),
        ("withhold_payout", [BreakClass.PAYOUT_MISSING]),
        # What the lost statement told is missed, too.
        ("skip_statement", [BreakClass.PAYOUT_MISSING, BreakClass.STATEMENT_GAP]),
    ],
)
def test_a_fault_of_the_account_is_the_break_it_is_meant_to_be(
    till: Till, fault: str, expected: list[BreakClass]
) -> None:
    """Fails when a fault is committed in payouts or statements that the rules can't see, or take for another one."""
    ledger, payouts = three_days(till, fault)
    found = audited(till, ledger, OVERDUE_DAYS)
    assert sorted(each.break_class for each in found) == expected
    hit = payouts[1]
    for each in found:
        if each.break_class is BreakClass.STATEMENT_GAP:
            assert (each.subject[:2], each.amount_minor) == ((account_of(till), "2"), hit["amount_minor"])
        else:
            assert (each.subject[:2], each.amount_minor) == ((till.bank, hit["payout_id"]), hit["amount_minor"])


def account_of(till: Till) -> str:
    """Return the merchant's one account, as the bank writes it."""
    (account,) = {each.account for each in till.statements()}
    return account
