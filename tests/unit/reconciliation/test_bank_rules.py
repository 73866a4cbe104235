"""Payouts against bank lines, and statements against each other: each class by hand, and what must not be one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import FxRate, Outcome, RunSettings, Source
from payonce.reconciliation.readers.rows import (
    FileFormat,
    GatewayRow,
    ReconciliationFile,
    RowKind,
    Statement,
    StatementLine,
)

if TYPE_CHECKING:
    from payonce.reconciliation.matching.run_result import RunResult

DAY_MS = 86_400_000
FIRST = date(2026, 3, 2)
FIRST_MS = (FIRST.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS
SETTINGS = RunSettings(as_of_ms=FIRST_MS + 30 * DAY_MS)
PO = "po_aaaaaaaa01"
OTHER = "po_bbbbbbbb02"
LONG = "po_1QxYb2eZvKYlo2CaaaaaXkz"  # as long as ids of gateways are
LONG_TOO = "po_1QxYb2eZvKYlo2CbbbbbWmn"


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def payout(payout_id: str = PO, amount: int = 5000, on: int = 0, **changes: Any) -> GatewayRow:
    """Return a payout of so much, made at noon of that day."""
    values: dict[str, Any] = {
        "row_number": 1,
        "transaction_id": f"tx_{payout_id}",
        "reference": None,
        "kind": RowKind.PAYOUT,
        "amount_minor": -amount,
        "fee_minor": 0,
        "net_minor": -amount,
        "currency": "EUR",
        "created_at_ms": FIRST_MS + on * DAY_MS + DAY_MS // 2,
        "payout_id": payout_id,
    }
    return GatewayRow(**(values | changes))


def member(name: str, net: int, payout_id: str = PO) -> GatewayRow:
    """Return a charge that was paid out; our ledger is not looked at here."""
    return payout(payout_id, transaction_id=name, kind=RowKind.ADJUSTMENT, amount_minor=net, net_minor=net)


def line(amount: int = 5000, on: int = 1, *references: str, **changes: Any) -> StatementLine:
    """Return a credit that names no payout unless told."""
    values: dict[str, Any] = {
        "row_number": 1,
        "amount_minor": amount,
        "currency": "EUR",
        "booking_date": day(on),
        "value_date": None,
        "references": references,
        "description": "",
    }
    return StatementLine(**(values | changes))


def stated(on: int, *lines: StatementLine, opening: int | None = 0, **changes: Any) -> Statement:
    """Return the statement of a day."""
    closing = None if opening is None else opening + sum(one.amount_minor for one in lines)
    values: dict[str, Any] = {
        "statement_id": f"s{on}",
        "account": "NL01BANK0123456789",
        "currency": "EUR",
        "opening_minor": opening,
        "closing_minor": closing,
        "lines": lines,
        "first_day": day(on),
        "last_day": day(on),
    }
    return Statement(**(values | changes))


def reconcile(
    rows: list[GatewayRow], statements: list[Statement], *, one_by_one: bool = False, settings: RunSettings = SETTINGS
) -> RunResult:
    """Run the rules; the statements come in one file, or each in its own, in this order."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_file(
            ReconciliationFile("g", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(rows)), gateway="gw"
        )
        groups = [(one,) for one in statements] if one_by_one else [tuple(statements)]
        for number, group in enumerate(groups):
            workspace.add_file(ReconciliationFile(f"b{number}", FileFormat.CAMT, statements=group))
        return workspace.run(settings)


def seen(result: RunResult) -> list[tuple[str, int]]:
    """Return (class, money at stake), sorted."""
    return sorted((found.break_class.value, found.amount_minor) for found in result.breaks)


def outcomes(result: RunResult, source: Source) -> dict[Outcome, int]:
    """Return the rows of a source by outcome, of all currencies together."""
    counts: Counter[Outcome] = Counter()
    for tally in result.tallies:
        if tally.source is source:
            counts[tally.outcome] += tally.rows
    return dict(counts)


ELSEWHERE = line(77, 1, "rent")

