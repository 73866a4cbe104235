"""Every format: what a valid file becomes, and that each thing wrong with one is refused by line and field."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from payonce.domain.errors import FileRejected
from payonce.domain.problems import problem_of
from payonce.reconciliation.readers import csv_table, limits, read
from payonce.reconciliation.readers.camt_xml import CHUNK_BYTES
from payonce.reconciliation.readers.ledger_csv import read_ledger_csv
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import FileFormat, RowKind
from payonce.reconciliation.readers.values import neutralised
from tests.unit.reconciliation.files import ADYEN, BAI2, BANK, GENERIC, MT940, OFX, STRIPE, VALID, camt, unproved


def at_ms(*parts: int) -> int:
    """Return epoch milliseconds of a UTC date and time."""
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc, arg-type]


def refused(data: bytes) -> FileRejected:
    """Return the error that reading raises."""
    with pytest.raises(FileRejected) as caught:
        read_file(data)
    return caught.value


def test_stripe() -> None:
    """Fails when an exponent, a time or the payonce reference is read otherwise."""
    found = read_file(STRIPE)
    assert found.format is FileFormat.STRIPE_CSV
    charge, refund, yen = found.gateway_rows
    assert (charge.amount_minor, charge.fee_minor, charge.net_minor, charge.currency) == (10000, 175, 9825, "EUR")
    assert (charge.reference, charge.gateway_payment_id, charge.payout_id) == ("pay_1", "pi_1", "po_1")
    assert (charge.created_at_ms, charge.row_number) == (at_ms(2026, 3, 1, 9, 30), 2)
    assert (refund.kind, refund.reference, refund.net_minor) == (RowKind.REFUND, "ref_1", -4000)
    assert (yen.amount_minor, yen.net_minor) == (5000, 4820)


def test_adyen() -> None:
    """Fails when a side loses its sign, a zone its offset, or a converted payment its presented amount."""
    settled, converted, refund, fee, payout = read_file(ADYEN).gateway_rows
    assert (settled.amount_minor, settled.fee_minor, settled.net_minor) == (10000, 175, 9825)
    assert settled.created_at_ms == at_ms(2026, 3, 1, 9, 30)
    assert (converted.amount_minor, converted.fee_minor, converted.currency) == (4500, 100, "EUR")
    assert (converted.presented_minor, converted.presented_currency) == (5000, "USD")
    assert converted.created_at_ms == at_ms(2026, 6, 1, 8, 30)
    assert (refund.kind, refund.amount_minor) == (RowKind.REFUND, -4000)
    assert (fee.kind, fee.net_minor, payout.kind, payout.net_minor) == (RowKind.FEE, -225, RowKind.PAYOUT, -10000)


def test_generic_gateway_and_bank() -> None:
    charge, refund = read_file(GENERIC).gateway_rows
    assert charge.created_at_ms == at_ms(2026, 3, 1, 9, 30)
    assert (refund.available_at_ms, refund.payout_id, refund.amount_minor) == (None, None, -4000)
    assert charge.gateway_payment_id is None
    (statement,) = read_file(BANK).statements
    assert (statement.opening_minor, statement.closing_minor) == (1000, 1325)
    assert [line.amount_minor for line in statement.lines] == [550, -225]
    assert statement.lines[0].references == ("E1", "R1")


def test_generic_gateway_names_the_payment_where_it_has_the_column() -> None:
    """Fails when the optional column is not read, or an empty cell of it is taken for a name."""
    first, *rest = GENERIC.splitlines()
    cells = (b",gateway_payment_id", b",ch_1", b",", b",")
    wider = b"\n".join(line + cell for line, cell in zip((first, *rest), cells, strict=True))
    assert [row.gateway_payment_id for row in read_file(wider).gateway_rows] == ["ch_1", None]


def test_mt940() -> None:
    """Fails when RC adds, 30 February raises, or an end-to-end id is cut or run on."""
    (statement,) = read_file(MT940).statements
    assert (statement.account, statement.opening_minor, statement.closing_minor) == ("NL26BANK0001", 1000, 1425)
    first, second = statement.lines
    assert (first.amount_minor, first.end_to_end_id, first.counterparty) == (550, "pay_1", "SHOP LTD")
    assert first.references == ("pay_1", "REF1", "BANK1")
    assert (second.amount_minor, second.value_date, second.booking_date) == (-125, date(2026, 2, 28), date(2026, 3, 1))
    assert (second.end_to_end_id, second.counterparty) == ("ref_1", "Jane")


def test_bai2() -> None:
    """Fails when a continuation, a funds type or a type code's direction is read otherwise."""
    (statement,) = read_file(BAI2).statements
    assert (statement.currency, statement.opening_minor, statement.closing_minor) == ("EUR", 1000, 1325)
    credit, debit = statement.lines
    assert (credit.amount_minor, credit.value_date, credit.references) == (550, date(2026, 3, 1), ("pay_1", "BANK1"))
    assert (credit.description, credit.booking_date) == ("ACH, IN", date(2026, 2, 28))
    assert (debit.amount_minor, debit.description) == (-225, "CHEQUE")


