"""What does not prove itself is read and says why; the dialects of banks; and one account has one name.

Most layouts were seen in the public samples of tests/data/reconciliation and in the peers that read them:
https://github.com/wolph/mt940, https://github.com/sandermarechal/jejik-mt940, https://github.com/railslove/cmxl.
"""

from __future__ import annotations

from datetime import date

import pytest

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.accounts import canonical_account
from payonce.reconciliation.readers.read import read_file
from tests.unit.reconciliation.files import BAI2, BANK, MT940, OFX, camt, unproved

CONTRADICTION = "lines are missing or were changed"


def message(number: str, outer: str, inner: str) -> bytes:
    """Return the statement of camt.053 as another message."""
    data = camt(version=f"{number}.001.08").replace(b"BkToCstmrStmt", outer.encode())
    return data.replace(b"Stmt>", f"{inner}>".encode())


OWN_CODE = BAI2.replace(b"16,165", b"16,921").replace(b"015,1325", b"040,1325")
INTERIM_MT942 = (
    b":20:S\n:25:NL26BANK0001\n:28C:1/1\n:34F:EURD0,00\n:34F:EURC0,00\n:13D:2603011200+0100\n"
    b":61:2603010301C5,50NTRFX\n:86:SHOP\n:90D:0EUR0,00\n:90C:1EUR5,50\n-\n"
)
UNPROVED = {
    "camt.052": (message("052", "BkToCstmrAcctRpt", "Rpt"), "interim report"),
    "camt.054": (message("054", "BkToCstmrDbtCdtNtfctn", "Ntfctn"), "no balances"),
    "camt closing": (camt(closing="13.26"), CONTRADICTION),
    "camt no opening": (camt().replace(b"OPBD", b"XPCD"), "no opening balance"),
    "camt no closing": (camt().replace(b"CLBD", b"XPCD"), "no closing balance"),
    "camt count": (camt(summary="<TtlNtries><NbOfNtries>3</NbOfNtries></TtlNtries>"), "says 3, there are 2 booked"),
    "camt sum": (camt(summary="<TtlNtries><Sum>7.74</Sum></TtlNtries>"), "TtlNtries/Sum says 774"),
    "camt no date": (
        camt().replace(b"<BookgDt><Dt>2026-03-01</Dt></BookgDt>", b"").replace(
            b"<ValDt><DtTm>2026-03-02T00:30:00+13:00</DtTm></ValDt>", b""
        ).replace(b"<Id>S1</Id>", b"<Id>S1</Id><CreDtTm>2026-03-04T06:00:00+01:00</CreDtTm>"),
        "states no date",
    ),
    "bank closing": (BANK.replace(b"13.25", b"13.20"), CONTRADICTION),
    "mt940 closing": (MT940.replace(b":62F:C260301EUR14,25", b":62F:C260301EUR14,26"), CONTRADICTION),
    "mt940 no closing": (MT940[: MT940.index(b":62F:")], "no closing balance"),
    "mt940 fragment": (MT940[MT940.index(b":25:") :], "there is no :20:"),
    "mt940 stray movement": (MT940 + b":61:260301C1,00NTRFX\r\n:86:STRAY\r\n", "after the closing balance"),
    "mt942": (INTERIM_MT942, "interim report"),
    "mt942 totals": (INTERIM_MT942.replace(b":90C:1EUR5,50", b":90C:2EUR5,50"), ":90C: is not that of its movements"),
    "bai2 closing": (BAI2.replace(b"015,1325", b"015,1326").replace(b"3875", b"3876"), CONTRADICTION),
    "bai2 items": (BAI2.replace(b"550,1,,", b"550,2,,"), "states 2 items"),
    "bai2 loan": (BAI2.replace(b"16,165", b"16,720"), "type code 720 is neither credit nor debit"),
    "bai2 own code": (OWN_CODE, "code 921 is the bank's own"),
    "ofx": (OFX, "no opening balance"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNPROVED)
def test_what_does_not_prove_itself_is_read_and_says_why(name: str) -> None:
    """Fails when such a file is refused, or handed out as if it were proved; strictly read, it is refused."""
    data, why = UNPROVED[name]
    assert why in unproved(data)
    assert any(statement.lines for statement in read_file(data).statements)
    with pytest.raises(FileRejected, match="does not prove itself"):
        read_file(data, strict=True)


@pytest.mark.parametrize("data", [MT940, BAI2, BANK, camt()], ids=["mt940", "bai2", "bank", "camt"])
def test_what_proves_itself_is_read_strictly(data: bytes) -> None:
    assert [statement.unproved for statement in read_file(data, strict=True).statements] == [None]


def plain(*, header: str = "", movement: str = "2803060306C100,00NTRFNONREF", end: str = "-\n") -> bytes:
    """Return a statement of one line of 100.00 EUR, which its balances prove."""
    return (
        f"{header}:20:REF1\n:25:NL26BANK0001\n:28C:61/1\n:60F:C280305EUR1000,00\n:61:{movement}\n:86:SHOP\n"
        f":62F:C280306EUR1100,00\n{end}"
    ).encode()


DIALECTS = {
    "ABN AMRO's heading": plain(header="ABNANL2A\n940\nABNANL2A\n"),
    "ING's heading and ending": plain(header="0000 01INGBNL2AXXXX00001\n940 00\n", end="-XXX\n"),
    "Rabobank's heading": plain(header=":940:\n"),
    "Handelsbanken's braces": plain(header="\u00e44:\n", end="-\u00e5\n"),
    "an envelope in lines of its own": plain(header="{1:F01INGBNL2AXXXX00001}\n{2:I940X}\n{4:\n", end="-}\n"),
    "an envelope in one line": plain(header="{1:F01ASNBNL21XXXX0000000000}{2:O940X}{3:}{4:\n", end="-}{5:}\n"),
    "SOH and ETX": plain(header="\x01\n", end="-\x03\n"),
    "Ctrl-Z at the end": plain(end="-\n\x1a"),
    "blank lines first": plain(header="\n\n"),
    "ASN's blank entry date": plain(movement="280306    C100,00NTRFNONREF"),
    "no entry date": plain(movement="280306C100,00NTRFNONREF"),
    "ING's type of two letters": plain(movement="280306C100,00NOV NONREF"),
    "Sberbank's type of one letter": plain(movement="2803060306CR100,00S   X"),
    "Commerzbank's blank before the type": plain(movement="2803060306C100,00 NTRFKREF+//123"),
    "Knab's amount without a comma": plain(movement="2803060306C100NTRFNONREF"),
    "an amount with a point": plain(movement="2803060306C100.00NTRFNONREF"),
    "Citi's funds code": plain(movement="280306    CD100,00NMSCNONREF//"),
    "a debit's reversal": plain(movement="2803060306RDR100,00NTRFNONREF"),
    "an expected movement beside it": plain(movement="2803060306C100,00NTRFNONREF\n:61:280307EC5,00NTRFLATER"),
    "a movement wrapped before its amount": plain(movement="2803060306CR\n100,00NTRFNONREF"),
    "an available balance of OLB's": plain().replace(b"-\n", b":65F:Dnullnull7414,3\n-\n"),
    "a dash alone in the text": plain().replace(b"SHOP\n", b"SHOP\n-\nwent on, here\n"),
    "MT950, which has no texts": plain().replace(b":86:SHOP\n", b""),
    "UTF-16": plain().decode().encode("utf-16"),
    "MS-DOS lines": plain().replace(b"\n", b"\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_of_mt940(name: str) -> None:
    """Fails when a bank's way to write the same statement is refused, or read as another one."""
    (statement,) = read_file(DIALECTS[name], strict=True).statements
    assert (statement.account, statement.currency) == ("NL26BANK0001", "EUR")
    assert (statement.opening_minor, statement.closing_minor, statement.sequence) == (100_000, 110_000, 61)
    (line,) = statement.lines
    assert (line.amount_minor, line.value_date, line.booking_date) == (10_000, date(2028, 3, 6), date(2028, 3, 6))


BAI2_FILE = (
    "01,SND,RCV,280306,0600,1,,,{version}/\n02,RCV,SND,1,{as_of},,USD,2/\n03,123,USD,010,0,,,015,10000,,,/\n{details}\n"
    "49,20000,{account}/\n98,20000,1,{group}/\n99,20000,1,{file}/\n"
)


def bai2(details: str, *, version: int = 2, as_of: str = "280306") -> bytes:
    """Return a file whose details have to make 100.00."""
    count = details.count("\n") + 1
    counts = {"account": count + 2, "group": count + 4, "file": count + 6}
    return BAI2_FILE.format(details=details, version=version, as_of=as_of, **counts).encode()


@pytest.mark.parametrize(
    "data",
    [
        bai2("16,175,10000,,B1,C1,SHOP/"),
        bai2("16,175,10000,,B1,C1,SHOP/", version=3),
        bai2("16,175,10000,,B1,C1,SHOP/", version=3, as_of="20280306"),
        bai2("16,175,10000,,B1,C1,SHOP/\n16,890,,,,,NON MONETARY NOTE/"),
        bai2("16,921,10000,,B1,C1,BANK OWN CODE/"),
        bai2("16,175,10000,,B1,C1,SHOP/").replace(b"/\n03", b"/   03"),
        bai2("16,175,10000,,B1,C1,SHOP").replace(b"SHOP\n", b"SHOP\nand more, wrapped/\n"),
    ],
    ids=["version 2", "version 3", "eight digits", "note 890", "own code 921", "two records a line", "wrapped text"],
)
def test_dialects_of_bai2(data: bytes) -> None:
    """Fails when a note counts as money, or a bank's own credit (920 to 959) as a debit or as nothing.

    Source: BAI, Cash Management Balance Reporting Specifications, version 2, appendix A; ANSI X9.121 (BTR3).
    """
    (statement,) = read_file(data, strict=True).statements
    assert [line.amount_minor for line in statement.lines] == [10_000]
    assert statement.last_day == date(2028, 3, 6)


def test_an_account_of_two_currencies_is_a_statement_each() -> None:
    """Fails when entries of a second currency are refused, added to the first, or held against its balances."""
    both = camt().replace(b'Ccy="EUR">2.25', b'Ccy="USD">2.25').replace(b'"EUR">13.25', b'"EUR">15.50')
    euros, dollars = read_file(both).statements
    assert [(one.currency, [line.amount_minor for line in one.lines]) for one in (euros, dollars)] == [
        ("EUR", [550]),
        ("USD", [-225]),
    ]
    assert "no balances" in str(dollars.unproved)
    balanced = both.replace(
        b"<TxsSummry>",
        b'<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">3.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'
        b'<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">0.75</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'
        b"<TxsSummry>",
        1,
    )
    assert (read_file(balanced).statements[1].opening_minor, read_file(balanced).statements[1].closing_minor) == (
        300,
        75,
    )


def test_camt_in_a_business_envelope() -> None:
    """Fails when the header beside the message is taken for it (ISO 20022, Business Application Header, head.001)."""
    declaration, _, document = camt().decode().partition("\n")
    header = '<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.03"><Fr><FIId>X</FIId></Fr></AppHdr>'
    data = f"{declaration}<BizMsgEnvlp>{header}{document}</BizMsgEnvlp>".encode()
    assert [line.amount_minor for line in read_file(data, strict=True).statements[0].lines] == [550, -225]


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252", "iso-8859-15"])
def test_camt_in_another_encoding_than_utf_8(encoding: str) -> None:
    """Fails when the encoding that the message states is not the one it is read in."""
    text = camt().decode().replace('encoding="UTF-8"', f'encoding="{encoding}"').replace("Jane", "J\u00e4ne")
    (statement,) = read_file(text.encode(encoding), strict=True).statements
    assert statement.lines[0].counterparty == "J\u00e4ne"


def test_ofx() -> None:
    """Fails when a leaf without an end tag, a decimal comma, an entity or the day of another zone is read otherwise."""
    (statement,) = read_file(OFX).statements
    assert (statement.account, statement.written_account) == ("DE73100200300001234567", "10020030/1234567")
    assert (statement.closing_minor, statement.last_day) == (1325, date(2026, 3, 2))
    credit, debit = statement.lines
    assert (credit.amount_minor, credit.booking_date, credit.references) == (550, date(2026, 3, 1), ("F1",))
    assert (credit.counterparty, credit.description) == ("M\u00fcller & Co", "M\u00fcller & Co pay_1")
    assert (debit.amount_minor, debit.references) == (-225, ("77", "F2"))
    closed = OFX.replace(b"<CURDEF>EUR", b"<CURDEF>EUR</CURDEF>").replace(
        b"<NAME>Cheque", b"<NAME><![CDATA[Cheque]]></NAME>"
    )
    assert read_file(closed).statements[0].lines == statement.lines


ACCOUNTS = [
    ("NL91ABNA0417164300", "EUR", None, "NL91ABNA0417164300"),
    ("NL91 ABNA 0417 1643 00", "EUR", None, "NL91ABNA0417164300"),
    ("nl91abna0417164300 EUR", "EUR", None, "NL91ABNA0417164300"),
    ("NL91ABNA0417164300EUR", "EUR", None, "NL91ABNA0417164300"),
    ("IBAN NL91ABNA0417164300", "EUR", None, "NL91ABNA0417164300"),
    ("ABNANL2A/NL91ABNA0417164300", "EUR", None, "NL91ABNA0417164300"),
    ("NL91ABNA0417164300/EUR", "EUR", None, "NL91ABNA0417164300"),
    ("ABNA0417164300EUR", "EUR", None, "NL91ABNA0417164300"),
    ("417164300", "EUR", "ABNANL2A", "NL91ABNA0417164300"),
    ("41.71.64.300EUR", "EUR", "ABNANL2AXXX", "NL91ABNA0417164300"),
    ("NL26BANK0001EUR", "EUR", None, "NL26BANK0001"),
    ("37040044/532013000", "EUR", None, "DE89370400440532013000"),
    ("37040044/0532013000EUR", "EUR", None, "DE89370400440532013000"),
    ("1291.99.348EUR", "EUR", None, "129199348"),
    ("1291.99.348", "EUR", None, "129199348"),
    ("UBRTHUHB/123456789150ABCDEF002/HUF", "HUF", None, "123456789150ABCDEF002"),
    ("123456789", "USD", "CHASUS33", "123456789"),
    ("ACCOUNT-EUR", "EUR", None, "ACCOUNT-EUR"),
]


@pytest.mark.parametrize(("written", "currency", "bank", "account"), ACCOUNTS)
def test_one_account_has_one_name(written: str, currency: str, bank: str | None, account: str) -> None:
    """Fails when a way to write an account makes it another one. The IBANs are the examples of the IBAN Registry."""
    assert canonical_account(written, currency, bank_code=bank) == account
    assert canonical_account(account, currency) == account


def test_the_bank_in_the_heading_makes_a_number_an_iban() -> None:
    """Fails when ABN AMRO's MT940, which names the bank and ten digits, is another account than its camt."""
    data = plain(header="ABNANL2A\n940\nABNANL2A\n").replace(b":25:NL26BANK0001", b":25:417164300")
    (statement,) = read_file(data).statements
    assert (statement.account, statement.written_account) == ("NL91ABNA0417164300", "417164300")


def test_an_encoding_that_nobody_knows_costs_accents_alone() -> None:
    """Fails when a codec's own error gets through, or a file names the codec that it is decoded by."""
    for name in (b"punycode", b"\xff\xfe", b"base64", b"NONE"):
        (statement,) = read_file(OFX.replace(b"CHARSET:1252", b'CHARSET:encoding="' + name + b'"')).statements
        assert [line.amount_minor for line in statement.lines] == [550, -225]
