"""payonce beside plain SQL over the same files: ``python -m benchmarks.reconciliation_from_csv [millions] [times]``.

Plain SQL are six checks as an analyst writes them in DuckDB: missing on either side, amount, status, duplicate, fee. It
reads no file strictly, proves nothing and explains nothing; it is what the rest has to be worth. Every program runs in
a process of its own, one after the other, several times; the least CPU seconds of each are told, imports included,
since a machine that others use makes them more and never fewer.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from benchmarks.reconciliation import SETTINGS, generate, peak_mb
from payonce.cli.reconcile_intake import NamedFile, Reading, take_in
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.run_result import with_anomalies
from payonce.reconciliation.runs.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_LIMIT_MB: Final = 512
FILE_ROWS: Final = 1_000_000  # of one report; more is split
_AT = "strftime(make_timestamp({} * 1000), '%Y-%m-%dT%H:%M:%S.%g') || '+00:00'"
_MAJOR = "printf('%d.%02d', {0} // 100, {0} % 100)"
_TABLES: Final = {
    "ledger": "SELECT entry_id, merchant_id, payment_id, gateway, kind, state, reference, amount_minor, currency, "
    f"{_AT.format('booked_at_ms')} AS booked_at, gateway_payment_id, payer, reverses_entry_id, idempotency_record_id",
    "gateway_row": "SELECT kind, transaction_id, reference, "
    + ", ".join(f"{_MAJOR.format(f'{name}_minor')} AS {name}" for name in ("amount", "fee", "net"))
    + f", currency, {_AT.format('created_at_ms')} AS created_at, {_AT.format('available_at_ms')} AS available_at, "
    "payout_id, gateway_payment_id",
}
_TOTALS: Final = {
    "ledger": "SELECT count(*), '', '', '', 'total', '', '', sum(amount_minor), currency, '', '', '', '', ''",
    "gateway_row": "SELECT 'total', count(*), '', "
    + ", ".join(_MAJOR.format(f"CAST(sum({name}_minor) AS BIGINT)") for name in ("amount", "fee", "net"))
    + ", currency, '', '', '', ''",
}
_FILLED: Final = (
    "CREATE TABLE ledger AS SELECT * FROM read_csv('{folder}/ledger_*.csv') WHERE kind <> 'total'",
    "CREATE TABLE gateway_row AS SELECT *, CAST(amount * 100 AS BIGINT) AS amount_minor, CAST(fee * 100 AS BIGINT) "
    "AS fee_minor FROM read_csv('{folder}/gateway_row_*.csv', types = {{'amount': 'DECIMAL(18,2)', "
    "'fee': 'DECIMAL(18,2)', 'net': 'DECIMAL(18,2)'}}) WHERE kind <> 'total'",
)
_IN_PLACE: Final = (
    "CREATE VIEW ledger AS SELECT * FROM '{folder}/ledger.parquet'",
    "CREATE VIEW gateway_row AS SELECT * FROM '{folder}/gateway_row.parquet'",
)
_CHECKS: Final = (
    "SELECT l.* FROM ledger AS l ANTI JOIN gateway_row AS g USING (kind, reference)",
    "SELECT g.* FROM gateway_row AS g ANTI JOIN ledger AS l USING (kind, reference)",
    "SELECT l.*, g.* FROM ledger AS l JOIN gateway_row AS g USING (kind, reference) "
    "WHERE l.amount_minor <> g.amount_minor OR l.currency <> g.currency",
    "SELECT l.*, g.* FROM ledger AS l JOIN gateway_row AS g USING (kind, reference) WHERE l.state <> 'booked'",
    "SELECT kind, reference, count(*) FROM gateway_row GROUP BY kind, reference HAVING count(*) > 1",
    "SELECT * FROM gateway_row WHERE currency = 'EUR' "
    "AND abs(fee_minor - 25 - (amount_minor * 140 + 5000) // 10000) > 1",
)


def write_csv(folder: Path) -> None:
    """Write the generated tables as payonce's own CSV files, each with its totals."""
    for table, columns in _TABLES.items():
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT *, 0 AS part FROM '{folder}/{table}.parquet'")  # noqa: S608
            if table == "gateway_row":
                connection.execute(f"UPDATE t SET part = rowid // {FILE_ROWS - 10}")  # noqa: S608
            for (part,) in connection.execute("SELECT DISTINCT part FROM t ORDER BY part").fetchall():
                path = folder / f"{table}_{part}.csv"
                rows = f"FROM t WHERE part = {part}"
                connection.execute(f"COPY ({columns} {rows}) TO '{path}' (HEADER)")
                totals = connection.execute(f"{_TOTALS[table]} {rows} GROUP BY currency").fetchall()
                with path.open("a") as out:
                    out.writelines(",".join(map(str, total)) + "\n" for total in totals)