@pytest.mark.parametrize("version", [f"053.001.{number:02}" for number in range(2, 14)])
def test_camt_of_every_version(version: str) -> None:
    """Fails when a pending entry counts, or a value date moves with its offset."""
    (statement,) = read_file(camt(version=version)).statements
    assert (statement.opening_minor, statement.closing_minor) == (1000, 1325)
    assert [line.amount_minor for line in statement.lines] == [550, -225]
    assert statement.lines[0].value_date == date(2026, 3, 2)
    assert (statement.lines[0].end_to_end_id, statement.lines[0].counterparty) == ("pay_1", "Jane")


ENTITIES = '<!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE Document SYSTEM "file:///etc/passwd">'
BROKEN = {
    "empty": (b" \n", None, None, "empty"),
    "gzip": (gzip.compress(STRIPE), None, None, "gzip"),
    "zip": (b"PK\x03\x04rest", None, None, "ZIP"),
    "unknown": (b"a,b\n1,2\n", 1, None, "not known"),
    "other xml": (b"<html/>", None, None, "not camt"),
    "entities": (camt(prolog=ENTITIES), 2, None, "document type"),
    "external entity": (camt(prolog=EXTERNAL), 2, None, "document type"),
    "deep xml": (camt(extra="<X>" * 40 + "</X>" * 40), 3, None, "deeper"),
    "long xml text": (camt(extra="<X>" + "a" * 10_001 + "</X>"), 3, "X", "longer"),
    "cut xml": (camt()[:-20], 3, None, "well-formed"),
    "camt version 14": (camt(version="053.001.14"), 2, None, "version 01 to 13"),
    "camt decimals": (camt().replace(b"5.500", b"5.501"), 2, "Ntry/Amt", "more decimals"),
    "camt direction": (camt().replace(b"DBIT", b"SIDE"), 3, "Ntry/CdtDbtInd", "SIDE"),
    "camt status": (camt().replace(b"PDNG", b"HUH"), 3, "Ntry/Sts", "HUH"),
    "stripe net": (STRIPE.replace(b"98.25", b"98.26"), 2, "net", "gross less fee"),
    "stripe twice": (STRIPE.replace(b"txn_2", b"txn_1"), 3, "balance_transaction_id", "line 2 too"),
    "stripe currency": (STRIPE.replace(b"jpy", b"xxx"), 4, "currency", "ISO 4217"),
    "stripe yen decimals": (STRIPE.replace(b"5000,", b"5000.5,"), 4, "gross", "more decimals"),
    "stripe float": (STRIPE.replace(b"100.00,", b"1e2,"), 2, "gross", "not an amount"),
    "stripe time": (STRIPE.replace(b"2026-03-01 09:30:00", b"2026-02-30 09:30:00"), 2, "created_utc", "not a date"),
    "stripe local time only": (
        STRIPE.replace(b"created_utc", b"created"),
        2,
        "created",
        "or give the zone",
    ),
    "stripe no time": (STRIPE.replace(b"created_utc", b"made"), 2, "created_utc", "empty"),
    "csv width": (STRIPE.replace(b"pi_1,pay_1,\n", b"pi_1\n"), 2, None, "the header has 12"),
    "csv encoding": (STRIPE.replace(b"pay_2", b"p\xff"), 4, None, "not UTF-8"),
    "csv twice": (STRIPE.replace(b"payment_intent_id", b"net"), 1, None, "more than once"),
    "csv quote": (STRIPE.replace(b"txn_2", b'"txn_2'), 3, None, "not CSV"),
    "csv line": (STRIPE.replace(b"pay_2", b"p" * 40_000), 4, None, "longer"),
    "adyen sides": (ADYEN.replace(b",,98.25", b",1.00,98.25"), 2, "Net Debit (NC)", "both"),
    "adyen zone": (ADYEN.replace(b",CEST,", b",IST,"), 3, "TimeZone", "one offset"),
    "adyen rate": (ADYEN.replace(b"50.00,0.9,", b"50.00,1e,"), 3, "Exchange Rate", "not a rate"),
    "adyen fees": (ADYEN.replace(b"0.25,0.50", b"0.25,0.51"), 2, "Net Credit (NC)", "less fees"),
    "adyen batch": (ADYEN.replace(b"EUR,2.25", b"EUR,2.24"), 6, "Net Debit (NC)", "net to zero"),
    "generic no total": (GENERIC[: GENERIC.index(b"total")], None, None, "lost its end"),
    "generic total": (GENERIC.replace(b"58.25", b"58.26").replace(b"60.00", b"60.01"), 4, "amount", "total says"),
    "generic zone": (GENERIC.replace(b"10:00:00Z", b"10:00:00"), 3, "created_at", "offset"),
    "generic kind": (GENERIC.replace(b"refund,", b"void,"), 3, "kind", "void"),
    "generic after total": (GENERIC + b"total,2,,60.00,1.75,58.25,EUR,,,\n", 5, "kind", "after the total"),
    "bank no closing": (BANK[: BANK.index(b"closing")], 2, None, "lost its end"),
    "bank account": (BANK.replace(b"line,NL1,EUR,2026-03-01,,", b"line,NL2,EUR,2026-03-01,,"), 4, "account", "NL1"),
    "mt940 currency": (MT940.replace(b":62F:C260301EUR", b":62F:C260301USD"), 10, ":62F:", "USD"),
    "mt940 amount": (MT940.replace(b"C5,50N", b"C5.500N"), 5, ":61:", "not a movement"),
    "mt940 date": (MT940.replace(b"2603010301C", b"2613010301C"), 5, ":61: value date", "YYMMDD"),
    "bai2 account total": (BAI2.replace(b"49,3875", b"49,3876"), 7, "49 control total", "3876"),
    "bai2 account records": (BAI2.replace(b"3875,5/", b"3875,6/"), 7, "49 number of records", "it says 6"),
    "bai2 group total": (BAI2.replace(b"98,3875", b"98,1"), 8, "98 control total", "it says 1"),
    "bai2 group accounts": (BAI2.replace(b"98,3875,1", b"98,3875,2"), 8, "98 number of members", "it says 2"),
    "bai2 file records": (BAI2.replace(b"1,9/", b"1,8/"), 9, "99 number of records", "it says 8"),
    "bai2 no trailer": (BAI2[: BAI2.index(b"99,")], 9, None, "the file ends"),
    "bai2 test group": (BAI2.replace(b"BANK,1,", b"BANK,4,"), 2, "02 status", "not read"),
    "bai2 type code": (BAI2.replace(b"16,165", b"16,16"), 5, "16 type code", "three digits"),
    "bai2 no amount": (BAI2.replace(b"16,165,550", b"16,165,"), 5, "16 amount", "no amount"),
    "mt940 no money": (b":20:S\n:25:NL1\n", 1, None, "no movement"),
    "mt940 no currency": (b":20:S\n:25:NL1\n:61:2601021231C2,00NTRFX\n", 3, ":61:", "currency"),
    "mt940 header": (MT940.replace(b":60F:", b"strange, line\r\n:60F:"), 4, None, "not a field of MT940 after :28C:"),
    "ofx cut": (OFX[: OFX.index(b"</STMTRS>")], 12, None, "lost its end"),
    "ofx cdata": (OFX.replace(b"<NAME>Cheque", b"<NAME><![CDATA[Cheque"), 19, None, "CDATA section does not end"),
    "ofx date": (OFX.replace(b"<DTPOSTED>20260301120000", b"<DTPOSTED>1 March"), 17, "STMTTRN/DTPOSTED", "YYYYMMDD"),
    "ofx amount": (OFX.replace(b"<TRNAMT>5.50", b"<TRNAMT>$5.50"), 17, "STMTTRN/TRNAMT", "not an amount"),
    "qif without a mapping": (b"!Type:Bank\nD1/2/26\nT5.50\n^\n", 1, None, "reconcile map"),
    "bai2 funds": (BAI2.replace(b"550,V,", b"550,Q,"), 5, "16 funds type", "funds type"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_by_line_and_field(name: str) -> None:
    """Fails when a check is removed, or an error loses where it is."""
    data, line, field, words = BROKEN[name]
    error = refused(data)
    assert words in error.detail
    assert error.line == line
    if field is not None:
        assert error.field == field
    assert problem_of(error).slug == "file-rejected"


def test_a_file_has_the_same_id_whatever_it_is_read_from() -> None:
    assert read_file(STRIPE).file_id == read_file(io.BytesIO(STRIPE)).file_id
    assert read_file(STRIPE).file_id != read_file(STRIPE + b"\n").file_id


def test_a_stream_is_not_read_beyond_the_limit() -> None:
    """Fails when a stream is read to its end before its size is looked at."""
    stream = io.BytesIO(STRIPE * 100)
    with pytest.raises(FileRejected, match="over 500 bytes"):
        read_file(stream, max_bytes=500)
    assert stream.tell() == 501


def test_more_rows_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.MAX_ROWS == csv_table.MAX_ROWS
    monkeypatch.setattr(csv_table, "MAX_ROWS", 2)
    assert "more than 2 rows" in refused(STRIPE).detail


def test_the_last_row_decides_and_nothing_is_half_loaded() -> None:
    """Fails when a reader hands out rows before the whole file passed."""
    rows = b"".join(b"txn_%d,2026-03-01 09:30:00,2026-03-03 00:00:00,eur,1,0,1,charge,po,,,\n" % n for n in range(99))
    header = STRIPE.split(b"\n")[0] + b"\n"
    assert len(read_file(header + rows).gateway_rows) == 99
    assert refused(header + rows + b"torn,2026-03").line == 101


def test_a_camt_larger_than_a_chunk() -> None:
    """Fails when an entry that lies across two chunks is lost."""
    data = camt(extra="".join(f"<X>{'a' * 900}</X>" for _ in range(200)))
    assert len(data) > 2 * CHUNK_BYTES
    assert len(read_file(data).statements[0].lines) == 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "＝1"])
