"""payonce's ledger CSV in bulk. See ``ledger_csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.model import LedgerKind, LedgerState
from payonce.reconciliation.readers.bulk.plan import (
    BulkPlan,
    Cells,
    currency,
    final_records,
    instant,
    is_instant,
    literal,
)
from payonce.reconciliation.readers.csv_table import check_header
from payonce.reconciliation.readers.ledger_csv import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, TOTAL
from payonce.reconciliation.readers.limits import MAX_AMOUNT_DIGITS, MAX_LEDGER_ROWS
from payonce.reconciliation.readers.values import currency_of

if TYPE_CHECKING:
    from payonce.reconciliation.readers.bulk.look import FirstLook

_TEXTS = ("entry_id", "merchant_id", "payment_id", "gateway", "kind", "state", "reference")
_INTEGER = f"-?[0-9]{{1,{MAX_AMOUNT_DIGITS}}}"
_EPOCH_MS = "[0-9]{12,13}"


def ledger_plan(look: FirstLook) -> BulkPlan:
    """Return the plan. Raises ``FileRejected`` for what is left to the reader."""
    required = frozenset(REQUIRED_COLUMNS)
    check_header(look.names, required)
    if look.records > MAX_LEDGER_ROWS:
        raise FileRejected("there are too many rows")
    cells = Cells.of(look)
    totals = final_records(look, required, TOTAL)
    control: dict[str, tuple[int, ...]] = {}
    for record in totals:
        code = currency_of(record.required("currency"), line=record.line, field="currency")
        if code in control:
            raise FileRejected(f"there are two totals of {code}")
        control[code] = (int(record.required("entry_id")), int(record.required("amount_minor")))
    kind, amount, booked, reverses = map(cells.text, ("kind", "amount_minor", "booked_at", "reverses_entry_id"))
    is_epoch = f"regexp_full_match({booked}, {literal(_EPOCH_MS)})"
    amount_minor = f"CAST({amount} AS BIGINT)"
    rows = {name: cells.text(name) for name in (*_TEXTS, *OPTIONAL_COLUMNS)}
    return BulkPlan(
        table="ledger",
        rows={
            **rows,
            "amount_minor": amount_minor,
            "currency": f"upper({cells.text('currency')})",
            "booked_at_ms": f"CASE WHEN {is_epoch} THEN CAST({booked} AS BIGINT) ELSE {instant(booked)} END",
        },
        joins=(currency("u", cells.text("currency")),),
        kept=f"{kind} IS DISTINCT FROM {literal(TOTAL)}",
        fits=(
            *(f"{rows[name]} IS NOT NULL" for name in _TEXTS),
            "u.meaning IS NOT NULL",
            f"{kind} IN ({', '.join(map(literal, LedgerKind))})",
            f"{cells.text('state')} IN ({', '.join(map(literal, LedgerState))})",
            f"regexp_full_match({amount}, {literal(_INTEGER)})",
            f"{amount_minor} <> 0",
            f"({kind} = {literal(LedgerKind.DISPUTE)} OR "
            f"({amount_minor} > 0) = (({kind} = {literal(LedgerKind.CHARGE)}) = ({reverses} IS NULL)))",
            f"({is_epoch} OR {is_instant(booked)})",
        ),
        control_records=len(totals),
        control=control,
        unique="entry_id",
    )
