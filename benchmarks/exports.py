"""CPU seconds and memory of the exports of N matches: ``python -m benchmarks.exports [millions]``, 1 by default.

The run is that of ``benchmarks/reconciliation.py``; the peak before the exports is the run's, after them theirs, too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reconciliation import MEMORY_LIMIT_MB, SETTINGS, generate, peak_mb
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.report.contents import Contents
from payonce.reconciliation.report.csv_export import file_name, write_csv
from payonce.reconciliation.report.export_rows import sheets
from payonce.reconciliation.report.xlsx_export import write_xlsx
from payonce.reconciliation.runs.intake import Intake


def main() -> None:
    """Print a line for each export."""
    rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 1_000_000)
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as name:
        folder = Path(name)
        generate(folder, rows)
        with DuckDbWorkspace(folder, memory_limit_mb=MEMORY_LIMIT_MB) as workspace:
            for table in ("ledger", "gateway_row"):
                workspace.add_parquet(table, [str(folder / f"{table}.parquet")])
            contents = Contents(SETTINGS, Intake(), workspace.run(SETTINGS))
            print(f"run: peak {peak_mb():.0f} MB, {len(contents.result.breaks):,} breaks")
            for what in ("csv", "xlsx"):
                began = time.process_time()
                written = sheets(contents, workspace.matches(), workspace.all_open_items())
                if what == "csv":
                    for sheet in written:
                        write_csv(sheet, folder / file_name(sheet.name))
                    size = sum(path.stat().st_size for path in folder.glob("*.csv"))
                else:
                    write_xlsx(written, folder / "out.xlsx")
                    size = (folder / "out.xlsx").stat().st_size
                took = time.process_time() - began
                print(f"{what}: {took:.0f} s of CPU, peak {peak_mb():.0f} MB, {size / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
