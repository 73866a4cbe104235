"""Public camt, MT940 and BAI2 samples: read as their libraries' expected output says, or refused for a reason.

Most samples show a layout and don't add up; those are refused here, because a statement that contradicts its own
balances proves nothing. What they say is compared below the proof.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers import mt940
from payonce.reconciliation.readers.camt_entries import Transactions, entry_of, money_of
from payonce.reconciliation.readers.camt_xml import Node, events
from payonce.reconciliation.readers.read import read_file

SAMPLES = Path(__file__).parents[2] / "data" / "reconciliation"
FRAGMENT = "fragment of MT940"
CONTRADICTION = "lines are missing or were changed"
INTERIM = "interim report"

# Lines per statement.
READ: dict[str, list[int]] = {
    "bai2/sample1.txt": [11, 6],
    "bai2/sample2.txt": [1, 1, 2, 0, 0],
    "camt/camt054.v2.xml": [1],
    "mt940/betterplace/sepa_mt9401.sta": [7, 2, 5, 3, 5, 1, 4, 4, 8, 3, 6, 6, 6, 3, 1, 5, 5, 2, 1, 3, 4, 7, 3, 1, 1, 1],
    "mt940/betterplace/with_binary_character.sta": [3, 1],
    "mt940/mBank/mt940.sta": [3],
    "mt940/self-provided/february_30.sta": [1],
    "mt940/self-provided/long_statement_number.sta": [0],
    "mt940/self-provided/transaction_details_wrapped.sta": [1],
    "mt940/self-provided/wrapped_timestamp.sta": [1],
}
REFUSED = {
    "camt/camt052.v2.other-account.xml": INTERIM,
    "camt/camt052.v2.with-account-name.xml": INTERIM,
    "camt/camt052.v6.Amt-zero.xml": INTERIM,
    "camt/camt052.v6.xml": INTERIM,
    "camt/camt052.v8.xml": INTERIM,
    "camt/camt053.v2.five.decimals.xml": "make 2700, not the closing 2705",
    "camt/camt053.v2.minimal.ultimate.xml": "balance CLBD is in SEK, the account in EUR",
    "camt/camt053.v2.with-account-name.xml": "no opening (OPBD)",
    "camt/camt053.v2.with-party-ids.xml": "balance CLBD is in SEK, the account in EUR",
    "camt/camt053.v8.xml": "balance CLBD is in SEK, the account in EUR",
    "camt/camt054.v2.with-account-name.xml": "neither booking nor value date",
    "camt/camt054.v8-with-UETR.xml": "neither booking nor value date",
    "camt/camt054.v8.xml": "'2' transactions, 3 are listed",
    "camt/camt53.only-Dt-with-DtTm.xml": "no closing (CLBD)",
    "mt940/betterplace/amount_formats.sta": FRAGMENT,
    "mt940/betterplace/currency_in_25.sta": FRAGMENT,
    "mt940/betterplace/empty_86.sta": FRAGMENT,
    "mt940/betterplace/empty_entry_date.sta": FRAGMENT,
    "mt940/betterplace/empty_line.sta": "no :60F:",
    "mt940/betterplace/missing_crlf_at_end.sta": FRAGMENT,
    "mt940/betterplace/sepa_snippet.sta": CONTRADICTION,
    "mt940/betterplace/sepa_snippet_broken.sta": "line 6, :25:: it may not follow :61:",
    "mt940/mBank/mt942.sta": INTERIM,
    "mt940/mBank/with_newline_in_tnr.sta": CONTRADICTION,
    "mt940/self-provided/account_identification.sta": "no :60F:",
    "mt940/self-provided/details_60-63.sta": CONTRADICTION,
    "mt940/self-provided/empty_non_swift.sta": FRAGMENT,
    "mt940/self-provided/gv_codes.sta": "no :62F:",
    "mt940/self-provided/invalid_statement.sta": "format is not known",
    "mt940/self-provided/malformed_details.sta": CONTRADICTION,
    "mt940/self-provided/mt942.sta": INTERIM,
    "mt940/self-provided/multiline.sta": "a movement outside opening and closing balance",
    "mt940/self-provided/overly_long_details.sta": CONTRADICTION,
    "mt940/self-provided/raiffeisen-cmi.sta": CONTRADICTION,
    "mt940/self-provided/raphaelm.sta": "'DEM' is not an ISO 4217 currency in use",
    "mt940/self-provided/sparkassen.sta": FRAGMENT,
    "mt940/self-provided/whitespace.sta": CONTRADICTION,
}


def test_every_sample_is_listed() -> None:
    found = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.suffix in (".xml", ".sta", ".txt")}
    assert found == {*READ, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_is_read(name: str) -> None:
    statements = read_file((SAMPLES / name).read_bytes()).statements
    assert [len(statement.lines) for statement in statements] == READ[name]


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_for_its_reason(name: str) -> None:
    with pytest.raises(FileRejected) as caught:
        read_file((SAMPLES / name).read_bytes())
    assert REFUSED[name] in caught.value.detail


def minor(amount: str, currency: str) -> int:
    """Return an expected decimal in minor units, by another way than the readers'."""
    return int(Decimal(amount).scaleb(MINOR_UNIT_EXPONENTS[currency]))


