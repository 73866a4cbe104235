"""Banks' own tables: CSV of any kind, workbooks and QIF, read by a column mapping and proposed by ``propose``.

The tables' forms are those of https://github.com/OCA/bank-statement-import (account_statement_import_sheet_file,
tests/fixtures) and of German and Dutch banks' exports; the values are ours.
"""

from __future__ import annotations

import io
import tomllib
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import Workbook

from payonce.cli.main import main
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers import tables
from payonce.reconciliation.readers.mapping import ColumnMapping
from payonce.reconciliation.readers.propose import propose
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import FileFormat

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.readers.rows import Statement

SPARKASSE = (
    "\ufeffBuchungstag;Valuta;Betrag;Waehrung;Verwendungszweck;Auftraggeber\n"
    '05.11.2026;06.11.2026;"1.077,80";EUR;STRIPE PO_N1AAAAAAAAAA;Stripe Payments Europe\n'
    "05.11.2026;05.11.2026;-7,5;EUR;Entgelt;\n"
).encode()
GERMAN = {
    "account": "DE89370400440532013000",
    "separator": ";",
    "decimal_sign": ",",
    "date_form": "DD.MM.YYYY",
    "columns": {
        "booking_date": "Buchungstag",
        "value_date": "Valuta",
        "amount": "Betrag",
        "currency": "Waehrung",
        "description": ["Verwendungszweck"],
        "counterparty": "Auftraggeber",
    },
}
NOON = datetime(2026, 11, 5, 12)  # noqa: DTZ001 # a workbook's dates have no zone
PLAIN = {"account": "A1", "currency": "EUR", "columns": {"booking_date": "Date", "amount": "Amount"}}


def mapping(document: dict[str, Any], **changes: Any) -> ColumnMapping:
    """Return a mapping with some settings changed, those of columns too."""
    columns = {**document["columns"], **changes.pop("columns", {})}
    return ColumnMapping.model_validate({**document, **changes, "columns": columns})


def only(data: bytes, how: ColumnMapping) -> Statement:
    """Return the one statement of the table."""
    (statement,) = read_file(data, mappings=[how]).statements
    return statement


def amounts(data: bytes, how: ColumnMapping) -> list[int]:
    return [line.amount_minor for line in only(data, how).lines]


def test_a_german_bank_csv() -> None:
    """Fails when separator, decimal comma, thousands, day first or a short fraction are read otherwise."""
    read = read_file(SPARKASSE, mappings=[mapping(GERMAN)])
    assert read.format is FileFormat.MAPPED_BANK_TABLE
    (statement,) = read.statements
    assert (statement.account, statement.currency) == ("DE89370400440532013000", "EUR")
    assert "no balances" in str(statement.unproved)
    first, second = statement.lines
    assert (first.amount_minor, first.booking_date, first.value_date) == (107_780, date(2026, 11, 5), date(2026, 11, 6))
    assert (first.description, first.counterparty) == ("STRIPE PO_N1AAAAAAAAAA", "Stripe Payments Europe")
    assert (second.amount_minor, second.counterparty) == (-750, None)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("YYYY-MM-DD", "2026-11-05T10:00:00"),
        ("YYYYMMDD", "20261105"),
        ("DD/MM/YY", "5/11/26"),
        ("MM/DD/YYYY", "11/05/2026"),
        ("DD MMM YYYY", "05 Nov 2026"),
        ("DD-MMM-YY", "5-november-26"),
    ],
)
def test_forms_of_dates(form: str, text: str) -> None:
    """Fails when a day is taken for a month, or a time behind the date is refused."""
    (line,) = only(f"Date,Amount\n{text},1.00\n".encode(), mapping(PLAIN, date_form=form)).lines
    assert line.booking_date == date(2026, 11, 5)


