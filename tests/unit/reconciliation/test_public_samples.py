"""Public bank files, and what other libraries make of them: the differential tests of the readers.

Which file is read, how far it is proved and why is docs/reconciliation-files-read.md, which ``make acceptance`` writes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.camt_entries import money_of
from payonce.reconciliation.readers.camt_xml import Node, events
from payonce.reconciliation.readers.read import read_file
from tests.support.bank_peers import differences, peer_of
from tools.bank_acceptance import ENDINGS, PAGE, PROVED, REFUSED, SAMPLES, UNPROVED, accepted, all_of, as_page

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(path for path in SAMPLES.rglob("*") if path.suffix in ENDINGS)
# genkgo/camt's expected output says all of one statement alone; mt-940 has no movement without a balance before it.
EXPLAINED = {
    "camt/camt053.v2.multi.statement.xml": ["2 lines, genkgo/camt has 1"],
    "mt940-cmxl/statement-details-mt942.txt": ["1 lines, mt-940 has 0"],
}
# What a customer could not use: no movement, or money of no stated or no living currency, or totals that are wrong.
MAY_BE_REFUSED = (
    "this is a fragment of MT940: no movement",
    "nothing states the currency of this movement",
    "'DEM' is not an ISO 4217 currency in use",
    "49 control total: it says -1260161341762",
    "there is no bank or credit-card statement in it",
    "the format is not known: it is no format of its own",
    "the message holds no statement",
)
MALFORMED = {
    "mt940/betterplace/sepa_snippet_broken.sta": "line 6, :25:: it may not follow :61:",
    "mt940-cmxl/mt940-headers.txt": "line 10, :62F:: 'C141387INR11 27421,94' is not a balance",
    "mt940-cmxl/mt940-iso8859-1.txt": "line 15, :62F:: '021131' is not a date",
    "ofx/date_missing.ofx": "line 33, STMTTRN/DTPOSTED: it is empty or missing",
    "ofx/decimal_error.ofx": "line 34, STMTTRN/TRNAMT: '$120' is not an amount",
}


def named(path: Path) -> str:
    return path.relative_to(SAMPLES).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_we_tell_of_the_same_money_as_the_peer(path: Path) -> None:
    """Fails when an amount, a sign, a currency, a date, a reference or a balance is read otherwise."""
    peer = peer_of(path)
    try:
        read = read_file(path.read_bytes())
    except FileRejected as error:
        says = error.detail
        assert any(each in says for each in MAY_BE_REFUSED) or says.startswith(MALFORMED[named(path)])
        return
    if peer is not None:
        assert differences(read, peer) == EXPLAINED.get(named(path), [])


def test_the_page_says_what_is_read() -> None:
    """Fails when docs/reconciliation-files-read.md is not what the readers do: run ``make acceptance``."""
    files = list(all_of(SAMPLES))
    assert as_page(files) == PAGE.read_text()
    assert {one.state for one in files} == {PROVED, UNPROVED, REFUSED}
    assert len(files) == len(FILES)


def test_a_peer_that_tells_of_other_money_is_noticed(tmp_path: Path) -> None:
    """Fails when the comparison compares nothing: a cent more, a day later and a lost line each show."""
    text = (SAMPLES / "mt940/jejik/generic.sta").read_text()
    path = tmp_path / "a.sta"
    path.write_text(text)
    peer = peer_of(path)
    assert peer is not None
    a_cent, a_day = text.replace("D10,00N", "D10,01N"), text.replace(":61:110101", ":61:110102")
    for changed in (a_cent, a_day, text[: len(text) // 2]):
        assert differences(read_file(changed.encode()), peer)
    assert accepted(path, tmp_path).beside.endswith("equal")


@pytest.mark.parametrize("path", sorted((SAMPLES / "camt").glob("*.json")), ids=lambda path: path.stem)
def test_camt_states_the_balances_that_its_library_expects(path: Path) -> None:
    """Fails when a balance's amount, sign or currency is read otherwise."""
    expected = json.loads(path.read_text())
    nodes = [event for event in events(path.with_suffix(".xml").read_bytes()) if isinstance(event, Node)]
    balances = [money_of(node, "Bal") for node in nodes if node.name == "Bal" and is_known(node)]
    wanted = [
        of_money(balance["getAmount"])
        for record in records_of(expected)
        for balance in (record.get("getBalances") or [])
    ]
    if expected["getRecords"].count("__RECURSIVITY__") > 1:
        balances = balances[-len(wanted) :]
    assert balances == wanted


def is_known(node: Node) -> bool:
    """Whether the library has the balance's type."""
    return node.value("Tp/CdOrPrtry/Cd") != "OTHR"


def records_of(expected: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the expected statements: the library's output holds one inside its first entry, if it has entries."""
    inside = [entry["getRecord"] for entry in expected["getEntries"]]
    return [record for record in (*expected["getRecords"], *inside) if isinstance(record, dict)]


def of_money(money: dict[str, Any]) -> tuple[str, int]:
    """Return an expected amount as the readers have it."""
    return money["getCurrency"]["getCode"], int(money["getAmount"])