# multiline is refused at its stray second movement, below any proof; the others are refused above.
PROOFLESS = [name for name, why in REFUSED.items() if why == CONTRADICTION]
WHOLE_MT940 = [name for name in (*READ, *PROOFLESS) if name.startswith("mt940/")]


@pytest.mark.parametrize("name", WHOLE_MT940)
def test_mt940_says_what_its_library_expects(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an amount, a date or a reference is read otherwise.

    The library leaves the reversal of a credit (RC) positive; the file's own closing balance needs it negative. It also
    runs on from an end-to-end id into the text after it, so ours is compared as that text's beginning.
    """
    monkeypatch.setattr(mt940, "prove", lambda statement, **_: statement)
    expected = json.loads((SAMPLES / "mt940" / "expected.json").read_text())[name.removeprefix("mt940/")]
    found = [line for statement in read_file((SAMPLES / name).read_bytes()).statements for line in statement.lines]
    assert len(found) == len(expected)
    for line, wanted in zip(found, expected, strict=True):
        signed = minor(wanted["amount"], wanted["currency"])
        assert line.amount_minor == (-abs(signed) if wanted["status"] in ("D", "RC") else abs(signed))
        assert line.currency == wanted["currency"]
        assert str(line.value_date) == wanted["value_date"]
        assert str(line.booking_date) == wanted["entry_date"]
        if wanted["bank_reference"]:
            assert wanted["bank_reference"] in line.references
        if wanted["end_to_end"] not in (None, "NONREF"):
            assert line.end_to_end_id
            assert wanted["end_to_end"].startswith(line.end_to_end_id)


@pytest.mark.parametrize("path", sorted((SAMPLES / "camt").glob("*.json")), ids=lambda path: path.stem)
def test_camt_says_what_its_library_expects(path: Path) -> None:
    """Fails when an entry's amount, direction, date or end-to-end id is read otherwise."""
    expected = json.loads(path.read_text())
    nodes = [event for event in events(path.with_suffix(".xml").read_bytes()) if isinstance(event, Node)]
    entries = [node for node in nodes if node.name == "Ntry"]
    assert len(entries) == len(expected["getEntries"])
    balances = [
        money_of(node, "Bal") for node in nodes if node.name == "Bal" and node.value("Tp/CdOrPrtry/Cd") != "OTHR"
    ]
    assert balances == [
        of_money(balance["getAmount"])
        for record in records_of(expected)
        for balance in (record.get("getBalances") or [])
    ]
    for node, wanted in zip(entries, expected["getEntries"], strict=True):
        assert money_of(node, "Ntry") == of_money(wanted["getAmount"])
        booking, value = wanted["getBookingDate"], wanted["getValueDate"]
        if booking is None and value is None:
            continue
        try:
            line = entry_of(node, Transactions())
        except FileRejected as error:
            assert "transactions, 3 are listed" in error.detail
            continue
        assert line is not None
        assert str(line.booking_date) == (booking or value)["0"][:10]
        assert value is None or str(line.value_date) == value["0"][:10]


def records_of(expected: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the expected statements: the library's output holds one inside its first entry, if it has entries."""
    inside = [entry["getRecord"] for entry in expected["getEntries"]]
    return [record for record in (*expected["getRecords"], *inside) if isinstance(record, dict)]


def of_money(money: dict[str, Any]) -> tuple[str, int]:
    """Return an expected amount as the readers have it."""
    return money["getCurrency"]["getCode"], int(money["getAmount"])
