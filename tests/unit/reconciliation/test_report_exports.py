"""CSV and XLSX of a run, read back by readers that know nothing of payonce, with totals equal to the run's."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import load_workbook

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.manual import Match, RowRef
from payonce.reconciliation.matching.comparison import compared
from payonce.reconciliation.matching.matches import MatchedRow, MatchLine
from payonce.reconciliation.model import LedgerState, OpenItem, Outcome, Source
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.report.contents import Contents
from payonce.reconciliation.report.csv_export import file_name, write_csv
from payonce.reconciliation.report.export_rows import Amount, Day, Instant, Sheet, sheets
from payonce.reconciliation.report.xlsx_export import write_xlsx
from payonce.reconciliation.runs.intake import Intake
from tests.support.reconciliation_injector.compose import compose
from tests.support.reconciliation_injector.files import gateway_file, statement_file
from tests.unit.reconciliation.transactions import SETTINGS, entry, moved, reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMULA, SCRIPT = '=HYPERLINK("http://x")', "<script>alert(1)</script>"
NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC


class Exported:
    """A run with every class of break, exported, with the run itself and its matches as the engine gave them."""

    def __init__(self, folder: Path, seed: int) -> None:
        case = compose(seed, 3)
        with DuckDbWorkspace() as workspace:
            workspace.add_ledger(case.ledger)
            for gateway, rows in case.reported.items():
                workspace.add_file(gateway_file(rows, gateway), gateway=gateway)
            workspace.add_file(statement_file(case.statements, "bank"))
            self.result = workspace.run(case.settings)
            self.contents = Contents(case.settings, Intake(), self.result)
            for sheet in sheets(self.contents, workspace.matches(), workspace.all_open_items()):
                write_csv(sheet, folder / file_name(sheet.name))
            for name in ("one.xlsx", "two.xlsx"):
                write_xlsx(sheets(self.contents, workspace.matches(), workspace.all_open_items()), folder / name)
        self.folder = folder

    def of_csv(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as opened:
            return list(csv.DictReader(opened))

    def of_workbook(self, name: str, file: str = "one.xlsx") -> list[dict[str, Any]]:
        head, *rows = load_workbook(self.folder / file)[name].iter_rows(values_only=True)
        return [dict(zip(map(str, head), row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exports"), 1)


def total(rows: Iterable[dict[str, Any]], amount: str, currency: str) -> dict[str, Decimal]:
    sums: Counter[str] = Counter()
    for row in rows:
        if row[amount] not in (None, ""):
            sums[row[currency]] += round(Decimal(str(row[amount])) * 10 ** MINOR_UNIT_EXPONENTS[row[currency]], 6)
    return {code: value for code, value in sums.items() if value}


def test_the_matches_are_every_matched_row_of_the_run_once(exported: Exported) -> None:
    """Fails when a matched row is left out, is there twice or has another amount, in CSV or in XLSX."""
    for rows in (exported.of_csv("matches.csv"), exported.of_workbook("Matches")):
        for source, row_key in (
            (Source.LEDGER, "ledger entry"),
            (Source.GATEWAY, "gateway row"),
            (Source.BANK, "bank line"),
        ):
            tallies = [one for one in exported.result.tallies if (one.source, one.outcome) == (source, Outcome.MATCHED)]
            keys = [row[row_key] for row in rows if row[row_key]]
            assert len(keys) == len(set(keys)) == sum(one.rows for one in tallies)
            name = source.value
            sums = {one.currency: one.amount_minor for one in tallies if one.amount_minor}
            assert total(rows, f"{name} amount", f"{name} currency") == sums


def test_rows_of_one_match_add_up(exported: Exported) -> None:
    """Fails when a number is given to rows that did not match with each other."""
    sums: dict[str, list[int]] = {}
    for row in exported.of_csv("matches.csv"):
        if row["by"] in ("reference", "exact", "sum"):
            pair = sums.setdefault(row["match"], [0, 0])
            for place, name in enumerate(("ledger amount", "gateway amount")):
                pair[place] += int(Decimal(row[name] or "0") * 1000)
    assert sums
    assert all(ours == theirs for ours, theirs in sums.values())


def test_the_breaks_have_the_money_of_the_run(exported: Exported) -> None:
    """Fails when a break is left out, or its stake or difference is another one than in the report."""
    for rows in (exported.of_csv("breaks.csv"), exported.of_workbook("Breaks")):
        assert [row["break"] for row in rows] == [found.break_id for found in exported.contents.breaks]
        stakes: Counter[str] = Counter()
        differences: Counter[str] = Counter()
        for found in exported.result.breaks:
            stakes[found.currency] += found.amount_minor
            differences[found.currency] += compared(found, exported.contents.settings).difference_minor or 0
        assert total(rows, "at stake", "currency") == stakes
        assert total(rows, "difference", "currency") == {code: value for code, value in differences.items() if value}
        assert all(row["what to do"] and row["meaning"] for row in rows)


def test_the_open_items_are_those_of_the_run(exported: Exported) -> None:
    for rows in (exported.of_csv("open_items.csv"), exported.of_workbook("Open items")):
        assert len(rows) == sum(one.rows for one in exported.result.open_totals) == len(exported.result.open_items)
        sums: Counter[str] = Counter()
        for one in exported.result.open_totals:
            sums[one.currency] += one.amount_minor
        assert total(rows, "amount", "currency") == {code: value for code, value in sums.items() if value}
        assert all(row["reason"] for row in rows)


def test_the_same_run_gives_the_same_bytes(exported: Exported) -> None:
    """Fails when the workbook holds the time of its making."""
    assert (exported.folder / "one.xlsx").read_bytes() == (exported.folder / "two.xlsx").read_bytes()


def test_amounts_are_numbers_and_times_are_dates(exported: Exported) -> None:
    """Fails when a spreadsheet would have to guess: an amount as a text, a date as a number without its form."""
    sheet = load_workbook(exported.folder / "one.xlsx")["Breaks"]
    head = [cell.value for cell in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        stake, currency = row[head.index("at stake")], row[head.index("currency")].value
        assert stake.data_type == "n"
        places = MINOR_UNIT_EXPONENTS[currency]
        assert stake.number_format == f"#,##0{'.' + '0' * places if places else ''} [${currency}]"
        assert isinstance(row[head.index("time")].value, datetime)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == sheet.dimensions


def matched(**sides: Any) -> MatchLine:
    rows = {
        name: MatchedRow(source, f"{FORMULA}{name}", SCRIPT, "EUR", amount, NOON_MS)
        for name, (source, amount) in sides.items()
    }
    return MatchLine(1, "exact", "@gateway", **rows)


def small(folder: Path, **options: Any) -> tuple[list[dict[str, str]], Any]:
    line = matched(ledger=(Source.LEDGER, -1_234_567), bank=(Source.BANK, 5))
    item = OpenItem(
        source=Source.BANK,
        row_key="a\x00b",
        reason="no_payout",
        currency="JPY",
        amount_minor=-5,
        at_ms=NOON_MS,
        label="-1+1\u202e\r\n=2",
    )
    _, matches, items = sheets(Contents(SETTINGS, Intake(), reconcile([], [])), [line], [item])
    for sheet in (matches, items):
        kept = replace(sheet, rows=list(sheet.rows))
        write_csv(kept, folder / file_name(sheet.name))
        write_xlsx([kept], folder / f"{sheet.name}.xlsx", **options)
    rows = []
    for name in ("matches.csv", "open_items.csv"):
        with (folder / name).open(encoding="utf-8-sig", newline="") as opened:
            rows += list(csv.DictReader(opened))
    return rows, load_workbook(folder / "Open items.xlsx")["Open items"]


def test_no_text_is_a_formula_and_every_amount_stays_a_number(tmp_path: Path) -> None:
    """Fails without ``plain``: OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection.

    A number is ours and may begin with a minus.
    """
    [match, item], sheet = small(tmp_path)
    assert match["ledger entry"].startswith("'=HYPERLINK")
    assert (match["gateway"], match["ledger amount"], match["bank amount"]) == ("'@gateway", "-12345.67", "0.05")
    assert (match["ledger time"], match["bank date"]) == ("2026-03-01T12:00:00Z", "2026-03-01")
    assert item["what it is"] == "'-1+1\ufffd\ufffd\ufffd=2"
    assert (item["row"], item["amount"]) == ("a\ufffdb", "-5")
    assert [cell.data_type for cell in sheet[2]].count("f") == 0
    assert sheet["D2"].value == "'-1+1\ufffd\ufffd\ufffd=2"
    assert (sheet["G2"].value, sheet["G2"].number_format) == (-5, "#,##0 [$JPY]")


def test_what_a_sheet_has_no_room_for_goes_on_in_the_next_one(tmp_path: Path) -> None:
    """Fails when rows beyond the end of a sheet are lost: Excel has 1,048,576 of them.

    https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
    """
    sheet = Sheet("Matches", (("match", 9),), ((number,) for number in range(1, 8)))
    write_xlsx([sheet], tmp_path / "out.xlsx", sheet_rows=4)
    workbook = load_workbook(tmp_path / "out.xlsx")
    assert workbook.sheetnames == ["Matches", "Matches (2)", "Matches (3)"]
    columns = [[cell.value for cell in one["A"]] for one in workbook]
    assert columns == [["match", 1, 2, 3], ["match", 4, 5, 6], ["match", 7]]


def test_an_amount_that_a_workbook_would_round_is_a_text(tmp_path: Path) -> None:
    """Fails when the sixteenth digit is lost, or a date before 1900 stops the export."""
    rows: list[Any] = [(Amount(-123_456_789_012_345_678, "EUR"), Instant(-(10**13)), Day(-40_000), "x" * 40_000)]
    columns = tuple((name, 9) for name in ("amount", "time", "day", "text"))
    write_xlsx([Sheet("Breaks", columns, rows)], tmp_path / "out.xlsx")
    amount, at, day, text = (cell.value for cell in load_workbook(tmp_path / "out.xlsx")["Breaks"][2])
    assert (amount, at, day) == ("-1234567890123456.78", "1653-02-10T06:13:20", "1860-06-26T00:00:00")
    assert len(text) == 32_767


def test_rows_that_matched_otherwise_than_in_pairs_stand_together(tmp_path: Path) -> None:
    """Fails when captures that add up, a part never captured or a charge of its own are told apart from their match."""
    captures = [moved("a", reference="r1", amount_minor=400), moved("b", reference="r1", amount_minor=600)]
    part = moved("c", reference="r2", kind=RowKind.UNCAPTURED, amount_minor=-500)
    whole = moved("d", reference="r2", amount_minor=1500)
    taken_back = moved("e", reference="r3", kind=RowKind.CHARGE_REVERSAL)
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([entry(1), entry(2), entry(3, state=LedgerState.FAILED)])
        file = gateway_file([*captures, part, whole, taken_back, moved("f", reference="r3")], "f")
        workspace.add_file(file, gateway="bank")
        assert workspace.run(SETTINGS).breaks == ()
        lines = list(workspace.matches())
    together: dict[int, set[str]] = {}
    for one in lines:
        rows = chain.from_iterable([[row.row_key] if row else [] for row in (one.ledger, one.gateway_row, one.bank)])
        together.setdefault(one.number, set()).update(rows)
    assert sorted(map(sorted, together.values())) == [
        ["bank|ta", "bank|tb", "e1"],
        ["bank|tc", "bank|td", "e2"],
        ["bank|te", "bank|tf", "e3"],
    ]


def test_rows_that_people_matched_stand_together(tmp_path: Path) -> None:
    """Fails when a match by hand is not among the exported ones, or a row of it is there twice, as the rules' too."""
    rows = (RowRef("ledger", "e1"), RowRef("gateway", "bank|t2"))
    made = Match(match_id="mat_1", rows=rows, reason="seen", by="operator:anna", at_ms=1)
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([entry(1), entry(3), entry(4)])
        workspace.add_file(gateway_file([moved(2), moved(3), moved(4, reference="r1")], "f"), gateway="bank")
        workspace.run(replace(SETTINGS, matches=(made,)))
        told = [
            (one.how, one.ledger and one.ledger.row_key, one.gateway_row and one.gateway_row.row_key)
            for one in workspace.matches()
        ]
    assert sorted(told) == [("by hand", "e1", "bank|t2"), ("reference", "e3", "bank|t3")]
