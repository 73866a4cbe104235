"""What DuckDB holds as parquet, for a run of another engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.tables import INPUT_TABLES
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile
from tests.unit.reconciliation.transactions import SETTINGS, entry, moved

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_reconciled_alike(tmp_path: Path) -> None:
    """Fails when a column, a row or an empty table is not written, or the quote in the folder's name ends it."""
    folder = tmp_path / "it's"
    folder.mkdir()
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([entry(1), entry(2), entry(4, amount_minor=700)])
        rows = (moved(1), moved(3, reference=None))
        workspace.add_file(ReconciliationFile("f", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=rows), gateway="bank")
        workspace.write_inputs(folder)
        expected = workspace.run(SETTINGS)
    assert sorted(path.stem for path in folder.iterdir()) == sorted(INPUT_TABLES)
    with DuckDbWorkspace(threads=1) as workspace:
        for table in INPUT_TABLES:
            workspace.add_parquet(table, [str(folder / f"{table}.parquet")])
        assert workspace.run(SETTINGS) == expected
    assert expected.breaks