@pytest.mark.parametrize(
    ("text", "sign", "minor"),
    [
        ("1,234.56", ".", 123_456),
        ("1.234,56", ",", 123_456),
        ("1 234,56", ",", 123_456),
        ("1'234.56", ".", 123_456),
        ("1\u2019234.56", ".", 123_456),
        ("(1.50)", ".", -150),
        ("1.50-", ".", -150),
        ("\u22121.50", ".", -150),
        ("+1.50 EUR", ".", 150),
        ("1234567", ",", 123_456_700),
    ],
)
def test_forms_of_amounts(text: str, sign: str, minor: int) -> None:
    """Fails when thousands, a sign behind the number, brackets or a typographer's minus change the amount."""
    table = f'Date;Amount\n2026-11-05;"{text}"\n'.encode()
    assert amounts(table, mapping(PLAIN, decimal_sign=sign, separator=";")) == [minor]


@pytest.mark.parametrize("text", ["1.23.45", "12,34.56", "1.234", "1,23,456.00", "EUR", "1e3", "--1"])
def test_an_amount_that_could_be_two_is_refused(text: str) -> None:
    """Fails when 1.234 is taken for a thousand, or groups that are none are joined."""
    table = f'Date;Amount\n2026-11-05;"{text}"\n'.encode()
    with pytest.raises(FileRejected, match="line 2, Amount") as caught:
        read_file(table, mappings=[mapping(PLAIN, separator=";")])
    assert (caught.value.line, caught.value.field) == (2, "Amount")


def test_debit_and_credit_in_columns_and_a_word_beside_the_amount() -> None:
    """Fails when a debit adds, whatever its sign, or a word that says neither is passed over."""
    sides = {"booking_date": "Date", "amount": None, "debit": "Debit", "credit": "Credit"}
    table = b"Date,Debit,Credit\n2026-11-05,,20.00\n2026-11-05,33.50,\n2026-11-05,-5.00,0.00\n2026-11-05,,-13.50\n"
    assert amounts(table, mapping(PLAIN, columns=sides)) == [2000, -3350, -500, -1350]
    word = mapping(PLAIN, columns={"direction": "S/H"})
    assert amounts(b"Date,Amount,S/H\n2026-11-05,1.00,H\n2026-11-05,2.00,s\n", word) == [100, -200]
    with pytest.raises(FileRejected, match="line 2, S/H: 'x' is neither debit nor credit"):
        read_file(b"Date,Amount,S/H\n2026-11-05,1.00,X\n", mappings=[word])
    with pytest.raises(FileRejected, match="a debit and a credit"):
        read_file(b"Date,Debit,Credit\n2026-11-05,1.00,2.00\n", mappings=[mapping(PLAIN, columns=sides)])
    assert amounts(b"Date,Amount\n2026-11-05,33.50\n", mapping(PLAIN, sign="reversed")) == [-3350]


@pytest.mark.parametrize("rows", [["1.00,11.00", "-3.00,8.00"], ["-3.00,8.00", "1.00,11.00"]], ids=["oldest", "newest"])
def test_a_running_balance_proves_a_table(rows: list[str]) -> None:
    """Fails when the balances are not looked at, or a table told newest first seems to contradict itself."""
    how = mapping(PLAIN, columns={"balance": "Balance"})
    table = "Date,Amount,Balance\n" + "".join(f"2026-11-05,{row}\n" for row in rows)
    statement = only(table.encode(), how)
    assert (statement.opening_minor, statement.closing_minor, statement.unproved) == (1000, 800, None)
    assert "running balance" in str(only(table.replace("8.00", "8.01").encode(), how).unproved)


def test_rows_above_and_below_the_table_and_a_column_of_accounts() -> None:
    """Fails when a preamble is taken for the header, a total for a line, or two accounts for one."""
    lines = b"A1,2026-11-05,1.00\nA2,2026-11-05,2.00\n,,\nTotal,,3.00\n"
    table = b"My Bank AG\nExport of 2026-11-06\n\nKonto,Date,Amount\n" + lines
    how = mapping(PLAIN, account=None, columns={"account": "Konto"})
    assert [(one.account, one.lines[0].amount_minor) for one in read_file(table, mappings=[how]).statements] == [
        ("A1", 100),
        ("A2", 200),
    ]


