"""payonce's gateway CSV in bulk. See ``generic_csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.bulk.plan import (
    BulkPlan,
    Cells,
    currency,
    final_records,
    if_any,
    instant,
    is_amount,
    is_instant,
    literal,
    minor,
)
from payonce.reconciliation.readers.csv_table import check_header
from payonce.reconciliation.readers.generic_csv import GATEWAY_COLUMNS, TOTAL
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.values import currency_of, minor_of

if TYPE_CHECKING:
    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.csv_table import Record

_SUMMED = ("amount", "fee", "net")


def generic_gateway_plan(look: FirstLook) -> BulkPlan:
    """Return the plan. Raises ``FileRejected`` for what is left to the reader."""
    required = frozenset(GATEWAY_COLUMNS)
    check_header(look.names, required)
    cells = Cells.of(look)
    totals = final_records(look, required, TOTAL)
    control: dict[str, tuple[int, ...]] = {}
    for record in totals:
        code = currency_of(record.required("currency"), line=record.line, field="currency")
        if code in control:
            raise FileRejected(f"there are two totals of {code}")
        control[code] = _stated(record, code)
    kind, transaction_id = cells.text("kind"), cells.text("transaction_id")
    created, available = cells.text("created_at"), cells.text("available_at")
    amount, fee, net = (minor(cells.text(name), "u") for name in _SUMMED)
    return BulkPlan(
        table="gateway_row",
        rows={
            "transaction_id": transaction_id,
            "kind": kind,
            "reference": cells.text("reference"),
            "gateway_payment_id": cells.text("gateway_payment_id"),
            "amount_minor": amount,
            "fee_minor": fee,
            "net_minor": net,
            "currency": "u.word",
            "created_at_ms": instant(created),
            "available_at_ms": instant(available),
            "payout_id": cells.text("payout_id"),
        },
        joins=(currency("u", cells.text("currency")),),
        kept=f"{kind} IS DISTINCT FROM {literal(TOTAL)}",
        fits=(
            f"{kind} IN ({', '.join(map(literal, RowKind))})",
            f"{transaction_id} IS NOT NULL",
            "u.word IS NOT NULL",
            *(is_amount(cells.text(name), "u") for name in _SUMMED),
            f"{amount} - {fee} = {net}",
            is_instant(created),
            if_any(available, is_instant(available)),
        ),
        control_records=len(totals),
        control=control,
        summed=("amount_minor", "fee_minor", "net_minor"),
    )


def _stated(record: Record, code: str) -> tuple[int, ...]:
    amounts = (
        minor_of(record.required(column), code, line=record.line, field=column) for column in ("amount", "fee", "net")
    )
    return (int(record.required("transaction_id")), *amounts)
