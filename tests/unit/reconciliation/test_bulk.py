"""A CSV file that is read in bulk gives what its reader gives, to the last field, or is left to the reader."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from payonce.cli import reconcile
from payonce.engines.duckdb_bulk import load_in_bulk
from payonce.reconciliation.matching.normalise import gateway_table_rows
from payonce.reconciliation.matching.tables import INPUT_TABLES, TABLES
from payonce.reconciliation.runs.intake import Intake, Refused
from tests.unit.reconciliation.bulk_files import ADYEN, GENERIC, LEDGER, STRIPE, odd_files, ordinary_files
from tests.unit.reconciliation.files import GENERIC as GATEWAY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.matching.engine import Workspace
    from payonce.reconciliation.model import LedgerRow
    from payonce.reconciliation.readers.bulk.facts import BulkFacts
    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.bulk.plan import BulkPlan
    from payonce.reconciliation.readers.rows import ReconciliationFile

CONNECTION = duckdb.connect(config={"threads": 1})
PROGRESS = Progress(console=Console(file=io.StringIO()), disable=True)
LEDGER_FILE = (
    b"entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at\n"
    b"e1,m,p,bank,charge,booked,pay_1,10000,EUR,2026-03-01T09:30:00Z\n"
    b"1,,,,total,,,10000,EUR,\n"
)


class Tables:
    """Stands for the workspace: the rows that each table gets, and which of the tables were read in bulk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in INPUT_TABLES}
        self.in_bulk: list[str] = []

    def add_ledger(self, rows: Iterable[LedgerRow]) -> None:
        found = [tuple(getattr(row, name) for name in TABLES["ledger"]) for row in rows]
        self.rows["ledger"] += [tuple(str(v) if isinstance(v, str) else v for v in row) for row in found]

    def add_file(self, file: ReconciliationFile, *, gateway: str | None = None) -> None:
        self.rows["gateway_row"] += [tuple(row) for row in gateway_table_rows(file, gateway or "")]

    def add_in_bulk(self, look: FirstLook, plan: BulkPlan, *, gateway: str | None = None) -> BulkFacts | None:
        facts = load_in_bulk(CONNECTION, look, plan, made="made", folder=self.folder, gateway=gateway)
        if facts is not None:
            self.rows[plan.table] += CONNECTION.execute("SELECT * FROM made").fetchall()
            CONNECTION.execute("DROP TABLE made")
            self.in_bulk.append(plan.table)
        return facts


@dataclass
class Taken:
    """What became of the files: the tables' rows, the counts over them, and the refusals."""

    tables: dict[str, list[tuple[object, ...]]]
    intake: Intake
    refused: list[Refused]
    in_bulk: list[str]


def take(folder: Path, ledger: bytes, report: bytes, *, bulk: bool) -> Taken:
    """Take the files in as the command does, with or without the bulk."""
    paths = folder / "ledger [1]*.csv", folder / "it's a report.csv"
    paths[0].write_bytes(ledger)
    paths[1].write_bytes(report)
    intake, tables = Intake(), Tables(folder)
    with pytest.MonkeyPatch.context() as patch:
        if not bulk:
            patch.setattr(reconcile, "first_look", lambda _: None)
        files = [reconcile.NamedFile(paths[1], "bank")]
        workspace = cast("Workspace", tables)
        refused = reconcile.take_in(paths[0], files, workspace, intake, PROGRESS, reconcile.Reading())
    of_no_refused = {} if refused else {table: sorted(rows, key=repr) for table, rows in tables.rows.items()}
    return Taken(of_no_refused, intake, refused, tables.in_bulk)


def both(kind: str, data: bytes) -> tuple[Taken, Taken]:
    """Take one file of the kind in twice: in bulk, and by its reader alone."""
    files = (data, GATEWAY_FILE) if kind == LEDGER else (LEDGER_FILE, data)
    with tempfile.TemporaryDirectory() as name:
        return take(Path(name), *files, bulk=True), take(Path(name), *files, bulk=False)


def check_alike(kind: str, data: bytes) -> Taken:
    """Fail unless the tables, the counts, the ids, the notices and the refusals are the same."""
    fast, slow = both(kind, data)
    assert fast.refused == slow.refused
    assert fast.tables == slow.tables
    assert fast.intake == slow.intake
    assert slow.in_bulk == []
    return fast


FORMATS = pytest.mark.parametrize("kind", [LEDGER, GENERIC, STRIPE, ADYEN])
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


@FORMATS
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_ordinary_files_are_read_alike(kind: str, data: st.DataObject) -> None:
    """Fails when a column, a sign, an exponent, a zone or a quoted text is another one in bulk."""
    taken = check_alike(kind, data.draw(ordinary_files(kind)))
    event(f"{kind} in bulk: {len(taken.in_bulk) == 2}")


@FORMATS
@settings(max_examples=120, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_odd_files_are_read_alike_or_refused_alike(kind: str, data: st.DataObject) -> None:
    """Fails when bulk takes what the reader refuses, or in another way than the reader takes it."""
    taken = check_alike(kind, data.draw(odd_files(kind)))
    event(f"{kind} in bulk: {len(taken.in_bulk) == 2}")