def plain(folder: Path, statements: tuple[str, ...]) -> int:
    """Run the six checks and return how many rows they show."""
    with duckdb.connect(config={"memory_limit": f"{MEMORY_LIMIT_MB}MB", "threads": 2}) as connection:
        connection.execute(f"SET temp_directory = '{folder}/spill'")
        connection.execute("SET preserve_insertion_order = false")
        for statement in statements:
            connection.execute(statement.format(folder=folder))
        return sum(len(connection.execute(check).fetchall()) for check in _CHECKS)


def payonce(fill: Callable[[DuckDbWorkspace], None]) -> tuple[int, str]:
    """Run the rules and the search for anomalies as the command does; return the number of breaks and the digest."""
    with DuckDbWorkspace(memory_limit_mb=MEMORY_LIMIT_MB) as workspace:
        fill(workspace)
        result = with_anomalies(workspace.run(SETTINGS), workspace.anomalies(SETTINGS))
    return len(result.breaks), result.digest


def from_csv(folder: Path, workspace: DuckDbWorkspace) -> None:
    """Take the CSV files in as the command does."""
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(file=io.StringIO()), disable=True)
    files = [NamedFile(path, "bank") for path in sorted(folder.glob("gateway_row_*.csv"))]
    refused = take_in(folder / "ledger_0.csv", files, workspace, Intake(), progress, Reading())
    if refused:
        raise SystemExit(str(refused))


def from_parquet(folder: Path, workspace: DuckDbWorkspace) -> None:
    """Name the parquet files to the workspace."""
    for table in _TABLES:
        workspace.add_parquet(table, [str(folder / f"{table}.parquet")])


def rules_alone(folder: Path) -> tuple[int, str]:
    """Run the rules without the search for anomalies, which the plain checks have nothing of."""
    with DuckDbWorkspace(memory_limit_mb=MEMORY_LIMIT_MB) as workspace:
        from_parquet(folder, workspace)
        result = workspace.run(SETTINGS)
    return len(result.breaks), result.digest


PROGRAMS: Final[dict[str, Callable[[Path], object]]] = {
    "plain SQL, CSV": lambda folder: plain(folder, _FILLED),
    "payonce, CSV": lambda folder: payonce(lambda workspace: from_csv(folder, workspace)),
    "plain SQL, parquet": lambda folder: plain(folder, _IN_PLACE),
    "payonce, parquet": lambda folder: payonce(lambda workspace: from_parquet(folder, workspace)),
    "payonce, parquet, rules alone": rules_alone,
}


def measured(name: str, folder: Path) -> tuple[float, float, object]:
    """Run the program in a process of its own and return CPU seconds, peak in MB and what it found."""
    command = [sys.executable, "-m", "benchmarks.reconciliation_from_csv", "--one", name, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ran:
        found = ran.stdout.read() if ran.stdout else ""
        _, status, usage = os.wait4(ran.pid, 0)
        ran.returncode = os.waitstatus_to_exitcode(status)
    if ran.returncode:
        raise SystemExit(f"{name}: {ran.returncode}")
    peak, result = json.loads(found)
    return usage.ru_utime + usage.ru_stime, peak, result


def main() -> None:
    """Measure every program, several times in turn, and print the table."""
    if sys.argv[1:2] == ["--one"]:
        found = PROGRAMS[sys.argv[2]](Path(sys.argv[3]))
        print(json.dumps([peak_mb(), found]))
        return
    millions, times = float((sys.argv[1:2] or ["0.5"])[0]), int((sys.argv[2:3] or ["3"])[0])
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as name:
        folder = Path(name)
        generate(folder, int(millions * 1_000_000))
        write_csv(folder)
        runs = [{program: measured(program, folder) for program in PROGRAMS} for _ in range(times)]
    least = {program: min(run[program][0] for run in runs) for program in PROGRAMS}
    print(f"{int(millions * 1_000_000):,} rows a side")
    print(f"{'':32} {'CPU s':>7} {'of plain':>9} {'peak MB':>8}  found")
    for program in PROGRAMS:
        base = least[f"plain SQL, {'CSV' if 'CSV' in program else 'parquet'}"]
        peak = max(run[program][1] for run in runs)
        found = runs[0][program][2]
        print(f"{program:32} {least[program]:7.2f} {least[program] / base:8.1f}x {peak:8.0f}  {found}", flush=True)


if __name__ == "__main__":
    main()
