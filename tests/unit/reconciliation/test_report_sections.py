"""Accounts from opening to closing, and the ages of breaks, on small worlds by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.ageing import ageing
from payonce.reconciliation.model import Break, RunSettings, Source
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile, RowKind, Statement, StatementLine
from payonce.reconciliation.report.contents import Contents
from payonce.reconciliation.report.sections import account_lines
from payonce.reconciliation.runs.intake import Intake
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.transactions import DAY_MS, HOUR_MS, SETTINGS, START_MS, entry, moved

if TYPE_CHECKING:
    from payonce.reconciliation.matching.roll_forward import RollForward
    from payonce.reconciliation.readers.rows import GatewayRow

FIRST = date(1970, 1, 1) + timedelta(days=START_MS // DAY_MS)
PO = "po_aaaaaaaa01"


def paid_out(amount: int = 1000) -> GatewayRow:
    return moved(
        "po", kind=RowKind.PAYOUT, reference=None, amount_minor=-amount, payout_id=PO, created_at_ms=START_MS + HOUR_MS
    )


def line(amount: int, text: str, on: int = 1) -> StatementLine:
    day = FIRST + timedelta(days=on)
    return StatementLine(1, amount, "EUR", day, day, references=(), description=text)


def statement(opening: int | None, *lines: StatementLine, closing: int | None = None, **changes: Any) -> Statement:
    values: dict[str, Any] = {
        "statement_id": "S",
        "account": "NL1",
        "currency": "EUR",
        "opening_minor": opening,
        "closing_minor": closing
        if opening is None or closing is not None
        else opening + sum(x.amount_minor for x in lines),
        "lines": lines,
        "first_day": FIRST + timedelta(days=1),
        "last_day": FIRST + timedelta(days=1),
    }
    return Statement(**(values | changes))


def accounts(rows: list[GatewayRow], *statements: Statement) -> dict[str, RollForward]:
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([entry(1)])
        file = ReconciliationFile("g", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(rows))
        workspace.add_file(file, gateway="bank")
        workspace.add_file(ReconciliationFile("b", FileFormat.GENERIC_BANK_CSV, statements=statements))
        return {one.account: one for one in workspace.run(SETTINGS).accounts}


def kinds(one: RollForward) -> dict[str, tuple[int, int]]:
    return {each.kind: (each.rows, each.amount_minor) for each in one.movements if each.is_stated}


def test_an_account_goes_from_its_opening_to_its_closing() -> None:
    """Fails when a line is counted under another kind or twice, or the first or last balance is another one's."""
    first = statement(500, line(1000, PO), line(-300, "Rent"), line(40, "bank says hello"))
    second = statement(
        1240, line(5, "Interest", 2), first_day=FIRST + timedelta(days=2), last_day=FIRST + timedelta(days=2)
    )
    one = accounts([moved(1), paid_out()], second, first)["NL1"]
    assert kinds(one) == {"payouts": (1, 1000), "other_movement": (2, -295), "no_payout": (1, 40)}
    assert (one.opening_minor, one.closing_minor, one.moved_minor, one.unexplained_minor) == (500, 1245, 745, 0)
    assert (one.first_day, one.last_day) == (START_MS // DAY_MS + 1, START_MS // DAY_MS + 2)


def test_what_a_missing_statement_moved_is_unexplained() -> None:
    """Fails when the gap between two statements does not show in the account, with its amount."""
    days = [FIRST + timedelta(days=number) for number in (1, 3)]
    first = statement(0, line(1000, PO), sequence=1, first_day=days[0], last_day=days[0])
    third = statement(1700, line(5, "x", 3), sequence=3, first_day=days[1], last_day=days[1])
    assert accounts([moved(1), paid_out()], first, third)["NL1"].unexplained_minor == 700


def test_two_statements_of_a_day_are_told_apart_by_their_balances() -> None:
    """Fails when the second statement of the first day is taken for the first one, or the first for the last."""
    for cents in range(8):  # whose keys stand in either order
        morning, noon = statement(cents, line(1000, PO)), statement(1000 + cents, line(-250, "Rent"))
        one = accounts([moved(1), paid_out()], noon, morning)["NL1"]
        assert (one.opening_minor, one.closing_minor, one.unexplained_minor) == (cents, 750 + cents, 0)


def test_lines_without_a_proved_balance_are_set_apart() -> None:
    """Fails when lines that no statement with balances tells move the account between its balances."""
    proved = statement(0, line(1000, PO))
    later = FIRST + timedelta(days=4)
    unproved = statement(
        None, line(-77, "Card", 4), statement_id="U", first_day=None, last_day=later, unproved="no balances"
    )
    one = accounts([moved(1), paid_out()], proved, unproved)["NL1"]
    assert one.unexplained_minor == 0
    assert [(each.kind, each.amount_minor) for each in one.movements if not each.is_stated] == [("other_movement", -77)]
    alone = accounts([moved(1), paid_out()], unproved)["NL1"]
    assert (alone.opening_minor, alone.closing_minor, alone.unexplained_minor) == (None, None, None)


def test_a_gateways_balance_is_what_its_rows_moved_and_no_balance_is_made_up() -> None:
    """Fails when fees are left out, a payout that only its members tell of is, or an opening balance is guessed."""
    rows = [moved(1, fee_minor=30), moved(2, kind=RowKind.REFUND, amount_minor=-100), paid_out(870)]
    one = accounts(rows)["bank"]
    assert kinds(one) == {
        "charge": (1, 1000),
        "refund": (1, -100),
        "payout": (1, -870),
        "fees within these rows": (0, -30),
    }
    assert (one.source, one.moved_minor, one.opening_minor, one.unexplained_minor) == (Source.GATEWAY, 0, None, None)
    itemised = accounts([moved(1, fee_minor=30, payout_id=PO)])["bank"]
    assert kinds(itemised)["payouts, as the sums of their rows"] == (1, -970)
    assert itemised.moved_minor == 0


def test_the_page_says_what_is_not_stated() -> None:
    """Fails when an unknown balance is shown as zero."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([entry(1)])
        file = ReconciliationFile("g", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=(moved(1),))
        workspace.add_file(file, gateway="bank")
        result = workspace.run(SETTINGS)
    [account] = account_lines(Contents(SETTINGS, Intake(), result))
    assert account["name"] == "bank, EUR (balance)"
    assert [(one["name"], one["rows"], one["amount"]) for one in account["lines"]] == [
        ("Opening", "", "not stated"),
        ("charge", "1", "10.00"),
        ("Moved in all", "", "10.00"),
        ("Closing, stated", "", "not stated"),
        ("Unexplained", "", "not known"),
    ]


@pytest.mark.parametrize(
    ("hours", "bucket"), [(0, 0), (24, 0), (25, 1), (168, 1), (169, 2), (720, 2), (721, 3), (2160, 4), (2161, 5)]
)
def test_a_break_is_in_the_bucket_of_its_age(hours: int, bucket: int) -> None:
    """Fails when a bucket begins an hour earlier or later than its name says."""
    settings = RunSettings(as_of_ms=START_MS)
    one = Break(
        break_class=BreakClass.DISPUTE_OPEN,
        subject=("gw", "r"),
        amount_minor=700,
        currency="EUR",
        occurred_at_ms=START_MS - hours * HOUR_MS,
    )
    other = replace(one, currency="JPY", amount_minor=5, occurred_at_ms=START_MS, subject=("gw", "s"))
    of_class, in_yen, euros, yen = ageing([one, other], settings.as_of_ms)
    assert [place for place, count in enumerate(of_class.counts) if count] == [bucket]
    assert of_class.amounts_minor[bucket] == 700
    assert (of_class.overdue, of_class.overdue_minor) == ((1, 700) if hours > 24 else (0, 0))
    assert (euros.break_class, euros.counts, yen.amounts_minor) == (None, of_class.counts, in_yen.amounts_minor)