def test_formulas_are_neutralised(text: str) -> None:
    """Fails when a start that spreadsheets take for a formula is passed on."""
    assert neutralised(text) == "'" + text


def test_other_texts_are_shown_as_they_are() -> None:
    assert [neutralised(text) for text in ("", "Order 7", "a=b")] == ["", "Order 7", "a=b"]


def test_every_format_has_a_reader_and_a_file_here() -> None:
    """Fails when a format of the list is not read, or is not among those that the tests here change and break."""
    mapped = {FileFormat.MAPPED_BANK_TABLE}
    assert {*read.GATEWAY_READERS, *read.BANK_READERS} | mapped == set(FileFormat)
    assert {read_file(data).format for data in VALID.values()} | mapped == set(FileFormat)


def test_the_documented_examples_are_read() -> None:
    """Fails when docs/reconciliation-files.md shows a file that is refused."""
    text = (Path(__file__).parents[3] / "docs" / "reconciliation-files.md").read_text()
    examples = [block.split("```")[0].encode() for block in text.split("```csv\n")[1:]]
    *reports, ledger = examples
    assert [read_file(example).format for example in reports] == [
        FileFormat.GENERIC_GATEWAY_CSV,
        FileFormat.GENERIC_BANK_CSV,
    ]
    assert [row.amount_minor for row in read_ledger_csv(io.BytesIO(ledger))] == [10050, -50]


