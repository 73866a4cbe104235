"""What one entry of a camt message may hold, and what reading it takes: ten times each limit, in bounded memory.

A file can be small and cost much: expat reports, but does not bound, elements and attributes, and what a program builds
of them is many times their bytes (https://docs.python.org/3/library/xml.html#xml-security, and
https://cheatsheetseries.owasp.org/cheatsheets/XML_Security_Cheat_Sheet.html on documents with many nested or wide
elements). A batch booking with thousands of transactions in one entry is ordinary, and is read.
"""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers import camt_entries, limits
from payonce.reconciliation.readers.camt import read_camt
from tests.unit.reconciliation.files import camt

if TYPE_CHECKING:
    from payonce.reconciliation.readers.rows import Statement

MEGABYTE = 1024 * 1024
BATCH = "<NtryDtls>{}</NtryDtls>"
# Measuring memory is slow: what takes a reader's own work per transaction is tried with a tenth of the limits.
TRANSACTIONS = limits.MAX_ENTRY_TRANSACTIONS // 10
TEXTS = limits.MAX_ENTRY_TEXTS // 10


def read_measured(data: bytes) -> tuple[tuple[Statement, ...] | FileRejected, float]:
    """Return what came of the file, and the peak of memory that reading it took, in megabytes."""
    tracemalloc.start()
    try:
        found: tuple[Statement, ...] | FileRejected = read_camt(data)
    except FileRejected as error:
        found = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found, peak / MEGABYTE


def entry(inner: str) -> bytes:
    """Return a statement whose second entry, on line 3, has ``inner`` besides what it needs."""
    ordinary = (
        '<Ntry><Amt Ccy="EUR">2.25</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
        "<BookgDt><Dt>2026-03-01</Dt></BookgDt>"
    )
    return camt(second=f"{ordinary}{inner}</Ntry>")


def transactions(count: int) -> str:
    """Return a batch of that many transactions, each on a line of its own."""
    return BATCH.format(
        "".join(
            f"<TxDtls><Refs><MsgId>m{n}</MsgId><EndToEndId>e{n}</EndToEndId><TxId>t{n}</TxId></Refs>"
            f"<RltdPties><Cdtr><Pty><Nm>Payee</Nm></Pty></Cdtr></RltdPties>"
            f"<RmtInf><Ustrd>invoice {n}</Ustrd></RmtInf></TxDtls>\n"
            for n in range(count)
        )
    )


ELEMENTS = 10 * limits.MAX_XML_ELEMENTS
PER_TRANSACTION = 40_000
TOO_MUCH = {
    "children": (entry("<a/>" * ELEMENTS), "Ntry/a", f"more than {limits.MAX_XML_ELEMENTS} elements"),
    "children of a transaction": (
        entry(BATCH.format("<TxDtls>" + "<a/>" * ELEMENTS + "</TxDtls>")),
        "Ntry/NtryDtls/TxDtls",
        f"more than {limits.MAX_XML_ELEMENTS} elements",
    ),
    "batches without transactions": (
        entry("<NtryDtls></NtryDtls>" * ELEMENTS),
        "Ntry/NtryDtls",
        f"more than {limits.MAX_XML_ELEMENTS} elements",
    ),
    "children of a statement's child": (
        camt(second=f"<X>{'<a/>' * ELEMENTS}</X>"),
        "X/a",
        f"more than {limits.MAX_XML_ELEMENTS} elements",
    ),
    "transactions": (
        entry(BATCH.format("<TxDtls/>" * (10 * TRANSACTIONS))),
        "Ntry/NtryDtls/TxDtls",
        f"more than {TRANSACTIONS} transactions",
    ),
    "references": (
        entry(
            BATCH.format(
                f"<TxDtls><RmtInf>{'<Ustrd>x</Ustrd>' * PER_TRANSACTION}</RmtInf></TxDtls>"
                * (10 * TEXTS // PER_TRANSACTION)
            )
        ),
        "Ntry/NtryDtls/TxDtls",
        f"more than {TEXTS} references",
    ),
    "characters": (
        entry(
            BATCH.format(
                f"<TxDtls><RmtInf><Ustrd>{'x' * 10_000}</Ustrd></RmtInf></TxDtls>"
                * (10 * limits.MAX_ENTRY_CHARACTERS // 10_000)
            )
        ),
        "Ntry/NtryDtls/TxDtls",
        f"more than {limits.MAX_ENTRY_CHARACTERS} characters",
    ),
    "attributes": (
        entry("<a " + " ".join(f'a{n}=""' for n in range(limits.MAX_XML_TAG_BYTES)) + "/>"),
        None,
        "a tag or a comment is longer",
    ),
    "a comment": (entry(f"<!--{' ' * 10 * limits.MAX_XML_TAG_BYTES}-->"), None, "a tag or a comment is longer"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_ten_times_a_limit_is_refused_in_bounded_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails (235 MB for 4 MB of children) when an entry is held as a whole, whatever it holds."""
    monkeypatch.setattr(camt_entries, "MAX_ENTRY_TRANSACTIONS", TRANSACTIONS)
    monkeypatch.setattr(camt_entries, "MAX_ENTRY_TEXTS", TEXTS)
    data, field, problem = TOO_MUCH[name]
    error, peak_megabytes = read_measured(data)
    assert isinstance(error, FileRejected)
    assert (problem in error.problem, error.field, error.line) == (True, field, 3)
    assert peak_megabytes < 24


def test_a_batch_of_thousands_is_read_whole_and_its_elements_are_not_kept() -> None:
    """Fails when transactions are refused, lost, or held all at once: 5,000 of them took 24 MB."""
    count = 5_000
    data = entry(transactions(count))
    found, peak_megabytes = read_measured(data)
    assert not isinstance(found, FileRejected), found
    line = found[0].lines[1]
    assert len(line.references) == 3 * count
    assert line.references[:count] == tuple(f"e{n}" for n in range(count))
    assert (line.end_to_end_id, line.counterparty) == (None, "Payee")
    assert line.description.startswith("invoice 0 invoice 1 ")
    assert line.description.endswith(f" invoice {count - 1}")
    # What is kept of it, and one chunk.
    assert peak_megabytes < 8


@pytest.mark.parametrize(("stated", "listed"), [(3, 2), (2, 3), (1, 2), (0, 2)])
def test_a_batch_lists_as_many_transactions_as_it_says(stated: int, listed: int) -> None:
    """Fails when transactions that are taken one by one are no longer counted."""
    batch = transactions(listed).replace("<NtryDtls>", f"<NtryDtls><Btch><NbOfTxs>{stated}</NbOfTxs></Btch>")
    (statement,) = read_camt(entry(batch))
    assert f"says '{stated}' transactions, {listed} are listed" in str(statement.unproved)
    (statement,) = read_camt(entry(batch.replace(f"<NbOfTxs>{stated}<", f"<NbOfTxs>{listed}<")))
    assert "transactions" not in str(statement.unproved)


def test_what_was_kept_of_one_entry_is_not_the_next_ones() -> None:
    """Fails when an entry's transactions are told of the one after it."""
    second = transactions(2).join(
        [
            '<Ntry><Amt Ccy="EUR">2.25</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
            "<BookgDt><Dt>2026-03-01</Dt></BookgDt>",
            "</Ntry>",
        ]
    )
    zero = (
        '<Ntry><Amt Ccy="EUR">0.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>'
        "<BookgDt><Dt>2026-03-01</Dt></BookgDt></Ntry>"
    )
    (statement,) = read_camt(camt(second=second + zero, summary=""))
    assert [len(line.references) for line in statement.lines] == [1, 6, 0]
