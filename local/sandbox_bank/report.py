"""The bank's report of the merchant's balance, in payonce's gateway CSV (docs/reconciliation-files.md)."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import movements_between
from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    import sqlite3

COLUMNS = (
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
    "gateway_payment_id",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def report(connection: sqlite3.Connection, bank: str, from_ms: int, to_ms: int) -> bytes:
    """Return the report of the movements created in [``from_ms``, ``to_ms``), with the report's planted errors.

    A movement gets its payout's id when it is settled. So request a period after its settlement: a later report of the
    same period would have the same transactions with other contents.
    """
    rows = _as_reported(connection, movements_between(connection, bank, from_ms, to_ms))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        currency, amount, fee = row["currency"], row["amount_minor"], row["fee_minor"]
        writer.writerow(
            [
                row["kind"],
                row["transaction_id"],
                row["reference"],
                *(decimal_text(value, currency) for value in (amount, fee, amount - fee)),
                currency,
                instant_text(row["created_at_ms"]),
                instant_text(row["available_at_ms"]),
                row["payout_id"],
                row["charge_id"],
            ]
        )
        totals[currency] = [before + more for before, more in zip(totals[currency], (1, amount, fee), strict=True)]
    for currency, (count, amount, fee) in totals.items():
        sums = (decimal_text(value, currency) for value in (amount, fee, amount - fee))
        writer.writerow(["total", count, "", *sums, currency, "", "", "", ""])
    return out.getvalue().encode()


def _as_reported(connection: sqlite3.Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without those that the report loses, and with its wrong values."""
    wrong: dict[str, dict[str, int]] = defaultdict(dict)
    for fault in connection.execute("SELECT transaction_id, name, value FROM report_faults"):
        wrong[fault["transaction_id"]][fault["name"]] = fault["value"]
    kept = [row for row in rows if "lost" not in wrong.get(row["transaction_id"], {})]
    return [{**row, **wrong.get(row["transaction_id"], {})} for row in kept]


def decimal_text(amount_minor: int, currency: str) -> str:
    """Return an amount in major units with the currency's decimals."""
    exponent = MINOR_UNIT_EXPONENTS[currency]
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f}"


def instant_text(at_ms: int | None) -> str:
    """Return an instant in UTC, to the millisecond; "" for ``None``."""
    return "" if at_ms is None else (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
