"""Anomalies of rows in a list, found by the engine; and the plain reading of what a double charge is, as an oracle."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from payonce.domain.durations import DAY_MS, SECOND_MS
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.anomalies.calibration import calibrate, pairs_per_window, sweep
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState, RunSettings
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from payonce.reconciliation.anomalies.findings import Anomalies
    from payonce.reconciliation.readers.rows import GatewayRow

JUDGED_DAYS = 20


def anomalies_of(
    rows: Iterable[LedgerRow], *, judged_from_ms: int, reported: Mapping[str, Sequence[GatewayRow]] | None = None
) -> Anomalies:
    """Return what the engine finds in these rows; ``reported`` are a gateway's rows by its name."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(rows)
        for gateway, gateway_rows in (reported or {}).items():
            file = ReconciliationFile("f", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(gateway_rows))
            workspace.add_file(file, gateway=gateway)
        as_of_ms = judged_from_ms + JUDGED_DAYS * DAY_MS
        return workspace.anomalies(RunSettings(as_of_ms=as_of_ms, judged_days=JUDGED_DAYS))


class _Charge(NamedTuple):
    at_ms: int
    payment_id: str
    entry_id: str
    reference: str


def doubles_by_definition(rows: Sequence[LedgerRow], *, judged_from_ms: int) -> set[str]:
    """Return the payment ids of the doubles, all rows in memory and nothing left out beforehand."""
    booked = [row for row in rows if row.state is LedgerState.BOOKED]
    left: defaultdict[tuple[str, str], int] = defaultdict(int)
    left_before: defaultdict[tuple[str, str], int] = defaultdict(int)
    groups: defaultdict[tuple[str, str, str, int], list[LedgerRow]] = defaultdict(list)
    for row in booked:
        left[row.merchant_id, row.payment_id] += row.amount_minor
        if row.booked_at_ms < judged_from_ms:
            left_before[row.merchant_id, row.payment_id] += row.amount_minor
        if row.kind is LedgerKind.CHARGE and row.amount_minor > 0 and row.payer and row.reverses_entry_id is None:
            groups[row.merchant_id, row.payer, row.currency, row.amount_minor].append(row)
    history: defaultdict[str, list[list[_Charge]]] = defaultdict(list)
    for same, charges in groups.items():
        before = [
            c for c in charges if c.booked_at_ms < judged_from_ms and left_before[c.merchant_id, c.payment_id] > 0
        ]
        history[same[0]].append(_sorted(before))
    doubles: set[str] = set()
    for same, charges in groups.items():
        pairs: defaultdict[int, int] = defaultdict(int)
        for times in history[same[0]]:
            for window, count in pairs_per_window(times).items():
                pairs[window] += count
        window_ms = calibrate(same[0], sum(map(len, history[same[0]])), pairs).window_seconds * SECOND_MS
        kept = _sorted([row for row in charges if left[row.merchant_id, row.payment_id] > 0])
        if window_ms:
            doubles |= {later.payment_id for _, later in sweep(kept, window_ms)}
    return doubles


def _sorted(rows: Iterable[LedgerRow]) -> list[_Charge]:
    return sorted(_Charge(row.booked_at_ms, row.payment_id, row.entry_id, row.reference) for row in rows)
