"""The bank's files under the rules: each fault is the break that it is meant to show, and a clean day has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import FeeRule, LedgerKind, LedgerRow, LedgerState, RunSettings
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.taxonomy import CLASSES, BreakClass, Family

if TYPE_CHECKING:
    from payonce.reconciliation.model import Break
    from tests.contract.sandbox_bank.conftest import Till

# Two days after the bank's day: what is on one side alone is no longer on its way.
AS_OF_DAYS = 2
DAY_MS = 86_400_000


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


def breaks(till: Till, ledger: list[LedgerRow], after_days: int = AS_OF_DAYS) -> list[Break]:
    """Settle, and return what the rules find so much later between the ledger and the bank's two files."""
    if not any(row.kind is RowKind.PAYOUT for row in till.report()):
        till.settle()
    settings = RunSettings(
        as_of_ms=max(row.created_at_ms for row in till.report()) + after_days * DAY_MS,
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
        ("dispute", {"reference": "pay_2"}, BreakClass.DISPUTE),
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
    ("fault", "expected"),
    [
        ("credit_twice", BreakClass.DUPLICATE_CREDIT),
        ("return_payout", BreakClass.PAYOUT_RETURNED),
        ("withhold_payout", BreakClass.PAYOUT_MISSING),
    ],
)
def test_a_fault_at_the_bank_is_the_break_it_is_meant_to_be(till: Till, fault: str, expected: BreakClass) -> None:
    """Fails when the statement does not show what was done, or the rules take it for another break."""
    ledger = a_day(till)
    till.charge("pay_yen", 90_000, "JPY")
    till.fault(fault, currency="EUR")
    till.settle()
    later = till.charge("pay_3", 700)
    ledger += [_entry(till.bank, later)]
    till.settle(days=1)
    found = breaks(till, ledger, after_days=9)
    in_euro = [each.break_class for each in found if each.currency == "EUR"]
    assert in_euro == [expected]


def test_a_statement_that_the_bank_skips_is_a_gap(till: Till) -> None:
    """Fails when the lost statement's payout is missed too late, or the next one passes for the one after the first."""
    ledger = a_day(till)
    till.settle()
    for number in (3, 4):
        if number == 3:
            till.fault("skip_statement", currency="EUR")
        ledger.append(_entry(till.bank, till.charge(f"pay_{number}", 700)))
        till.settle(days=number)
    found = breaks(till, ledger, after_days=20)
    assert sorted(each.break_class for each in found) == [BreakClass.PAYOUT_MISSING, BreakClass.STATEMENT_GAP]