PAGE_ONE = b":20:S\n:25:A\n:28C:1/1\n:60F:C251231EUR1,00\n:61:2601021231C2,00NTRFX\n:62M:C251231EUR3,00\n"
PAGE_TWO = b":20:S\n:25:A\n:28C:1/2\n:60M:C251231EUR3,00\n:61:251231C1,00NTRFY\n:62F:C251231EUR4,00\n"


def test_pages_of_mt940_are_one_statement() -> None:
    """Fails when pages that go on from each other stay apart, or one is joined to another account or balance.

    SWIFT, Standards MT category 9, MT940: option M of fields 60a and 62a is the balance that one page carries over to
    the next; all pages have the number of the statement in field 28C.
    """
    (whole,) = read_file(PAGE_ONE + PAGE_TWO).statements
    assert (whole.opening_minor, whole.closing_minor) == (100, 400)
    assert [line.amount_minor for line in whole.lines] == [200, 100]
    assert whole.unproved is None
    other = PAGE_TWO.replace(b"C251231EUR3,00", b"C251231EUR2,00").replace(b"EUR4,00", b"EUR3,00")
    for after in (other, PAGE_TWO.replace(b":25:A", b":25:B")):
        first, second = read_file(PAGE_ONE + after).statements
        assert "next page is missing" in (first.unproved or "")
        assert "page before is missing" in (second.unproved or "")
    assert "next page is missing" in unproved(PAGE_TWO.replace(b"62F", b"62M") + PAGE_ONE.replace(b"62M", b"62F"))
    assert "next page is missing" in unproved(PAGE_ONE)
    assert "page before is missing" in unproved(PAGE_TWO)


