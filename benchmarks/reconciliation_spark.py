"""The same rows on DuckDB and on Spark: ``python benchmarks/reconciliation_spark.py [millions ...]``.

With the Python of ``.venv-spark``. Spark runs in one local process with two cores, and spills to disk. Fails unless
both give one digest.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reconciliation import MEMORY_LIMIT_MB, SETTINGS, generate
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.engines.spark_engine import SparkEngine, local_session
from tools.compile_rules import compile_rules

if TYPE_CHECKING:
    from payonce.reconciliation.matching.run_result import RunResult

MEMORY_MB = 3072  # of the Java process
ROWS_PER_PARTITION = 200_000
TABLES = ("ledger", "gateway_row")


def on_duckdb(folder: Path, rows: int) -> RunResult:
    """Run the rules on DuckDB, whatever the number of rows."""
    with DuckDbWorkspace(folder, memory_limit_mb=MEMORY_LIMIT_MB) as workspace:
        for table in TABLES:
            workspace.add_parquet(table, [str(folder / f"{table}.parquet")])
        return workspace.run(SETTINGS)


def on_spark(folder: Path, rows: int) -> RunResult:
    """Run the compiled rules on Spark; each step is told when it begins."""
    session = local_session(folder, memory_mb=MEMORY_MB, partitions=max(4, rows // ROWS_PER_PARTITION))
    engine = SparkEngine(session)
    for table in TABLES:
        engine.add_parquet(table, [str(folder / f"{table}.parquet")])
    started = time.perf_counter()
    try:
        return engine.run(
            SETTINGS, lambda name, *_: print(f"    {time.perf_counter() - started:7.1f} {name}", flush=True)
        )
    finally:
        session.stop()


def main() -> None:
    """Measure each size."""
    compile_rules()
    for size in [float(size) for size in sys.argv[1:]] or [0.05]:
        rows = int(size * 1_000_000)
        with tempfile.TemporaryDirectory(prefix="payonce-bench-") as name:
            folder = Path(name)
            generate(folder, rows)
            taken: dict[str, float] = {}
            results: dict[str, RunResult] = {}
            for engine, run in (("DuckDB", on_duckdb), ("Spark", on_spark)):
                started = time.perf_counter()
                results[engine] = run(folder, rows)
                taken[engine] = time.perf_counter() - started
                print(f"{rows:>12,} {engine:<6} {taken[engine]:8.1f} s  {results[engine].digest}", flush=True)
            assert results["Spark"] == results["DuckDB"], "the engines differ"
            print(f"{rows:>12,} rows a side: one digest, {len(results['Spark'].breaks):,} equal breaks", flush=True)


if __name__ == "__main__":
    main()
