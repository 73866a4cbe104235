"""Small worlds for the transaction rules: ledger and gateway rows with everything that a test does not care about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState, RunSettings
from payonce.reconciliation.readers.rows import FileFormat, GatewayRow, ReconciliationFile, RowKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.reconciliation.matching.run_result import RunResult


HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_772_000_000_000
TAKEN = {RowKind.REFUND, RowKind.UNCAPTURED, RowKind.CHARGE_REVERSAL, RowKind.DISPUTE, RowKind.DISPUTE_LOST}
SETTINGS = RunSettings(as_of_ms=START_MS + 30 * DAY_MS, settlement_sla_hours=24 * 7)


def entry(number: int | str, **changes: Any) -> LedgerRow:
    """Return a booked charge of 10.00 EUR under reference r<number>; a refund is negative."""
    values: dict[str, Any] = {
        "entry_id": f"e{number}",
        "merchant_id": "m1",
        "payment_id": f"pay{number}",
        "gateway": "bank",
        "kind": LedgerKind.CHARGE,
        "state": LedgerState.BOOKED,
        "reference": f"r{number}",
        "amount_minor": -1000 if changes.get("kind") is LedgerKind.REFUND else 1000,
        "currency": "EUR",
        "booked_at_ms": START_MS,
    }
    return LedgerRow(**(values | changes))


def moved(number: int | str, **changes: Any) -> GatewayRow:
    """Return the gateway's row of the same movement, under transaction t<number>."""
    values: dict[str, Any] = {
        "row_number": 1,
        "transaction_id": f"t{number}",
        "reference": f"r{number}",
        "kind": RowKind.CHARGE,
        "amount_minor": -1000 if changes.get("kind") in TAKEN else 1000,
        "fee_minor": 0,
        "currency": "EUR",
        "created_at_ms": START_MS,
    }
    values |= changes
    values.setdefault("net_minor", values["amount_minor"] - values["fee_minor"])
    return GatewayRow(**values)


def reconcile(
    ledger: Iterable[LedgerRow],
    *files: Sequence[GatewayRow],
    settings: RunSettings = SETTINGS,
) -> RunResult:
    """Run the rules over these rows, each sequence a file of its own."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(ledger)
        for number, rows in enumerate(files):
            file = ReconciliationFile(f"file{number}", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(rows))
            workspace.add_file(file, gateway="bank")
        return workspace.run(settings)


def seen(result: RunResult) -> list[tuple[str, ...]]:
    """Return (class, *subject without the gateway), sorted."""
    return sorted((found.break_class.value, *found.subject[1:]) for found in result.breaks)
