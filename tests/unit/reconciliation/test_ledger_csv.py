"""The ledger as a file: read as it was written, or refused with line and field."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import FileRejected
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState
from payonce.reconciliation.readers.ledger_csv import read_ledger_csv, write_ledger_csv
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS
from payonce.reconciliation.readers.read import file_id_of
from payonce.reconciliation.runs.intake import CountedStream

HEADER = (
    b"entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at,reverses_entry_id\n"
)
CHARGE = b"e1,m1,p1,bank,charge,booked,r1,1050,EUR,2026-03-01T10:00:00+01:00,\n"
REFUND = b"e2,m1,p1,bank,refund,booked,r2,-50,EUR,1772359200000,\n"
TOTAL = b"2,,,,total,,,1000,EUR,,\n"
LEDGER = HEADER + CHARGE + REFUND + TOTAL

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
optional = st.none() | texts
amounts = st.integers(1, 10**15)


@st.composite
def ledgers(draw: st.DrawFn) -> list[LedgerRow]:
    rows = []
    for number in range(draw(st.integers(0, 6))):
        kind, reverses = draw(st.sampled_from(LedgerKind)), draw(optional)
        positive = (kind is LedgerKind.CHARGE) == (reverses is None)
        rows.append(
            LedgerRow(
                entry_id=f"{number}{draw(texts)}",
                merchant_id=draw(texts),
                payment_id=draw(texts),
                gateway=draw(texts),
                kind=kind,
                state=draw(st.sampled_from(LedgerState)),
                reference=draw(texts),
                amount_minor=draw(amounts) * (1 if positive else -1),
                currency=draw(st.sampled_from(["EUR", "JPY", "BHD"])),
                booked_at_ms=draw(st.integers(0, 4_000_000_000_000)),
                gateway_payment_id=draw(optional),
                payer=draw(optional),
                reverses_entry_id=reverses,
                idempotency_record_id=draw(optional),
            )
        )
    return rows


def read(data: bytes) -> list[LedgerRow]:
    return list(read_ledger_csv(io.BytesIO(data)))


@given(ledgers())
def test_what_is_written_is_read(rows: list[LedgerRow]) -> None:
    """Fails when a column is written, quoted or read differently than it was, or a sum is off."""
    out = io.StringIO(newline="")
    assert write_ledger_csv(rows, out) == len(rows)
    assert read(out.getvalue().encode()) == rows


def test_an_instant_is_iso_with_an_offset_or_epoch_milliseconds() -> None:
    charge, refund = read(b"\xef\xbb\xbf" + LEDGER.replace(b"\n", b"\r\n"))
    assert charge.booked_at_ms == 1_772_355_600_000
    assert refund.booked_at_ms == 1_772_359_200_000


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        (b"e2,", b"e1,", 3, "entry_id"),
        (b"e2,", b",", 3, "entry_id"),
        (b",r1,", b",,", 2, "reference"),
        (b"1050", b"10.50", 2, "amount_minor"),
        (b"1050", b"0", 2, "amount_minor"),
        (b"1050", b"-1050", 2, "amount_minor"),
        (b"-50", b"50", 3, "amount_minor"),
        (b"-50", b"9" * 19, 3, "amount_minor"),
        (b"refund", b"payout", 3, "kind"),
        (b"refund,booked", b"refund,done", 3, "state"),
        (b"-50,EUR", b"-50,XXX", 3, "currency"),
        (b"T10:00:00+01:00", b"T10:00:00", 2, "booked_at"),
        (b"1772359200000", b"1772359200", 3, "booked_at"),  # seconds
        (b"\n2,,,,total", b"\n3,,,,total", 4, "entry_id"),
        (b"1000,EUR,,\n", b"1001,EUR,,\n", 4, "amount_minor"),
        (TOTAL, TOTAL + CHARGE, 5, "kind"),
        (TOTAL, b"", None, None),
        (b"currency,", b"", 1, None),
        (b",r1,", b",\xff,", 2, None),
        (b",r1,", b",\0,", 2, None),
        (b",r1,", b"," + b"x" * MAX_LINE_CHARACTERS + b",", 2, None),
        (b",r1,", b',"r1,', None, None),
    ],
)
def test_a_wrong_ledger_is_refused_with_line_and_field(
    old: bytes, new: bytes, line: int | None, field: str | None
) -> None:
    """Fails for each check of the reader that is removed."""
    assert old in LEDGER
    with pytest.raises(FileRejected) as caught:
        read(LEDGER.replace(old, new, 1))
    assert caught.value.field == field
    if line is not None:
        assert caught.value.line == line


def test_a_reversal_has_the_other_sign() -> None:
    reversal = b"e3,m1,p1,bank,charge,booked,r1,-1050,EUR,1772359200000,e1\n"
    rows = read(HEADER + CHARGE + reversal + b"2,,,,total,,,0,EUR,,\n")
    assert rows[1].reverses_entry_id == "e1"
    with pytest.raises(FileRejected, match=re.escape("the reversal of a charge is negative, not 1050")):
        read(HEADER + CHARGE + reversal.replace(b"-1050", b"1050"))


def test_it_is_streamed() -> None:
    """Fails when the reader takes the whole file before it yields a row."""
    stream = io.BytesIO(LEDGER)
    assert next(read_ledger_csv(stream)).entry_id == "e1"
    assert stream.tell() < len(LEDGER)


def test_what_passes_is_counted_and_known_by_its_content() -> None:
    sizes: list[int] = []
    stream = CountedStream(io.BytesIO(LEDGER), sizes.append)
    assert len(list(read_ledger_csv(stream))) == 2
    assert sum(sizes) == len(LEDGER)
    assert stream.file_id == file_id_of(LEDGER)


def test_there_is_a_limit_of_rows() -> None:
    with pytest.raises(FileRejected, match="more than 1 rows"):
        list(read_ledger_csv(io.BytesIO(LEDGER), max_rows=1))
