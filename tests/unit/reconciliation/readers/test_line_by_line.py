"""What a file says line by line: which line is wrong, why, what to do, and what the others are read as."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from openpyxl import Workbook

from payonce.reconciliation.readers.line_advice import AGAIN, advice_for
from payonce.reconciliation.readers.line_by_line import MAX_LINES, MAX_WRONG, read_line_by_line
from payonce.reconciliation.readers.line_readings import MASKED, LineReading
from payonce.reconciliation.runs.run_policy import parse_policy
from tests.support.aws import REPOSITORY
from tests.unit.reconciliation.readers import samples

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.readers.mapping import ColumnMapping

SAMPLES = REPOSITORY / "tests" / "data" / "reconciliation"
BANK = """record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description
opening,NL26BANK0001,EUR,,,10.00,2026-060,,,
line,NL26BANK0001,EUR,2026-03-01,2026-03-02,5.50,BANK1,pay_1,Shop,Order 7
line,NL26BANK0001,EUR,2026-03-02,2026-03-02,-1.50,BANK2,pay_2,Payer,Order 8
line,NL26BANK0001,EUR,2026-03-03,2026-03-03,1.00,BANK3,pay_3,Payer,Order 9
closing,NL26BANK0001,EUR,,,15.00,,,,
"""
POLICY = b"""[[mappings]]
account = "NL26BANK0001"
currency = "EUR"
date_form = "DD.MM.YYYY"
[mappings.columns]
booking_date = "Datum"
amount = "Betrag"
reference = ["Zweck"]
"""


def read(text: str | bytes, **options: object) -> LineReading:
    return read_line_by_line(text.encode() if isinstance(text, str) else text, **options)  # type: ignore[arg-type]


def test_a_good_statement_says_what_each_line_is_read_as() -> None:
    found = read(BANK)
    assert (found.wrong, found.is_bank, found.file_format, found.line_count) == ((), True, "generic_bank_csv", 3)
    assert [(line.line, line.at, line.kind, line.amount_minor, line.reference) for line in found.lines] == [
        (3, "2026-03-01", "in", 550, "pay_1, BANK1"),
        (4, "2026-03-02", "out", -150, "pay_2, BANK2"),
        (5, "2026-03-03", "in", 100, "pay_3, BANK3"),
    ]
    assert found.sums == (("EUR", 3, 500),)
    (statement,) = found.statements
    assert (statement.opening_minor, statement.closing_minor, statement.unproved) == (1000, 1500, None)


def test_every_wrong_line_is_told_and_the_others_are_read() -> None:
    """Fails when the look ends at the first wrong line, or takes what follows from leaving it out for another one."""
    wrong = BANK.replace("5.50", "5.5O").replace("2026-03-03,2026-03-03", "03/03/2026,2026-03-03")
    found = read(wrong)
    assert [(one.line, one.field) for one in found.wrong] == [(3, "amount"), (5, "booking_date")]
    first = found.wrong[0]
    assert "'5.5O' is not an amount" in first.problem
    assert "plain amounts" in first.to_do
    assert [number for number, _ in first.excerpt] == [1, 2, 3, 4, 5]
    assert "5.5O" in dict(first.excerpt)[3]
    assert [(line.line, line.amount_minor) for line in found.lines] == [(4, -150)]


def test_a_gateways_report_is_read_by_the_gateways_words() -> None:
    found = read(samples.MOLLIE, zone=ZoneInfo("Europe/Amsterdam"))
    assert (found.wrong, found.is_bank, found.file_format) == ((), False, "mollie_csv")
    assert all(line.at.endswith("Z") and line.word for line in found.lines)


def test_a_report_whose_totals_contradict_it_is_one_finding_about_the_whole_file() -> None:
    rows = samples.PAYPAL_REPORT.replace('"SC",4', '"SC",5')
    found = read(rows)
    assert len(found.wrong) == 1
    assert "don't correct it by hand" in found.wrong[0].to_do


def test_a_wrong_line_of_a_report_with_totals_is_not_told_twice() -> None:
    """Fails when the totals' not holding without the line is taken for a second mistake of the file."""
    found = read(samples.PAYPAL_REPORT.replace('"CR",10000,"EUR"', '"CR",x,"EUR"'))
    assert [one.line for one in found.wrong] == [5]


