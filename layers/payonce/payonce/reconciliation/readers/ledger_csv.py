"""Our own ledger as a file, for runs without the cloud. See docs/reconciliation-files.md.

A ledger is the largest of the files: it is read and written row by row. Amounts are in minor units, as we hold them.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState
from payonce.reconciliation.readers.csv_table import streamed_records
from payonce.reconciliation.readers.limits import MAX_AMOUNT_DIGITS, MAX_LEDGER_ROWS
from payonce.reconciliation.readers.values import currency_of, instant_ms, instant_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from enum import StrEnum
    from typing import TextIO

    from payonce.reconciliation.readers.csv_table import LineStream, Record

REQUIRED_COLUMNS = (
    "entry_id",
    "merchant_id",
    "payment_id",
    "gateway",
    "kind",
    "state",
    "reference",
    "amount_minor",
    "currency",
    "booked_at",
)
OPTIONAL_COLUMNS = ("gateway_payment_id", "payer", "reverses_entry_id", "idempotency_record_id")
TOTAL = "total"
_INTEGER = re.compile(rf"-?[0-9]{{1,{MAX_AMOUNT_DIGITS}}}", re.ASCII)
# From 1973 to 2286: fewer digits would be seconds, and every time of the file in January 1970.
_EPOCH_MS = re.compile(r"[0-9]{12,13}", re.ASCII)


def read_ledger_csv(stream: LineStream, *, max_rows: int = MAX_LEDGER_ROWS) -> Iterator[LedgerRow]:
    """Yield the ledger's rows. Raises ``FileRejected`` naming line and field: then what was yielded counts for nothing.

    Checked: every cell; no entry twice; the sign of the amount; one ``total`` record per currency, after its rows, with
    their count and sum.
    """
    seen: set[str] = set()
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    closed: set[str] = set()
    for record in streamed_records(stream, required=frozenset(REQUIRED_COLUMNS), max_rows=max_rows):
        currency = currency_of(record.required("currency"), line=record.line, field="currency")
        if currency in closed:
            raise FileRejected(f"there is a record after the total of {currency}", line=record.line, field="kind")
        amount_minor = _integer(record, "amount_minor")
        if record.required("kind") == TOTAL:
            _check_total(record, amount_minor, sums[currency])
            closed.add(currency)
            continue
        row = _row(record, currency, amount_minor)
        if row.entry_id in seen:
            raise FileRejected(f"{shown(row.entry_id)} is there twice", line=record.line, field="entry_id")
        seen.add(row.entry_id)
        sums[currency][0] += 1
        sums[currency][1] += amount_minor
        yield row
    if missing := sorted(set(sums) - closed):
        raise FileRejected(f"there is no total record of {', '.join(missing)}; the file may have lost its end")


def write_ledger_csv(rows: Iterable[LedgerRow], out: TextIO) -> int:
    """Write the file that ``read_ledger_csv`` reads as ``rows``; return how many there were.

    ``out`` is opened with ``newline=""``. Texts are written as they are: the file is for machines.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        sums[row.currency][0] += 1
        sums[row.currency][1] += row.amount_minor
        head = (row.entry_id, row.merchant_id, row.payment_id, row.gateway, row.kind.value, row.state.value)
        tail = (row.reference, row.amount_minor, row.currency, instant_text(row.booked_at_ms))
        more = (row.gateway_payment_id, row.payer, row.reverses_entry_id, row.idempotency_record_id)
        writer.writerow((*head, *tail, *(text or "" for text in more)))
    for currency, (count, amount_minor) in sorted(sums.items()):
        writer.writerow((count, "", "", "", TOTAL, "", "", amount_minor, currency, "", "", "", "", ""))
    return sum(count for count, _ in sums.values())


def _integer(record: Record, column: str) -> int:
    text = record.required(column)
    if _INTEGER.fullmatch(text) is None:
        problem = f"{shown(text)} is not an integer of minor units, of at most {MAX_AMOUNT_DIGITS} digits"
        raise FileRejected(problem, line=record.line, field=column)
    return int(text)


def _check_total(record: Record, amount_minor: int, counted: list[int]) -> None:
    text = record.required("entry_id")
    for column, says, has in (
        ("entry_id", text, str(counted[0])),
        ("amount_minor", str(amount_minor), str(counted[1])),
    ):
        if says != has:
            raise FileRejected(f"the total says {shown(says)}, the rows have {has}", line=record.line, field=column)


def _row(record: Record, currency: str, amount_minor: int) -> LedgerRow:
    kind = LedgerKind(_one_of(record, "kind", LedgerKind))
    reverses = record.optional("reverses_entry_id")
    # A charge adds to the merchant's balance and a refund takes from it; what reverses one does the opposite. A dispute
    # takes, and gives back.
    positive = amount_minor > 0 if kind is LedgerKind.DISPUTE else (kind is LedgerKind.CHARGE) == (reverses is None)
    if amount_minor == 0 or (amount_minor > 0) is not positive:
        what = f"a {kind.value}" if reverses is None else f"the reversal of a {kind.value}"
        problem = f"{what} is {'positive' if positive else 'negative'}, not {amount_minor}"
        raise FileRejected(problem, line=record.line, field="amount_minor")
    return LedgerRow(
        entry_id=record.required("entry_id"),
        merchant_id=record.required("merchant_id"),
        payment_id=record.required("payment_id"),
        gateway=record.required("gateway"),
        kind=kind,
        state=LedgerState(_one_of(record, "state", LedgerState)),
        reference=record.required("reference"),
        amount_minor=amount_minor,
        currency=currency,
        booked_at_ms=_booked_at_ms(record),
        gateway_payment_id=record.optional("gateway_payment_id"),
        payer=record.optional("payer"),
        reverses_entry_id=reverses,
        idempotency_record_id=record.optional("idempotency_record_id"),
    )


def _one_of(record: Record, column: str, known: type[StrEnum]) -> str:
    text = record.required(column)
    if text not in set(known):
        raise FileRejected(f"{shown(text)} is none of {', '.join(known)}", line=record.line, field=column)
    return text


def _booked_at_ms(record: Record) -> int:
    text = record.required("booked_at")
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    return instant_ms(text, line=record.line, field="booked_at")