def workbook(*rows: list[Any], sheet: str = "Sheet1") -> bytes:
    """Return a workbook of one sheet."""
    book = Workbook()
    assert book.active is not None
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_workbook() -> None:
    """Fails when a date of the sheet is read in the mapping's form, or a binary number in its decimal sign."""
    data = workbook(["Buchungstag", "Betrag"], [NOON, 0.1 + 0.2], [date(2026, 11, 6), -7], ["7.11.2026", "1,50"])
    how = mapping(
        PLAIN, decimal_sign=",", date_form="DD.MM.YYYY", columns={"booking_date": "Buchungstag", "amount": "Betrag"}
    )
    statement = only(data, how)
    assert [(line.booking_date.day, line.amount_minor) for line in statement.lines] == [(5, 30), (6, -700), (7, 150)]
    with pytest.raises(FileRejected, match="no mapping"):
        read_file(data, mappings=[mapping(PLAIN, sheet="Other")])


def test_a_workbook_that_unpacks_to_more_than_it_may_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the size is found out by unpacking it."""
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 10_000)
    stream = io.BytesIO(workbook(["Date", "Amount"]))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b" " * 1_000_000)
    with pytest.raises(FileRejected, match="unpacks to over 10000 bytes"):
        list(tables.sheet_rows(stream.getvalue(), sheet=None))


def test_a_sheet_wider_or_longer_than_it_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a cell far out makes rows of thousands of cells, or a row far down a million of rows."""
    wide = workbook(["Date", "Amount"], [""] * 600 + ["x"])
    with pytest.raises(FileRejected, match="512 columns"):
        list(tables.sheet_rows(wide, sheet=None))
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    with pytest.raises(FileRejected, match="over 2 rows"):
        list(tables.sheet_rows(workbook(["Date"], ["1"], ["2"]), sheet=None))


@pytest.mark.parametrize("broken", [b"PK\x03\x04rest", workbook(["Date"])[:-30]])
def test_a_broken_workbook_is_refused(broken: bytes) -> None:
    with pytest.raises(FileRejected):
        read_file(broken, mappings=[mapping(PLAIN)])