def broken_in_the_middle(path: Path) -> tuple[int, int, bytes] | None:
    """Return the line of a movement, the movements, and the file with letters in that one's date or amount."""
    data = path.read_bytes()
    good = read(data)
    if good.wrong or not good.lines:
        return None
    line = good.lines[len(good.lines) // 2].line
    rows = data.split(b"\n")
    if good.file_format == "mt940":
        rows[line - 1] = rows[line - 1][:11] + b"XX" + rows[line - 1][11:]
        return line, good.line_count, b"\n".join(rows)
    at = next((number for number in range(line - 1, len(rows)) if b"<Amt" in rows[number]), line - 1)
    if rows[at].count(b"<Amt") != 1:
        return None  # several movements are on one line
    rows[at] = rows[at].replace(b"</Amt>", b"x</Amt>")
    return line, good.line_count, b"\n".join(rows)


BROKEN = {
    path.name: found
    for folder in ("camt", "mt940", "mt940-cmxl", "mt940-jejik")
    for path in sorted((SAMPLES / folder).rglob("*.*"))
    if (found := broken_in_the_middle(path)) is not None
}


@pytest.mark.parametrize("name", BROKEN)
def test_of_public_samples_a_broken_line_is_found_where_it_is(name: str) -> None:
    """Each sample, with letters in one movement: the line that is told lies in it, and the others are still read."""
    line, movements, data = BROKEN[name]
    bad = read(data)
    told = bad.wrong[0].line
    assert told is not None
    assert line <= told <= line + 12
    assert [one.line for one in bad.wrong] == [told]
    assert bad.line_count == movements - 1 or movements == 1


def test_there_are_samples_of_banks() -> None:
    assert len(BROKEN) > 20


def test_a_workbook_is_read_by_its_mapping_and_its_wrong_row_is_told() -> None:
    mappings = parse_policy(POLICY, "test").mappings
    found = read_line_by_line(workbook([["Datum", "Betrag", "Zweck"], ["01.03.2026", 5.5, "pay_1"]]), mappings=mappings)
    assert [(line.line, line.amount_minor, line.reference) for line in found.lines] == [(2, 550, "pay_1")]
    bad = read_line_by_line(
        workbook([["Datum", "Betrag", "Zweck"], ["01.03.2026", 5.5, "pay_1"], ["02.03.2026", "viel", "pay_2"]]),
        mappings=mappings,
    )
    assert [(one.line, one.field) for one in bad.wrong] == [(3, "Betrag")]
    assert "02.03.2026 | viel | pay_2" in dict(bad.wrong[0].excerpt)[3]


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of 100 MB in 100 KB. Fails when anything of it is read before its size is known."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            for _ in range(100):
                part.write(b" " * 1024 * 1024)
    opened: list[str] = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda _self, name, *_: opened.append(str(name)))
    found = read_line_by_line(packed.getvalue(), mappings=parse_policy(POLICY, "test").mappings)
    assert opened == []
    assert [one.line for one in found.wrong] == [None]
    assert "unpacks to over 32 MB" in found.wrong[0].problem


def test_a_workbook_of_more_rows_than_can_be_read_in_time_is_not_read() -> None:
    """Two million empty rows in 40 KB. Fails when they are counted by reading them, which takes half a minute."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"<row/>" * 2_000_000)
    found = read_line_by_line(packed.getvalue(), mappings=parse_policy(POLICY, "test").mappings)
    assert "600,000 tags" in found.wrong[0].problem
    assert "CSV" in found.wrong[0].to_do


@pytest.mark.parametrize("seed", range(60))
def test_a_broken_workbook_is_refused_and_nothing_is_raised(seed: int) -> None:
    """Fails when an error of a library comes through."""
    chance = random.Random(seed)
    mappings: tuple[ColumnMapping, ...] = parse_policy(POLICY, "test").mappings
    data = bytearray(workbook([["Datum", "Betrag", "Zweck"], *[["01.03.2026", 5.5, f"pay_{n}"] for n in range(50)]]))
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(4, len(data))] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(30, len(data)) :]
    found = read_line_by_line(bytes(data), mappings=mappings)
    assert found.wrong or found.lines


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b\x08", b"%PDF-1.7", b"<html>", b"\xff\xfe\x00", b"PK\x03\x04" + b"\0" * 40, b"a,b\n1,2\n", b"\x00"],
)
def test_what_is_no_statement_is_refused_with_something_to_do(data: bytes) -> None:
    found = read(data)
    assert (found.lines, len(found.wrong), found.is_bank) == ((), 1, None)
    assert found.wrong[0].to_do


def test_texts_of_a_file_can_neither_run_nor_hide_and_no_card_number_is_shown() -> None:
    """The number is one that Visa gives for tests."""
    card = "4111" + "1" * 12
    found = read(BANK.replace("Order 7", f"paid by {card}").replace("Shop", "=cmd()").replace("Payer", "\u202eevil"))
    assert [line.text for line in found.lines] == [MASKED, "\ufffdevil Order 8", "\ufffdevil Order 9"]
    bad = read(BANK.replace("5.50,BANK1", f"no {card},BANK1"))
    assert card not in repr(bad)


def test_what_is_shown_is_bounded_and_what_is_summed_is_not() -> None:
    rows = "".join(
        f"line,NL26BANK0001,EUR,2026-03-01,2026-03-02,1.00,BANK{number},,Shop,\n" for number in range(MAX_LINES + 5)
    )
    head, _, _ = BANK.partition("line,")
    found = read(f"{head}{rows}closing,NL26BANK0001,EUR,,,{10 + MAX_LINES + 5}.00,,,,\n")
    assert (found.wrong, len(found.lines), found.line_count) == ((), MAX_LINES, MAX_LINES + 5)
    assert found.sums == (("EUR", MAX_LINES + 5, 100 * (MAX_LINES + 5)),)
    broken = read(f"{head}{rows.replace('1.00', 'x')}closing,NL26BANK0001,EUR,,,10.00,,,,\n")
    assert len(broken.wrong) == MAX_WRONG
    asked = iter([True, True, False])
    assert len(read(f"{head}{rows.replace('1.00', 'x')}", may_go_on=lambda: next(asked)).wrong) == 3


def test_advice_is_chosen_by_the_refusal_and_not_by_what_the_file_says() -> None:
    assert "ISO 4217" in advice_for("'the total date amount' is not an ISO 4217 currency in use")
    assert advice_for("'total'") == AGAIN


def workbook(rows: list[list[object]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
