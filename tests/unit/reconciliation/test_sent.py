"""What was sent, where a bank's entry states it: in camt's elements, MT940's code words, and the words of banks.

The code words are those of SWIFT's MT940, :61: subfield 9 (https://www2.swift.com/knowledgecentre/publications/us9m_20230720).
The elements are those of camt.053 (https://www.iso20022.org/iso-20022-message-definitions).
"""

from __future__ import annotations

from datetime import date

import pytest

from payonce.reconciliation.readers.camt import read_camt
from payonce.reconciliation.readers.rows import StatementLine
from payonce.reconciliation.readers.sent import sent_of

TEXTS: dict[str, tuple[int, str, tuple[int, str] | None]] = {
    "the original amount": (9200, "/OCMT/USD100,00/", (10000, "USD")),
    "charges": (9800, "/CHGS/EUR2,00/", (10000, "EUR")),
    "both": (9000, "/OCMT/USD100,00//CHGS/EUR2,00/", (10000, "USD")),
    "less charges": (9800, "STRIPE LESS CHARGES EUR 2.00 OF EUR 100.00", (10000, "EUR")),
    "in German": (9800, "Auszahlung Spesen: EUR 2,00", (10000, "EUR")),
    "a rate that explains it": (22203, "STRIPE JPY 36280 RATE 163.4", (36280, "JPY")),
    "a rate the other way": (9200, "USD 100.00 EXCHANGE RATE 0.92", (10000, "USD")),
    "thousands apart": (920000, "USD 10,000.00 KURS 0,92", (1000000, "USD")),
    "a rate that explains something else": (22203, "JPY 99999 RATE 163.4", None),
    "charges in another currency": (9800, "CHARGES USD 2.00", None),
    "charges beyond the amount": (100, "CHARGES EUR 2.00", None),
    "a word that is no currency": (9800, "FEES ABC 2.00", None),
    "nothing": (9800, "STRIPE PAYOUT", None),
    "a debit": (-9800, "/CHGS/EUR2,00/", None),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str) -> None:
    """Fails when a word, a sign or a decimal mark is read as another one, or a rate is believed unproved."""
    amount, text, expected = TEXTS[name]
    line = StatementLine(1, amount, "EUR", date(2026, 3, 2), None, description=text)
    assert sent_of(line) == expected


ELEMENTS = {
    "charges of the entry": ('<Chrgs><Amt Ccy="EUR">2.00</Amt></Chrgs>', "", (10000, "EUR")),
    "charges in records": (
        '<Chrgs><Rcrd><Amt Ccy="EUR">1.50</Amt></Rcrd><Rcrd><Amt Ccy="EUR">0.50</Amt></Rcrd></Chrgs>',
        "",
        (10000, "EUR"),
    ),
    "charges that are booked apart": (
        '<Chrgs><Rcrd><Amt Ccy="EUR">2.00</Amt><ChrgInclInd>false</ChrgInclInd></Rcrd></Chrgs>',
        "",
        None,
    ),
    "what was instructed": ("", '<AmtDtls><InstdAmt><Amt Ccy="USD">106.50</Amt></InstdAmt></AmtDtls>', (10650, "USD")),
    "instructed as it came": ("", '<AmtDtls><InstdAmt><Amt Ccy="EUR">98.00</Amt></InstdAmt></AmtDtls>', None),
    "an amount that can't be read": ('<Chrgs><Amt Ccy="EUR">two</Amt></Chrgs>', "", None),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_of_camt(name: str) -> None:
    """Fails when charges are not added, are added though they were booked apart, or refuse a file that can be read."""
    entry, details, expected = ELEMENTS[name]
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<Dt><Dt>2026-03-02</Dt></Dt></Bal>"
        for code, amount in (("OPBD", "0.00"), ("CLBD", "98.00"))
    )
    text = (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S</Id>'
        f'<Acct><Id><IBAN>NL91ABNA0417164300</IBAN></Id></Acct>{balances}<Ntry><Amt Ccy="EUR">98.00</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>"
        f"{entry}<NtryDtls><TxDtls>{details}</TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
    )
    [statement] = read_camt(text.encode())
    [line] = statement.lines
    assert sent_of(line) == expected