def test_an_entry_date_belongs_to_the_year_next_to_its_value_date() -> None:
    """Fails when 31 December of a value date in January lands a year late."""
    line = read_file(PAGE_ONE + PAGE_TWO).statements[0].lines[0]
    assert (line.value_date, line.booking_date) == (date(2026, 1, 2), date(2025, 12, 31))


def test_a_page_of_camt_is_proved_by_its_interim_balances() -> None:
    """Fails when ITBD is not taken as opening and closing."""
    page = camt().replace(b"OPBD", b"ITBD").replace(b"CLBD", b"ITBD")
    (statement,) = read_file(page).statements
    assert (statement.opening_minor, statement.closing_minor) == (1000, 1325)
    assert statement.unproved is None
    assert "lines are missing" in unproved(page.replace(b"13.25", b"13.24"))


def test_a_swift_envelope_is_taken_off() -> None:
    framed = b"{1:F01BANKDEFFXXXX0000000000}{2:O9400000}{4:\r\n" + MT940.removesuffix(b"-\r\n") + b"-}{5:{CHK:1}}\r\n"
    assert read_file(framed).statements == tuple(
        replace(
            statement,
            lines=tuple(replace(line, row_number=line.row_number + 1) for line in statement.lines),
        )
        for statement in read_file(MT940).statements
    )


