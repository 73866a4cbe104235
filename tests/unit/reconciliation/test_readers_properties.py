"""Generated files: what is written is read back, and no change to a file gets anything but ``FileRejected``."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.generic_csv import read_generic_gateway_csv, write_generic_gateway_csv
from payonce.reconciliation.readers.mapping import ColumnMapping
from payonce.reconciliation.readers.read import BANK_READERS, GATEWAY_READERS, read_file
from payonce.reconciliation.readers.rows import GatewayRow, ReconciliationFile, RowKind
from payonce.reconciliation.readers.values import decimal_text
from tests.unit.reconciliation.files import VALID

AMOUNTS = st.integers(-(10**12), 10**12)
INSTANTS = st.integers(0, 4_102_444_800_000)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).map(str.strip).filter(bool)


@st.composite
def rows(draw: st.DrawFn) -> GatewayRow:
    """Return a row that the generic format can hold."""
    amount, fee = draw(AMOUNTS), draw(AMOUNTS)
    return GatewayRow(
        row_number=0,
        transaction_id=draw(TEXTS),
        reference=draw(st.none() | TEXTS),
        kind=draw(st.sampled_from(RowKind)),
        amount_minor=amount,
        fee_minor=fee,
        net_minor=amount - fee,
        currency=draw(st.sampled_from(sorted(MINOR_UNIT_EXPONENTS))),
        created_at_ms=draw(INSTANTS),
        available_at_ms=draw(st.none() | INSTANTS),
        payout_id=draw(st.none() | TEXTS),
        gateway_payment_id=draw(st.none() | TEXTS),
    )


@given(st.lists(rows(), max_size=8))
def test_generic_csv_round_trip(written: list[GatewayRow]) -> None:
    """Fails when an exponent, a sign, a millisecond or a quoted text is lost on the way."""
    found = read_generic_gateway_csv(write_generic_gateway_csv(written))
    assert [replace(row, row_number=0) for row in found] == written


@st.composite
def bank_lines(draw: st.DrawFn) -> list[tuple[int, date]]:
    """Return amounts in cents, none of them 0, and days."""
    days = st.dates(date(1990, 1, 1), date(2069, 12, 31))
    return draw(st.lists(st.tuples(st.integers(-(10**9), 10**9).filter(bool), days), min_size=1, max_size=6))


def major(amount_minor: int, sign: str) -> str:
    """Return an amount without its sign."""
    return decimal_text(abs(amount_minor), "EUR").replace(".", sign)


def as_mt940(lines: list[tuple[int, date]], opening: int) -> bytes:
    closing = opening + sum(amount for amount, _ in lines)

    def balance(amount: int) -> str:
        return f"{'D' if amount < 0 else 'C'}260301EUR{major(amount, ',')}"

    movements = "".join(
        f":61:{day:%y%m%d%m%d}{'D' if amount < 0 else 'C'}{major(amount, ',')}NTRFX\n" for amount, day in lines
    )
    return f":20:S\n:25:NL1\n:60F:{balance(opening)}\n{movements}:62F:{balance(closing)}\n-\n".encode()


def as_table(lines: list[tuple[int, date]], opening: int) -> bytes:
    rows, balance = ["Tag;Betrag;Saldo"], opening
    for amount, day in lines:
        balance += amount
        cells = (f"{'-' if value < 0 else ''}{major(value, ',')}" for value in (amount, balance))
        rows.append(f"{day:%d.%m.%Y};{';'.join(cells)}")
    return "\n".join([*rows, ""]).encode()


GERMAN = ColumnMapping.model_validate(
    {
        "account": "NL1",
        "currency": "EUR",
        "separator": ";",
        "decimal_sign": ",",
        "date_form": "DD.MM.YYYY",
        "columns": {"booking_date": "Tag", "amount": "Betrag", "balance": "Saldo"},
    }
)


@given(bank_lines(), st.integers(-(10**9), 10**9))
def test_bank_lines_round_trip(lines: list[tuple[int, date]], opening: int) -> None:
    """Fails when a sign, a cent or a day is lost in MT940 or in a table, or what adds up is not proved."""
    for data in (as_mt940(lines, opening), as_table(lines, opening)):
        (statement,) = read_file(data, mappings=[GERMAN], strict=True).statements
        assert [(line.amount_minor, line.booking_date) for line in statement.lines] == lines
        assert statement.opening_minor == opening


@given(bank_lines(), st.integers(-(10**9), 10**9), st.data())
def test_a_line_that_is_lost_shows(lines: list[tuple[int, date]], opening: int, data: st.DataObject) -> None:
    """Fails when a statement that lost a line is taken for proved."""
    rows = as_mt940(lines, opening).split(b"\n")
    lost = data.draw(st.sampled_from([row for row in rows if row.startswith(b":61:")]))
    rows.remove(lost)
    (statement,) = read_file(b"\n".join(rows)).statements
    assert "lines are missing or were changed" in str(statement.unproved)


@settings(max_examples=400)
@given(st.data())
def test_a_changed_file_is_read_or_refused(data: st.DataObject) -> None:
    """Fails when a library's error gets through, or a statement that its balances contradict is not marked unproved."""
    original = data.draw(st.sampled_from(sorted(VALID)))
    changed = bytearray(VALID[original])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        end = data.draw(st.integers(start, min(len(changed), start + 12)))
        piece = data.draw(st.sampled_from([b"", b",", b"\n", b'"', b"/", b"9", b":61:", b"88,", b"<", b"&x;"]))
        changed[start:end] = data.draw(st.just(piece) | st.binary(max_size=4))
    reader = data.draw(st.sampled_from([read_file, *GATEWAY_READERS.values(), *BANK_READERS.values()]))
    try:
        found = reader(bytes(changed), None) if reader in GATEWAY_READERS.values() else reader(bytes(changed))
    except FileRejected as error:
        assert error.problem
        return
    if isinstance(found, ReconciliationFile):
        for statement in found.statements:
            assert {line.currency for line in statement.lines} <= {statement.currency}
            if statement.unproved is None:
                assert statement.opening_minor is not None
                booked = sum(line.amount_minor for line in statement.lines)
                assert statement.opening_minor + booked == statement.closing_minor
        assert all(row.amount_minor - row.fee_minor == row.net_minor for row in found.gateway_rows)