PAYOUTS: dict[str, tuple[list[GatewayRow], list[StatementLine], list[tuple[str, int]]]] = {
    "named by a reference": ([payout()], [line(5000, 1, "x", PO)], []),
    "named by its end-to-end id": ([payout()], [line(end_to_end_id=PO)], []),
    "named by its transaction": ([payout()], [line(5000, 9, f"tx_{PO}")], []),
    "named in capitals without marks": ([payout()], [line(5000, 9, "POAAAAAAAA01")], []),
    "named by a word of the text": ([payout()], [line(5000, 9, description=f"payout {PO} of today")], []),
    "not named, and only one fits": ([payout()], [line(), ELSEWHERE], []),
    "the day before, where the bank's clock is behind": ([payout()], [line(on=-1)], []),
    "two days before is another's": ([payout()], [line(on=-2)], [("payout_missing", 5000)]),
    "not named and too late": ([payout()], [line(on=6)], [("payout_missing", 5000)]),
    "named, however late": ([payout()], [line(5000, 9, PO)], []),
    "a name that begins like another": (
        [payout("po_aaaaaaaa1"), payout("po_aaaaaaaa12", 700)],
        [line(700, 1, "po_aaaaaaaa12"), line(4990, 1, "po_aaaaaaaa1")],
        [("payout_different", 10)],
    ),
    "short ids that marks alone tell apart": (
        [payout("po_1_12", 500), payout("po_11_2", 600)],
        [line(600, 9, "po_11_2"), line(500, 9, "po_1_12")],
        [],
    ),
    "a short id in somebody else's reference": ([payout("42")], [line(), line(99, 1, "42")], []),
    "a short id with letters": ([payout("po_1")], [line(4000, 1, "po_1"), line()], [("payout_different", 1000)]),
    "a shorter one is like a number": ([payout("po1")], [line(4000, 1, "po1"), line()], []),
    "a short id beside the right amount": ([payout("42")], [line(5000, 9, "42"), line()], []),
    "a short id of letters and digits, another amount": (
        [payout("po_1"), payout("po_12", 700)],
        [line(4995, 1, "po_1"), line(700, 1, "po_12")],
        [("payout_different", 5)],
    ),
    "a short word without a digit in somebody else's reference": ([payout("rent")], [line(), line(99, 1, "rent")], []),
    "named among marks": ([payout()], [line(4990, 9, f"EREF+{PO}/PAYOUT")], [("payout_different", 10)]),
    "named in a text with commas": (
        [payout()],
        [line(4990, 9, description=f"ref:{PO},ok")],
        [("payout_different", 10)],
    ),
    "a longer word that contains a name": (
        [payout()],
        [line(4990, 1, f"X{PO}"), line(4990, 1, f"{PO}9")],
        [("payout_missing", 5000)],
    ),
    "cut by the bank": ([payout(LONG)], [line(4990, 9, LONG[:16])], [("payout_different", 10)]),
    "cut and in capitals, after the time in which amounts speak": (
        [payout(LONG)],
        [line(5000, 9, LONG[:18].upper().replace("_", ""))],
        [],
    ),
    "cut too short to be a name, but the amount is right": ([payout(LONG)], [line(5000, 9, LONG[:12])], []),
    "cut too short to be a name": ([payout(LONG)], [line(4990, 1, LONG[:12])], [("payout_missing", 5000)]),
    "cut so that it fits two, one of them by its amount": (
        [payout(LONG), payout(LONG_TOO, 300)], [line(300, 9, LONG[:18]), line(5000, 9, LONG)], [],
    ),
    "cut so that it fits two that are equal": (
        [payout(LONG), payout(LONG_TOO)], [line(5000, 1, LONG[:18])], [("ambiguous", 5000)],
    ),
    "the beginning of another is whole, and the other one is missing": (
        [payout(LONG), payout(LONG[:18], 300)],
        [line(290, 1, LONG[:18])],
        [("payout_different", 10), ("payout_missing", 5000)],
    ),
    "the beginning of another is whole": (
        [payout(LONG), payout(LONG[:18], 300)], [line(300, 1, LONG[:18]), line(5000, 1, LONG)], [],
    ),
    "missing": ([payout()], [ELSEWHERE], [("payout_missing", 5000)]),
    "on its way": ([payout(on=26)], [ELSEWHERE], []),
    "due today": ([payout(on=25)], [ELSEWHERE], []),
    "overdue by a day": ([payout(on=24)], [ELSEWHERE], [("payout_missing", 5000)]),
    "in a currency of which no bank tells": ([payout(currency="USD")], [ELSEWHERE], []),
    "less than it should": ([payout()], [line(4500, 1, PO)], [("payout_different", 500)]),
    "its movements do not add up": (
        [payout(), member("a", 3000), member("b", 1990)], [line(5000, 1, PO)], [("payout_different", 10)],
    ),
    "its movements add up, in two files": (
        [payout(), member("a", 3000), member("b", 2000), member("a", 3000)], [line(5000, 1, PO)], [],
    ),
    "its movements add up only because one is in two files": (
        [payout(), member("a", 3000), member("b", 1980), member("c", 10), member("c", 10)],
        [line(5000, 1, PO)],
        [("payout_different", 10)],
    ),
    "credited thrice": (
        [payout()],
        [line(5000, 1, PO), line(5000, 2, PO), line(5000, 3, PO)],
        [("duplicate_credit", 5000), ("duplicate_credit", 5000)],
    ),
    "credited twice on one day": (
        [payout()], [line(5000, 1, PO), line(5000, 1, PO)], [("duplicate_credit", 5000)],
    ),
    "credited right, and something more": (
        [payout()], [line(5000, 2, PO), line(12, 1, PO)], [("duplicate_credit", 12)],
    ),
    "in two parts": ([payout()], [line(2000, 1, PO), line(3000, 2, PO)], []),
    "sent back": ([payout()], [line(5000, 1, PO), line(-5000, 2, PO)], [("payout_returned", 5000)]),
    "only sent back": ([payout()], [line(-5000, 2, PO)], [("payout_returned", 10000)]),
    "sent back and paid again": ([payout()], [line(5000, 1, PO), line(-5000, 2, PO), line(5000, 4, PO)], []),
    "taken back in the report, never at the bank": (
        [payout(), payout(amount=-5000, transaction_id="back")], [ELSEWHERE], [],
    ),
    "taken back in the report, but credited": (
        [payout(), payout(amount=-5000, transaction_id="back")], [line(5000, 1, PO)], [("payout_different", 5000)],
    ),
    "the gateway debits": ([payout(amount=-800)], [line(-800, 1, PO)], []),
    "one credit for two": ([payout(), payout(OTHER, 300)], [line(5300, 1, PO, OTHER)], []),
    "one credit for two that is too small": (
        [payout(), payout(OTHER, 300)], [line(5200, 1, PO, OTHER)], [("ambiguous", 5300 - 100)],
    ),
    "one credit names two, the other came alone": (
        [payout(), payout(OTHER, 300)], [line(300, 1, OTHER), line(5000, 2, PO, OTHER)], [],
    ),
    "one credit for two, and one of them came alone with less": (
        [payout(), payout(OTHER, 300)],
        [line(5300, 1, PO, OTHER), line(100, 2, OTHER)],
        [("ambiguous", 5300)],
    ),
    "a credit that names another payout of the same amount": (
        [payout(), payout(OTHER)],
        [line(5000, 1, OTHER)],
        [("payout_missing", 5000)],
    ),
    "two payouts, one credit that fits both": ([payout(), payout(OTHER)], [line()], [("ambiguous", 5000)]),
    "two credits that fit": ([payout()], [line(), line(5000, 2)], [("ambiguous", 5000)]),
    "two groups of equal amounts, weeks apart": (
        [payout(), payout(OTHER, on=20)],
        [line(), line(5000, 2), line(on=21), line(5000, 22)],
        [("ambiguous", 5000), ("ambiguous", 5000)],
    ),
    "one credit for two that names none": ([payout(), payout(OTHER, 300)], [line(5300)], []),
    "a weekend and a holiday in one credit that names none": (
        [payout(f"po_ddddddd{n}", 1000 + n, on=n) for n in range(4)], [line(4006, 4)], [],
    ),
    "a week of payouts in one credit, beside others": (
        [payout(f"po_ddddddd{n:02}", 1000 + 2**n, on=n // 3) for n in range(15)],
        [line(6000 + 8 + 16 + 32 + 64 + 128 + 256, 4)],
        [("payout_missing", 1000 + 2**n) for n in (0, 1, 2, 9, 10, 11, 12, 13, 14)],
    ),
    "two sums that fit one credit": (
        [payout(f"po_ddddddd{amount}", amount) for amount in (100, 200, 300, 400)],
        [line(500)],
        [("ambiguous", 500)],
    ),
    "a sum of which a part is too old": (
        [payout(), payout(OTHER, 300, on=9)],
        [line(5300, 10)],
        [("payout_missing", 300), ("payout_missing", 5000)],
    ),
    "less by charges that the entry states": (
        [payout()], [line(4988, 1, PO, sent_minor=5000, sent_currency="EUR")], [],
    ),
    "not named, less by charges that the entry states": (
        [payout()], [line(4988, 1, sent_minor=5000, sent_currency="EUR")], [],
    ),
    "less than the stated charges explain": (
        [payout()], [line(4900, 1, PO, sent_minor=4990, sent_currency="EUR")], [("payout_different", 10)],
    ),
    "charges that the gateway has paid": ([payout()], [line(5000, 1, PO, sent_minor=5012, sent_currency="EUR")], []),
    "converted by the bank, which states what was sent": (
        [payout(currency="USD")], [line(4600, 1, PO, sent_minor=5000, sent_currency="USD")], [],
    ),
    "not named, converted by the bank, which states what was sent": (
        [payout(currency="USD")], [line(4600, 1, sent_minor=5000, sent_currency="USD")], [],
    ),
    "converted, and less was sent": (
        [payout(currency="USD")],
        [line(4600, 1, PO, sent_minor=4900, sent_currency="USD")],
        [("payout_different", 100)],
    ),
    "named by what the bank calls it": ([payout(payout_reference="TX694163XT")], [line(5000, 9, "TX694163XT")], []),
    "equal ones in a row, as many credits": ([payout(), payout(OTHER, on=1)], [line(), line(5000, 2)], []),
    "equal ones in a row, the last on its way": (
        [payout(on=24), payout(OTHER, on=26)], [line(5000, 26)], [],
    ),
    "equal ones in a row, and the order can't be": (
        [payout(), payout(OTHER, on=8)], [line(), line(5000, 3)], [("ambiguous", 5000), ("payout_missing", 5000)],
    ),
    "from whom another came, and off": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(4950, counterparty="GW LTD")],
        [("payout_different", 50)],
    ),
    "from whom another came, and something else": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(3990, counterparty="GW LTD")],
        [("payout_missing", 5000)],
    ),
    "from another, and off": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(4950, counterparty="A CUSTOMER")],
        [("payout_missing", 5000)],
    ),
    "of two that fit the one from whom another came": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(counterparty="GW LTD"), line(counterparty="A CUSTOMER")],
        [],
    ),
    "sent back, neither names it": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(counterparty="GW LTD"),
         line(-5000, 3, counterparty="GW LTD")],
        [("payout_returned", 5000)],
    ),
    "sent back and paid again, none names it": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(counterparty="GW LTD"), line(-5000, 3, counterparty="GW LTD"),
         line(5000, 5, counterparty="GW LTD")],
        [],
    ),
    "named, and the return names nothing": (
        [payout(), payout(OTHER, 300)],
        [line(300, 1, OTHER, counterparty="GW LTD"), line(5000, 1, PO), line(-5000, 3, counterparty="GW LTD")],
        [("payout_returned", 5000)],
    ),
    "told by its members alone": ([member("a", 3000), member("b", 2000)], [line(5000, 1, PO)], []),
    "told by its members alone, in two files": (
        [member("a", 3000), member("b", 2000), member("a", 3000)], [line(5000, 1, PO)], [],
    ),
    "told by its members alone, and missing": (
        [member("a", 3000), member("b", 2000)], [ELSEWHERE], [("payout_missing", 5000)],
    ),
    "told by its members alone, and off": (
        [member("a", 3000), member("b", 2000)], [line(4990, 1, PO)], [("payout_different", 10)],
    ),
    "told by its members alone, and credited twice": (
        [member("a", 3000), member("b", 2000)],
        [line(5000, 1, PO), line(5000, 2, PO)],
        [("duplicate_credit", 5000)],
    ),
    "came back to the balance, and is paid again in another": (
        [payout(), member("a", 5000), payout(OTHER, 5300), member("b", 300, OTHER),
         payout(OTHER, -5000, transaction_id="back", gateway_object_id=PO)],
        [line(5300, 1, OTHER)],
        [],
    ),
    "the gateway debits, and gives it back": (
        [payout(amount=-800)],
        [line(-800, 1, PO), line(800, 3, PO)],
        [("payout_returned", 800)],
    ),
    "the gateway debits twice": (
        [payout(amount=-800)],
        [line(-800, 1, PO), line(-800, 1, PO)],
        [("duplicate_credit", 800)],
    ),
    "a debit of that amount is no credit": ([payout()], [line(-5000)], [("payout_missing", 5000)]),
    "a converted payout is nobody else's": (
        [payout(currency="USD"), payout(OTHER)],
        [line(5000, 1, PO)],
        [("payout_missing", 5000)],
    ),
    "over a weekend": ([payout(on=4)], [line(on=7)], []),  # from Friday to Monday
    "equal amounts a month apart": (
        [payout(), payout(OTHER, on=20)], [line(), line(on=21)], [],
    ),
    "one id, two contents": (
        [payout(), payout(amount=4000)], [line(4000, 1, PO)],
        [("payload_conflict", 5000)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAYOUTS)
def test_payouts_against_the_bank(name: str) -> None:
    """Each rule by hand; the order of rows and lines changes nothing."""
    rows, lines, expected = PAYOUTS[name]
    plain = reconcile(rows, [stated(0, *lines)])
    assert seen(plain) == expected
    if (rows[::-1], lines[::-1]) == (rows, lines):
        return  # one of each has one order
    turned = reconcile(rows[::-1], [stated(0, *lines[::-1])])
    assert [found.break_id for found in turned.breaks] == [found.break_id for found in plain.breaks]
    assert turned.digest == plain.digest


def test_the_earliest_right_credit_is_the_payouts_own() -> None:
    """Fails when another line than the later one is named as the surplus: the case would be about good money."""
    result = reconcile([payout()], [stated(0, line(5000, 3, PO), line(5000, 1, PO))])
    (found,) = result.breaks
    assert found.subject[:2] == ("gw", PO)
    days = {row.fields.get("booking_day") for row in found.evidence if row.source is Source.BANK}
    assert len(days) == 2
    (key,) = found.subject[2:]
    (surplus,) = [row for row in found.evidence if row.row_key == key]
    assert surplus.fields["booking_day"] == day(3).toordinal() - date(1970, 1, 1).toordinal()
    assert Source.GATEWAY in {row.source for row in found.evidence}


def test_a_notification_and_its_statement_tell_of_one_credit() -> None:
    """camt.054 in other words than camt.053. Fails when lines of a notification count beside the day's statement."""
    told = stated(1, line(5000, 1, PO, description="by notification"), opening=None)
    result = reconcile([payout()], [stated(1, line(5000, 1, PO)), told])
    assert seen(result) == []
    assert outcomes(result, Source.BANK) == {Outcome.MATCHED: 1, Outcome.EXCLUDED: 1}
    assert seen(reconcile([payout()], [told])) == []
    assert seen(reconcile([payout(), payout(OTHER, 300)], [told, stated(2, line(300, 2, OTHER))])) == []


def test_a_statement_in_two_formats_is_told_once() -> None:
    """Fails when both renditions count: every payout would be credited twice."""
    long, short = stated(1, line(5000, 1, "bank-1", PO)), stated(1, line(5000, 1, PO, description="PAYOUT"))
    for order in ([long, short], [short, long]):
        result = reconcile([payout()], order, one_by_one=True)
        assert seen(result) == []
        assert outcomes(result, Source.BANK) == {Outcome.MATCHED: 1, Outcome.EXCLUDED: 1}
        assert outcomes(result, Source.STATEMENT) == {Outcome.EXCLUDED: 1}


def test_without_any_statement_no_payout_is_missed() -> None:
    """Fails when a run without the bank's side reports every payout."""
    assert seen(reconcile([payout()], [])) == []


def _week() -> list[Statement]:
    """Return seven numbered days with a movement each: opening 0, 10, 20 ..."""
    return [stated(n, line(10, n, f"r{n}"), opening=10 * n, sequence=60 + n) for n in range(7)]


def _unnumbered() -> list[Statement]:
    return [replace(s, sequence=None) for s in _week()]


def test_statements_that_follow_each_other_are_fine_in_any_order() -> None:
    """Fails when the file's order takes the place of the numbers."""
    week = _week()
    plain = reconcile([], week)
    assert seen(plain) == []
    assert outcomes(plain, Source.STATEMENT) == {Outcome.MATCHED: 6, Outcome.EXCLUDED: 1}
    for order in list(permutations(week))[::1700]:
        assert reconcile([], list(order), one_by_one=True).digest == plain.digest


def _export(first: int, last: int, text: str = "") -> Statement:
    """Return what a bank's site gives for these days of one account, of which each has a movement of 10."""
    lines = tuple(line(10, n, f"r{n}", description=text) for n in range(first, last + 1))
    return replace(stated(last, *lines, opening=10 * first), first_day=day(first))


STATEMENTS: dict[str, tuple[list[Statement], list[tuple[str, int]]]] = {
    "one is lost": ([s for s in _week() if s.sequence != 63], [("statement_gap", 10)]),
    "two are lost, one gap": ([s for s in _week() if s.sequence not in (63, 64)], [("statement_gap", 20)]),
    "two gaps": ([s for s in _week() if s.sequence not in (62, 64)], [("statement_gap", 10), ("statement_gap", 10)]),
    "one does not open where the last one closed": (
        [*_week()[:3], *(replace(s, opening_minor=s.opening_minor + 5, closing_minor=s.closing_minor + 5)
                         for s in _week()[3:] if s.opening_minor is not None and s.closing_minor is not None)],
        [("balance_break", 5)],
    ),
    "opens where an older one closed": (
        [*_week()[:3], replace(_week()[3], opening_minor=20, closing_minor=30)], [("balance_break", 10)],
    ),
    "a new year begins with 1": (
        [stated(0, opening=7, sequence=365), stated(1, opening=7, sequence=1), stated(2, opening=7, sequence=2)], [],
    ),
    "a new year, and its first is lost": (
        [stated(0, opening=7, sequence=365), stated(2, opening=9, sequence=2)], [("balance_break", 2)],
    ),
    "no numbers": (_unnumbered(), []),
    "no numbers, one is lost": (_unnumbered()[:3] + _unnumbered()[4:], [("balance_break", 10)]),
    "balances dated the evening before": (
        [replace(s, first_day=day(n - 1)) for n, s in enumerate(_unnumbered())], [],
    ),
    "a weekly one beside the daily ones": (
        [*_unnumbered(),
         replace(stated(6, *(line(10, n, f"r{n}") for n in range(1, 7)), opening=10), first_day=day(1))],
        [],
    ),
    "two on one day": (
        [stated(0, line(10, 0, "a"), sequence=1), stated(0, line(10, 0, "b"), opening=10, sequence=2)], [],
    ),
    "two on one day, without numbers": (
        [replace(_unnumbered()[0], opening_minor=-5, closing_minor=5, lines=(line(10, 0, "x"),)),
         *(stated(1, line(5, 1, f"h{n}"), opening=5 + 5 * n) for n in range(2)),
         stated(2, line(1, 2, "y"), opening=15)],
        [],
    ),
    "two on one day, without numbers, and one is off": (
        [stated(0, line(5, 0, "x")), stated(1, line(5, 1, "h0"), opening=5), stated(1, line(5, 1, "h1"), opening=11)],
        [("balance_break", 1)],
    ),
    "sent again": ([*_week(), *_week()[2:5]], []),
    "sent again with a line more, and the next goes on from it": (
        [*_week()[:3], stated(2, line(10, 2, "r2"), line(4, 2, "more"), opening=20, sequence=62),
         stated(3, line(10, 3, "r3"), opening=34, sequence=63)],
        [("statement_conflict", 4)],
    ),
    "sent again with another amount": (
        [stated(0, line(10, 0, "r"), sequence=7), stated(0, line(11, 0, "r"), sequence=7)], [("statement_conflict", 1)],
    ),
    "sent again with another amount, without numbers": (
        [stated(0, line(10, 0, "r")), stated(0, line(11, 0, "r"))], [("statement_conflict", 1)],
    ),
    "sent again with another text": (
        [stated(0, line(10, 0, "r"), sequence=7), stated(0, line(10, 0, "r", description="now"), sequence=7)], [],
    ),
    "exports that overlap": (
        [_export(0, 6), _export(4, 9), replace(_export(10, 12), first_day=day(9))], [],
    ),
    "exports that overlap, dated the evening before": (
        [_export(0, 6), replace(_export(5, 9), first_day=day(4))], [],
    ),
    "exports that overlap, and one is off": (
        [_export(0, 6), replace(_export(4, 9), opening_minor=45, closing_minor=105)], [("balance_break", 25)],
    ),
    "another account": (
        [stated(0, sequence=1), stated(1, opening=99, sequence=3, account="NL02BANK0123456789")], [],
    ),
    "days without a movement and without a date": (
        [stated(0, opening=5), stated(1, opening=5, first_day=None, last_day=None), stated(2, opening=5)], [],
    ),
    "over the end of February and the change of clocks": (
        [stated(n, line(1, n, f"q{n}"), opening=n + 10, sequence=100 + n) for n in range(-8, 32)], [],
    ),
}  # fmt: skip


def test_exports_that_overlap_tell_each_movement_once() -> None:
    """Fails when a movement that two exports tell in other words counts twice; amounts of another day are others."""
    result = reconcile([], [_export(0, 6), _export(4, 9, "told otherwise")])
    assert outcomes(result, Source.BANK) == {Outcome.EXCLUDED: 13}
    reasons = Counter(one.reason for one in result.open_items if one.source is Source.BANK)
    assert reasons == {"told_again": 3, "other_movement": 10}


@pytest.mark.parametrize(("amount", "expected"), [(4600, []), (4630, []), (4400, [("payout_different", 218)])])
def test_a_given_rate_judges_a_payout_to_another_currency(amount: int, expected: list[tuple[str, int]]) -> None:
    """Without a rate the payout is open, and said to be; with one it is within the tolerance or different."""
    rows, lines = [payout(currency="USD")], [stated(0, line(amount, 1, PO))]
    without = reconcile(rows, lines)
    assert seen(without) == []
    assert {one.reason for one in without.open_items} == {"converted", "first_statement"}
    days = FIRST.toordinal() - date(1970, 1, 1).toordinal()
    rate = FxRate(presented_currency="USD", currency="EUR", day_number=days, rate_millionths=920_000)
    assert seen(reconcile(rows, lines, settings=replace(SETTINGS, rates=(rate,)))) == expected


def test_every_row_of_the_bank_that_settles_nothing_is_listed_with_its_reason() -> None:
    """A stray credit is somebody's money. Fails when a row is excluded and in no list."""
    rows = [payout(), payout(OTHER, 300, on=27), payout("po_eeeeeeee1", 70, currency="JPY")]
    lines = [line(5000, 1, PO, counterparty="GW LTD"), line(999_900, 2, counterparty="GW LTD"), line(-77, 1, "rent")]
    result = reconcile(rows, [stated(0, *lines), stated(0, *lines[:1], opening=None)])
    listed = {(one.source.value, one.reason, one.amount_minor) for one in result.open_items}
    assert listed == {
        ("bank", "no_payout", 999_900),
        ("bank", "other_movement", -77),
        ("gateway", "in_transit", -300),
        ("gateway", "no_statement", -70),
        ("statement", "first_statement", 1_004_823),
        ("statement", "not_comparable", 0),
    }


def test_each_account_and_currency_has_statements_of_its_own() -> None:
    """Fails when accounts, or the currencies of one account, share their numbers and balances."""
    euros = [stated(n, line(10, n, f"e{n}"), opening=10 * n, sequence=n + 1) for n in range(3)]
    dollars = [
        stated(n, line(7, n, f"d{n}", currency="USD"), opening=90 + 7 * n, sequence=n + 41, currency="USD")
        for n in range(3)
    ]
    other = [replace(one, account="NL02BANK0123456789", sequence=(one.sequence or 0) + 7) for one in euros]
    result = reconcile([], [*euros, *dollars, *other])
    assert seen(result) == []
    assert outcomes(result, Source.STATEMENT) == {Outcome.MATCHED: 6, Outcome.EXCLUDED: 3}


def test_a_payout_may_come_to_any_account_of_its_currency() -> None:
    """Fails when the second credit of a payout goes unseen because it came to another account."""
    here, there = stated(1, line(5000, 1, PO)), stated(1, line(5000, 1, PO), account="NL02BANK0123456789")
    assert seen(reconcile([payout()], [here])) == seen(reconcile([payout()], [there])) == []
    assert seen(reconcile([payout()], [here, there])) == [("duplicate_credit", 5000)]


# Leap days and their absence, both changes of clocks in Europe, one in New York, and the last day of a year.
DELICATE = ("2028-02-28", "2028-02-29", "2027-02-28", "2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25",
            "2028-03-12", "2026-12-31")  # fmt: skip


@pytest.mark.parametrize(
    ("days", "in_time"),
    [(-2, False), (-1, True), (SETTINGS.payout_sla_days, True), (SETTINGS.payout_sla_days + 1, False)],
)
def test_days_are_counted_in_the_calendar(days: int, in_time: bool) -> None:
    """The last day of the time is in it and the next one is not, however long a day was.

    Fails when the booking day is compared with a time of day, or the last day is left out.
    """
    rows, statements = [], []
    for number, text in enumerate(DELICATE):
        at = date.fromisoformat(text)
        on, amounts = at + timedelta(days=days), (1000 + number, 2000 + number)
        for amount, clock_ms in zip(amounts, (0, DAY_MS - 1), strict=True):
            made_ms = (at.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS + clock_ms
            rows.append(payout(f"po_cccccccc{amount}", amount, created_at_ms=made_ms))
        lines = tuple(line(amount, booking_date=on) for amount in amounts)
        statements.append(replace(stated(0, *lines, opening=None), first_day=on, last_day=on))
    later = replace(SETTINGS, as_of_ms=FIRST_MS + 1000 * DAY_MS)
    found = seen(reconcile(rows, statements, settings=later))
    assert found == ([] if in_time else sorted(("payout_missing", -row.amount_minor) for row in rows))


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_against_each_other(name: str) -> None:
    """Each rule by hand, forwards and backwards."""
    statements, expected = STATEMENTS[name]
    for order in (statements, statements[::-1]):
        assert seen(reconcile([], order, one_by_one=True)) == expected


def test_half_a_gap_that_is_filled_keeps_its_id() -> None:
    """Fails when the id of a gap depends on where it ends: the case would close and a new one open."""
    week = _week()
    wide = reconcile([], [s for s in week if s.sequence not in (62, 63)])
    narrow = reconcile([], [s for s in week if s.sequence != 62])
    assert [found.break_id for found in wide.breaks] == [found.break_id for found in narrow.breaks]