@pytest.mark.timeout(200)  # copying would take hours
def test_many_continuations_take_linear_time() -> None:
    """Fails (by the time limit) when each continuation copies the record it continues."""
    many = 200_000
    text = BAI2.replace(b"ACH, IN/\n", b"ACH, IN/\n" + b"88,x/\n" * many)
    for before, records in ((b"3875,5/", 5), (b"3875,1,7/", 7), (b"3875,1,9/", 9)):
        text = text.replace(before, before.replace(b"%d/" % records, b"%d/" % (records + many)))
    assert len(read_file(text).statements[0].lines) == 2


def test_a_word_that_is_not_known_is_an_adjustment_and_said() -> None:
    """https://docs.stripe.com/reports/reporting-categories grows. Fails when a new word loses the file, or silently."""
    stripe = read_file(STRIPE.replace(b",refund,", b",novel,"))
    assert (stripe.gateway_rows[1].kind, stripe.gateway_rows[1].category) == (RowKind.ADJUSTMENT, "novel")
    assert stripe.notices == ("'novel' is no known type of movement: 1 row read as adjustment",)
    adyen = read_file(ADYEN.replace(b",Refunded,", b",Odd,"))
    assert adyen.gateway_rows[2].kind is RowKind.ADJUSTMENT
    assert adyen.notices == ("'Odd' is no known type of movement: 1 row read as adjustment",)
    assert read_file(STRIPE).notices == ()


def test_times_without_a_zone_are_read_in_the_one_that_is_given() -> None:
    """Fails when a zone is guessed, or the given one moves times that say theirs."""
    zone = ZoneInfo("Asia/Kolkata")
    local = read_file(STRIPE.replace(b"created_utc", b"created"), zone=zone).gateway_rows[0]
    assert local.created_at_ms == read_file(STRIPE).gateway_rows[0].created_at_ms - 19_800_000
    named = read_file(ADYEN.replace(b",CEST,", b",IST,"), zone=zone).gateway_rows[1]
    assert named.created_at_ms == read_file(ADYEN).gateway_rows[1].created_at_ms + 7_200_000 - 19_800_000
    assert read_file(ADYEN, zone=zone).gateway_rows == read_file(ADYEN).gateway_rows


@pytest.mark.parametrize("zone", ["HKT", "MST", "KST"])
def test_abbreviations_of_one_offset_are_read(zone: str) -> None:
    """Fails when an abbreviation that only one zone has is refused."""
    assert read_file(ADYEN.replace(b",CEST,", f",{zone},".encode())).gateway_rows


def test_adyen_rows_have_ids_of_their_own() -> None:
    """A reversal shares its reference with what it reverses, and fees of every batch have one text.

    https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report. Fails when
    two rows are taken for one transaction with two contents.
    """
    row = b"Co,Shop,PSP1,pay_1,visa,2026-03-02 10:30:00,UTC,Refunded,MOD3,EUR,40.00,,1,EUR,40.00,,,,,,4\n"
    back = row.replace(b"Refunded", b"RefundedReversed").replace(b",40.00,,", b",,40.00,")
    fee = b"Co,Shop,,,,2026-03-02 11:00:00,UTC,Fee,Transaction Fees,,,,,EUR,2.25,,,,,,4\n"
    rows = read_file(ADYEN[: ADYEN.index(b"Co,Shop,,")] + back + fee + fee + fee.replace(b",4\n", b",5\n")).gateway_rows
    assert len({one.transaction_id for one in rows}) == len(rows) == 7


def test_blank_lines_semicolons_and_rows_without_their_empty_end() -> None:
    """A spreadsheet saves semicolons, and Adyen leaves empty cells away. Fails when one of them loses the file."""
    assert read_file(b"\n\n" + STRIPE).gateway_rows[0].row_number == 4
    assert len(read_file(STRIPE.replace(b",", b";")).gateway_rows) == 3
    unpaid = ADYEN[: ADYEN.index(b"Co,Shop,,,,2026-03-02 12")]
    short = unpaid.replace(b"EUR,2.25,,,,,,4\n", b"EUR,2.25\n")
    assert read_file(short).gateway_rows[3].net_minor == -225
