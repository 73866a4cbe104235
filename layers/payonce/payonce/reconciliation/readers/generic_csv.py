"""payonce's own CSV formats, for a gateway or a bank whose files are not read. See docs/reconciliation-files.md.

Both end in control records, so that a file that lost its end is not taken for a short one.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, decimal_text, instant_ms, instant_text, minor_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

GATEWAY_COLUMNS = (
    "kind",
    "transaction_id",
    "reference",
    "amount",
    "fee",
    "net",
    "currency",
    "created_at",
    "available_at",
    "payout_id",
)
OPTIONAL_GATEWAY_COLUMNS = ("gateway_payment_id",)
TOTAL = "total"


def read_generic_gateway_csv(data: bytes) -> tuple[GatewayRow, ...]:
    """Return the file's rows. Raises ``FileRejected``.

    Checked: net = amount - fee in each row, and one ``total`` record per currency, after the rows, with their count and
    sums.
    """
    found: list[GatewayRow] = []
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    closed: set[str] = set()
    for record in records(data, required=frozenset(GATEWAY_COLUMNS)):
        currency = currency_of(record.required("currency"), line=record.line, field="currency")
        if currency in closed:
            raise FileRejected(f"there is a record after the total of {currency}", line=record.line, field="kind")
        amounts = _amounts(record, currency)
        if record.required("kind") == TOTAL:
            _check_total(record, [_count(record), *amounts], sums[currency])
            closed.add(currency)
            continue
        found.append(_row(record, currency, amounts))
        sums[currency] = [before + more for before, more in zip(sums[currency], (1, *amounts), strict=True)]
    if missing := sorted(set(sums) - closed):
        raise FileRejected(f"there is no total record of {', '.join(missing)}; the file may have lost its end")
    return tuple(found)


def write_generic_gateway_csv(rows: Iterable[GatewayRow]) -> bytes:
    """Return the file that ``read_generic_gateway_csv`` reads as ``rows``, except for their row numbers.

    Texts are written as they are: the file is for machines. Spreadsheets get ``values.neutralised`` texts.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*GATEWAY_COLUMNS, *OPTIONAL_GATEWAY_COLUMNS))
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        amounts = (row.amount_minor, row.fee_minor, row.net_minor)
        sums[row.currency] = [before + more for before, more in zip(sums[row.currency], (1, *amounts), strict=True)]
        created, available = instant_text(row.created_at_ms), instant_text(row.available_at_ms)
        texts = [decimal_text(amount, row.currency) for amount in amounts]
        head = [row.kind.value, row.transaction_id, row.reference or ""]
        tail = [row.currency, created, available, row.payout_id or "", row.gateway_payment_id or ""]
        writer.writerow([*head, *texts, *tail])
    for currency, (count, *amounts_) in sums.items():
        texts = [decimal_text(amount, currency) for amount in amounts_]
        writer.writerow([TOTAL, count, "", *texts, currency, "", "", "", ""])
    return out.getvalue().encode()


def _amounts(record: Record, currency: str) -> tuple[int, int, int]:
    amount, fee, net = (
        minor_of(record.required(column), currency, line=record.line, field=column)
        for column in ("amount", "fee", "net")
    )
    if amount - fee != net:
        raise FileRejected("net is not amount less fee", line=record.line, field="net")
    return amount, fee, net


def _count(record: Record) -> int:
    text = record.required("transaction_id")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise FileRejected(f"{shown(text)} is not a number of rows", line=record.line, field="transaction_id")
    return int(text)


def _check_total(record: Record, stated: list[int], counted: list[int]) -> None:
    for column, says, has in zip(("transaction_id", "amount", "fee", "net"), stated, counted, strict=True):
        if says != has:
            raise FileRejected(f"the total says {says}, the rows have {has}", line=record.line, field=column)


def _row(record: Record, currency: str, amounts: tuple[int, int, int]) -> GatewayRow:
    kind = record.required("kind")
    if kind not in set(RowKind):
        raise FileRejected(f"{shown(kind)} is none of {', '.join(RowKind)}", line=record.line, field="kind")
    amount, fee, net = amounts
    available = record.optional("available_at")
    return GatewayRow(
        row_number=record.line,
        transaction_id=record.required("transaction_id"),
        reference=record.optional("reference"),
        kind=RowKind(kind),
        amount_minor=amount,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        created_at_ms=instant_ms(record.required("created_at"), line=record.line, field="created_at"),
        available_at_ms=None if available is None else instant_ms(available, line=record.line, field="available_at"),
        payout_id=record.optional("payout_id"),
        gateway_payment_id=record.optional("gateway_payment_id"),
    )
