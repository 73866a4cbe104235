"""Seconds and memory of a reconciliation run over N x N rows: ``python benchmarks/reconciliation.py [millions ...]``.

DuckDB generates ledger and gateway rows as parquet, deterministically, one in a hundred with a fault. Each size runs in
a process of its own, so that the peak is that run's. CPU seconds are printed beside the clock, since they say more on a
machine that others use too; the growth is theirs, against the first size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from payonce.domain.durations import DAY_MS
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import FeeRule, RunSettings

SIZES_MILLIONS = (0.5, 1, 5, 10)
START_MS = 1_772_000_000_000
MEMORY_LIMIT_MB = 384  # DuckDB's; Python and the breaks come on top
FAULTS_IN_10000 = 100
SETTINGS = RunSettings(
    as_of_ms=START_MS + 30 * DAY_MS,
    fees=(FeeRule(gateway="bank", currency="EUR", fixed_minor=25, basis_points=140),),
)
# fault: 0-19 missing at the gateway, 20-39 in the ledger, 40-59 another amount, 60-79 captured twice, 80-99 a wrong fee
_BASE = f"""
    SELECT i, hash(i) % 10000 AS fault, 'op_' || upper(substr(md5(CAST(i AS VARCHAR)), 1, 26)) || '-1' AS reference,
        500 + hash(i + 7) % 99500 AS amount_minor, CASE WHEN i % 5 = 0 THEN 'USD' ELSE 'EUR' END AS currency,
        {START_MS} + i % (7 * {DAY_MS}) AS at_ms FROM range(CAST(? AS BIGINT)) AS rows(i)
"""  # noqa: S608
_LEDGER = f"""
    SELECT 'je_' || md5('l' || i) AS entry_id, 'm' || i % 1000 AS merchant_id, 'pay_' || substr(reference, 4, 26)
        AS payment_id, 'bank' AS gateway, 'charge' AS kind, 'booked' AS state, reference,
        CAST(amount_minor AS BIGINT) AS amount_minor, currency, at_ms AS booked_at_ms, 'ch_' || i AS gateway_payment_id,
        'tok_' || i % 100000 AS payer, CAST(NULL AS VARCHAR) AS reverses_entry_id, 'rec_' || i AS idempotency_record_id
    FROM ({_BASE}) WHERE fault NOT BETWEEN 20 AND 39
"""  # noqa: S608
_GATEWAY = f"""
    SELECT 'bank' AS gateway, 'txn_' || md5('g' || i || '/' || copy) AS transaction_id, 'charge' AS kind, reference,
        'ch_' || i || CASE WHEN copy = 1 THEN '_2' ELSE '' END AS gateway_payment_id, amount AS amount_minor,
        fee AS fee_minor,
        amount - fee AS net_minor, currency, at_ms + 1500 + copy AS created_at_ms,
        at_ms + 2 * {DAY_MS} AS available_at_ms,
        'po_' || i % 7 AS payout_id, CAST(NULL AS BIGINT) AS presented_minor,
        CAST(NULL AS VARCHAR) AS presented_currency, 'charge' AS category, CAST(NULL AS VARCHAR) AS gateway_charge_id,
        CAST(NULL AS VARCHAR) AS gateway_object_id, CAST(NULL AS VARCHAR) AS payment_reference,
        CAST(NULL AS BIGINT) AS rate_millionths, 'card' AS payment_method, 'DE' AS card_country,
        CAST(NULL AS VARCHAR) AS payout_reference, CAST(NULL AS BIGINT) AS payout_at_ms
    FROM (SELECT *, CAST(amount_minor + CASE WHEN fault BETWEEN 40 AND 59 THEN 1 ELSE 0 END AS BIGINT) AS amount,
            CAST(25 + (amount_minor * 140 + 5000) // 10000 + CASE WHEN fault BETWEEN 80 AND 99 THEN 9 ELSE 0 END
                AS BIGINT) AS fee FROM ({_BASE})) AS b
    JOIN (SELECT 0 AS copy UNION ALL SELECT 1) AS copies ON copy = 0 OR fault BETWEEN 60 AND 79
    WHERE fault NOT BETWEEN 0 AND 19
"""  # noqa: S608


def generate(folder: Path, rows: int) -> None:
    """Write ledger.parquet and gateway_row.parquet."""
    with duckdb.connect() as connection:
        for table, query in (("ledger", _LEDGER), ("gateway_row", _GATEWAY)):
            connection.execute(f"COPY ({query}) TO '{folder / table}.parquet' (FORMAT parquet)", [rows])


def peak_mb() -> float:
    """Return this program's peak of memory; ``ru_maxrss`` would hold that of the program which started it, too."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def measure(folder: Path) -> None:
    """Run once and print what it took, as JSON."""
    started, cpu = time.perf_counter(), time.process_time()
    with DuckDbWorkspace(folder, memory_limit_mb=MEMORY_LIMIT_MB) as workspace:
        for table in ("ledger", "gateway_row"):
            workspace.add_parquet(table, [str(folder / f"{table}.parquet")])
        steps: list[tuple[str, float]] = []
        result = workspace.run(SETTINGS, lambda name, *_: steps.append((name, time.perf_counter() - started)))
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "cpu_seconds": time.process_time() - cpu,
                "peak_mb": peak_mb(),
                "breaks": len(result.breaks),
                "digest": result.digest,
                "steps": steps,
            }
        )
    )


def main() -> None:
    """Measure each size in a fresh process."""
    if sys.argv[1:2] == ["--one"]:
        measure(Path(sys.argv[2]))
        return
    sizes = [float(size) for size in sys.argv[1:]] or list(SIZES_MILLIONS)
    print(f"{'rows':>12} {'seconds':>8} {'CPU':>7} {'peak MB':>8} {'breaks':>8} {'us/row':>7} {'growth':>7}  digest")
    first = 0.0
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="payonce-bench-") as name:
            rows = int(size * 1_000_000)
            generate(Path(name), rows)
            ran = subprocess.run([sys.executable, __file__, "--one", name], check=True, capture_output=True, text=True)
            told = json.loads(ran.stdout)
            first = first or told["cpu_seconds"]
            print(
                f"{rows:>12,} {told['seconds']:>8.1f} {told['cpu_seconds']:>7.1f} {told['peak_mb']:>8.0f} "
                f"{told['breaks']:>8,} {told['seconds'] * 1e6 / rows:>7.2f} "
                f"{told['cpu_seconds'] / first:>7.1f}  {told['digest'][:16]}",
                flush=True,
            )
            print("   ", " ".join(f"{step} {at:.1f}" for step, at in told["steps"]), flush=True)


if __name__ == "__main__":
    main()