def with_sheet(prolog: str, cell: str) -> bytes:
    """Return a workbook whose sheet begins with ``prolog`` and holds one cell."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(["Date"]))) as original, zipfile.ZipFile(stream, "w") as archive:
        for part in original.namelist():
            if part != "xl/worksheets/sheet1.xml":
                archive.writestr(part, original.read(part))
        names = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        row = f'<row r="1"><c r="A1" t="inlineStr"><is><t>{cell}</t></is></c></row>'
        sheet = f'<worksheet xmlns="{names}"><sheetData>{row}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", f'<?xml version="1.0"?>{prolog}{sheet}')
    return stream.getvalue()


BILLION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(10))


@pytest.mark.parametrize(
    "prolog",
    [f"<!DOCTYPE worksheet [{BILLION}]>", '<!DOCTYPE worksheet [<!ENTITY e9 SYSTEM "file:///etc/passwd">]>'],
    ids=["entities of entities", "another file"],
)
def test_a_sheet_opens_no_other_file_and_does_not_grow(prolog: str) -> None:
    """Fails when entities are replaced without a bound, or by a file of this machine."""
    assert list(tables.sheet_rows(with_sheet("", "Date"), sheet=None)) == [tables.Row(1, ("Date",))]
    with pytest.raises(FileRejected, match="can't be read"):
        list(tables.sheet_rows(with_sheet(prolog, "&e9;"), sheet=None))


QIF = b"!Type:Bank\nD8/12/26\nT-1,000.00\nPDelta PC\nMInvoice 7\nN77\nLOffice\n^\nD8/15/26\nT75.46\n^\n"


def test_qif() -> None:
    """Fails when a category or a split is a text of the line, or a lost end goes unnoticed."""
    columns = {"description": ["Memo"], "counterparty": "Payee", "reference": ["Number"]}
    how = mapping(PLAIN, date_form="MM/DD/YY", columns=columns)
    first, second = only(QIF, how).lines
    assert (first.amount_minor, first.booking_date, first.references) == (-100_000, date(2026, 8, 12), ("77",))
    assert (first.counterparty, first.description, second.amount_minor) == ("Delta PC", "Invoice 7", 7546)
    with pytest.raises(FileRejected, match="line 9: the last entry does not end"):
        read_file(QIF.removesuffix(b"^\n"), mappings=[how])


WRONG: dict[str, dict[str, Any]] = {
    "no account": {"account": None},
    "no currency": {"currency": None},
    "currency": {"currency": "EURO"},
    "date form": {"date_form": "DD.MM"},
    "two amounts": {"columns": {"debit": "Debit"}},
    "separator": {"separator": "::"},
    "encoding": {"encoding": "utf-7"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mapping_that_says_too_little_or_too_much_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        mapping(PLAIN, **WRONG[name])


def test_the_mapping_whose_columns_the_file_has_is_taken() -> None:
    """Fails when the first mapping is forced onto every table, or a format of its own is read by one."""
    how = mapping(GERMAN)
    assert read_file(SPARKASSE, mappings=[mapping(PLAIN), how]).statements[0].account == how.account
    with pytest.raises(FileRejected, match="reconcile map"):
        read_file(SPARKASSE, mappings=[mapping(PLAIN)])
    with pytest.raises(FileRejected, match="Betrag more than once"):
        read_file(
            SPARKASSE.replace(b"Auftraggeber", b"Betrag"), mappings=[mapping(GERMAN, columns={"counterparty": None})]
        )


PROPOSED = {
    "german": SPARKASSE,
    "windows-1252": SPARKASSE.decode("utf-8-sig").replace("Entgelt", "Geb\u00fchr").encode("cp1252"),
    "dutch": b'"Datum","Naam / Omschrijving","Rekening","Af Bij","Bedrag (EUR)","Mededelingen"\n'
    b'"20261105","Shop","NL91ABNA0417164300","Bij","1077,80","STRIPE"\n"20261105","Shop","NL91ABNA0417164300","Af","7,50","Fee"\n',
    "english": b"Date,Label,Paid in,Paid out\n05/11/2026,STRIPE,1077.80,\n30/11/2026,Fee,,7.50\n",
    "workbook": workbook(["Date", "Label", "Amount"], [NOON, "STRIPE", 1077.8], [NOON, "Fee", -7.5]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPOSED)
def test_a_proposal_reads_its_file(name: str) -> None:
    """Fails when separator, encoding, decimal sign, date form or a column is not made out."""
    text = propose(PROPOSED[name], account=None if name == "dutch" else "A1").to_toml()
    how = ColumnMapping.model_validate(tomllib.loads(text))
    assert amounts(PROPOSED[name], how) == [107_780, -750]


def test_what_could_be_read_in_two_ways_is_said() -> None:
    """Fails when a person is not told that days and months can't be told apart."""
    proposal = propose(b"Date,Amount\n05/11/2026,1.00\n", account="A1", currency="EUR")
    assert proposal.doubts == ["The dates could be DD/MM/YYYY or MM/DD/YYYY; state which in date_form."]
    with pytest.raises(FileRejected, match="none names a date"):
        propose(b"a,b\n1,2\n")


def test_the_command_proposes_a_mapping_and_shows_what_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when what is written is no mapping, or the rows are not those of the file."""
    file = tmp_path / "map"
    file.write_bytes(SPARKASSE.replace(b"Entgelt", b"=SUM(A1)"))
    assert main(["reconcile", "map", str(file), "--account", "A1"]) == 0
    out, shown = capsys.readouterr()
    assert amounts(SPARKASSE, ColumnMapping.model_validate(tomllib.loads(out))) == [107_780, -750]
    assert "2026-11-05" in shown
    assert "1077.80 EUR" in shown
    assert "'=SUM(A1)" in shown
    assert "unproved: A1: it states no balances" in shown
    file.write_bytes(b"a,b\n1,2\n")
    assert main(["reconcile", "map", str(file)]) == 2
