"""A CSV file that is read in bulk gives what its reader gives, to the last field, or is left to the reader."""

from __future__ import annotations

import io
import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from payonce.cli import reconcile_intake as reconcile
from payonce.engines import duckdb_bulk
from payonce.engines.duckdb_bulk import load_in_bulk
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.normalise import gateway_table_rows
from payonce.reconciliation.matching.tables import INPUT_TABLES, TABLES
from payonce.reconciliation.model import RunSettings
from payonce.reconciliation.readers.bulk.facts import plan_of
from payonce.reconciliation.readers.bulk.look import first_look
from payonce.reconciliation.readers.rows import FileFormat
from payonce.reconciliation.runs.intake import Intake, Refused
from tests.support.aws import REPOSITORY
from tests.unit.reconciliation.bulk_files import ADYEN, GENERIC, LEDGER, STRIPE, odd_files, ordinary_files
from tests.unit.reconciliation.files import ADYEN as ADYEN_FILE
from tests.unit.reconciliation.files import GENERIC as GATEWAY_FILE
from tests.unit.reconciliation.files import STRIPE as STRIPE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.matching.engine import Workspace as FilledWorkspace
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
    b"e2,m,p,bank,refund,booked,pay_1,-50,EUR,1772357400000\n"
    b"2,,,,total,,,9950,EUR,\n"
)


class Tables:
    """Stands for the workspace: the rows that each table gets, and which of the tables were read in bulk."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in INPUT_TABLES}
        self.in_bulk: list[str] = []

    def add_ledger(self, rows: Iterable[LedgerRow]) -> None:
        found = [tuple(getattr(row, name) for name in TABLES["ledger"]) for row in rows]
        self.rows["ledger"] += [tuple(str(v) if isinstance(v, str) else v for v in row) for row in found]

    def add_file(self, file: ReconciliationFile, *, gateway: str | None = None) -> None:
        self.rows["gateway_row"] += [tuple(row) for row in gateway_table_rows(file, gateway or "")]

    def add_in_bulk(self, look: FirstLook, plan: BulkPlan, *, gateway: str | None = None) -> BulkFacts | None:
        facts = load_in_bulk(CONNECTION, look, plan, made="made", gateway=gateway)
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
    """Take the files in as the command does, with or without the bulk. Their names are patterns for DuckDB."""
    paths = folder / "ledger [1]*.csv", folder / "it's a report.csv"
    paths[0].write_bytes(ledger)
    paths[1].write_bytes(report)
    intake, tables = Intake(), Tables()
    with pytest.MonkeyPatch.context() as patch:
        if not bulk:
            patch.setattr(reconcile, "first_look", lambda _: None)
        files = [reconcile.NamedFile(paths[1], "bank")]
        workspace = cast("FilledWorkspace", tables)
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
OF_KIND = {LEDGER: LEDGER_FILE, GENERIC: GATEWAY_FILE, STRIPE: STRIPE_FILE, ADYEN: ADYEN_FILE}
BOTH_TABLES = ["ledger", "gateway_row"]


@FORMATS
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_ordinary_files_are_read_in_bulk_and_alike(kind: str, data: st.DataObject) -> None:
    """Fails when a column, a sign, an exponent, a zone or a quoted text is another one in bulk, or nothing is in bulk.

    What is ordinary is RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), with the line ends and the mark of a
    spreadsheet, and any form of an amount or a time that the gateway's documentation has.
    """
    assert check_alike(kind, data.draw(ordinary_files(kind))).in_bulk == BOTH_TABLES


@FORMATS
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_odd_files_are_read_alike_or_refused_alike(kind: str, data: st.DataObject) -> None:
    """Fails when bulk takes what the reader refuses, or in another way than the reader takes it."""
    taken = check_alike(kind, data.draw(odd_files(kind)))
    event(f"in bulk: {len(taken.in_bulk) == 2}")


@FORMATS
def test_the_documented_forms_are_read_in_bulk(kind: str) -> None:
    """Fails when a format of the documentation is left to the readers: then nothing is gained, and nothing says so."""
    assert check_alike(kind, OF_KIND[kind]).in_bulk == BOTH_TABLES


def line_of(kind: str, number: int) -> bytes:
    return OF_KIND[kind].splitlines(keepends=True)[number]


@FORMATS
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b",\n"),  # a cell too many on every line but the header's: the engine drops an empty one
        (b"pay_1", b' "pay_1"'),  # the engine drops the blank and the quotes, the reader keeps both
        (b"pay_1", b'"pay_1" '),
        (b"pay_1", b'pay"1'),
        (b"pay_1", b'"pay_1"x'),
        (b"pay_1", b"\xa0pay_1"),  # not UTF-8
        (b"pay_1", "\u2003pay_1\u00a0".encode()),
        (b"pay_1", b"\tpay_1\x1f"),
        (b"pay_1", b'"\npay_1\n"'),
        (b"pay_1", b'"a\n1,,,,total,,,1,EUR,"'),
        (b"pay_1", b"pay_\x00"),
        (b"pay_1", b"pay_1\r"),
        (b"pay_1", b"x" * 32_760),
        (b"EUR", b"EUX"),
        (b"EUR", b"eur "),
        (b"\n", b"\n\n"),
        (b"\n", b"\r\n"),
        (b"\n", b"\r"),
        (b"2026-03-01", b"2026-02-30"),
        (b"2026-03-01", b"1969-03-01"),
    ],
)
def test_what_two_readers_may_take_in_two_ways(kind: str, old: bytes, new: bytes) -> None:
    """Fails when the engine's own idea of CSV gets through.

    DuckDB 2.0 skips blanks around quotes and an empty cell too many, also in its strict mode
    (https://duckdb.org/docs/stable/data/csv/overview), and with a stated line end it may read no row at all.
    """
    head, rest = line_of(kind, 0), b"".join(OF_KIND[kind].splitlines(keepends=True)[1:])
    check_alike(kind, head + rest.replace(old, new))
    check_alike(kind, head + rest.replace(old, new, 1))


@pytest.mark.parametrize("kind", [LEDGER, GENERIC])
def test_totals_are_held_against_the_rows(kind: str) -> None:
    """Fails when a file that lost its end, or has its total elsewhere, twice or wrong, is read in bulk."""
    lines = OF_KIND[kind].splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[-1]], [lines[0], lines[-1], *lines[1:-1]], [*lines[:-2], lines[-1]]):
        taken = check_alike(kind, b"".join(changed))
        assert taken.refused


def test_an_id_twice_is_refused_with_its_line() -> None:
    """Fails when two reports pasted together count twice: the engine has no order of rows to find the line by."""
    for kind in (LEDGER, STRIPE):
        lines = OF_KIND[kind].splitlines(keepends=True)
        taken = check_alike(kind, b"".join([*lines[:2], *lines[1:]]))
        assert "line 3" in taken.refused[0].reason


@pytest.mark.parametrize("kind", [LEDGER, STRIPE])
@pytest.mark.parametrize(
    ("column", "sql"),
    [("kept", "c0 NOT IN ('e1', 'txn_1')"), ("amount_minor", "1 + {}"), ("currency", "'USD'"), ("unique", "'one'")],
)
def test_a_table_that_is_not_the_file_is_thrown_away(tmp_path: Path, kind: str, column: str, sql: str) -> None:
    """Fails when a row that got lost on the way, or another amount, is held against nothing but the table itself."""
    path = tmp_path / "file.csv"
    path.write_bytes(OF_KIND[kind])
    look = first_look(path)
    assert look is not None
    plan = plan_of(look, is_ledger=kind == LEDGER)
    assert plan is not None
    if column in plan.rows:
        wrong = replace(plan, rows={**plan.rows, column: sql.format(plan.rows[column])})
    else:
        wrong = replace(plan, **{column: sql})
    load = partial(load_in_bulk, CONNECTION, look, made="made", gateway="bank")
    assert load(wrong) is None
    assert load(plan) is not None
    CONNECTION.execute("DROP TABLE made")


@pytest.mark.parametrize("kind", [STRIPE, ADYEN])
def test_a_record_that_the_engine_never_gives_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Fails when only queries of the engine are compared with each other: its parser may lose a record in each of them.

    DuckDB 2.0.1 read none at all of a file with CRLF where ``new_line`` was stated.
    """
    path = tmp_path / "file.csv"
    path.write_bytes(OF_KIND[kind])
    look = first_look(path)
    assert look is not None
    plan = plan_of(look, is_ledger=False)
    assert plan is not None
    all_cells = duckdb_bulk._cells
    without = {STRIPE: " WHERE c0 <> 'txn_1') AS cells", ADYEN: " WHERE c2 IS DISTINCT FROM 'PSP2') AS cells"}[kind]
    monkeypatch.setattr(duckdb_bulk, "_cells", lambda *file: all_cells(*file).removesuffix(") AS cells") + without)
    plan = replace(plan, refused=())
    assert load_in_bulk(CONNECTION, look, plan, made="made", gateway="bank") is None


def test_a_file_that_changes_meanwhile_is_read_again(tmp_path: Path) -> None:
    """Fails when the id is that of other bytes than the rows."""
    path = tmp_path / "file.csv"
    path.write_bytes(LEDGER_FILE)
    look = first_look(path)
    assert look is not None
    plan = plan_of(look, is_ledger=True)
    assert plan is not None
    path.write_bytes(LEDGER_FILE.replace(b"pay_1", b"pay_2"))
    os.utime(path, ns=(1, 1))
    assert load_in_bulk(CONNECTION, look, plan, made="made") is None


def test_a_quote_that_never_ends_takes_no_long_time(tmp_path: Path) -> None:
    """Fails when the end of a quoted text is looked for anew from every line: a few megabytes would take minutes."""
    path = tmp_path / "file.csv"
    path.write_bytes(b'a,b\n1,"' + b"x\n" * 2_000_000)
    started = time.process_time()
    assert first_look(path) is None
    assert time.process_time() - started < 5


class Workspace(DuckDbWorkspace):
    """The workspace of the command, and the formats of the files that the readers read for it."""

    def __init__(self, *, threads: int) -> None:
        super().__init__(threads=threads)
        self.by_readers: list[FileFormat] = []

    def add_file(self, file: ReconciliationFile, *, gateway: str | None = None) -> None:
        self.by_readers.append(file.format)
        super().add_file(file, gateway=gateway)


def test_the_result_of_a_run_is_the_same() -> None:
    """Fails when the workspace loses, repeats or renames what was read in bulk: the whole run is compared."""
    example = REPOSITORY / "docs" / "examples" / "reconciliation"
    files = [reconcile.NamedFile(example / "acquirer.csv", "acquirer"), reconcile.NamedFile(example / "bank.csv", None)]
    results = []
    for bulk in (True, False):
        intake = Intake()
        with pytest.MonkeyPatch.context() as patch, Workspace(threads=1) as workspace:
            if not bulk:
                patch.setattr(reconcile, "first_look", lambda _: None)
            assert not reconcile.take_in(
                example / "ledger.csv", files, workspace, intake, PROGRESS, reconcile.Reading()
            )
            assert (FileFormat.GENERIC_GATEWAY_CSV in workspace.by_readers) is not bulk
            run = RunSettings(as_of_ms=intake.latest_ms)
            results.append((workspace.run(run), workspace.anomalies(run), intake, workspace.unknown_references()))
    assert results[0] == results[1]
    assert results[0][0].breaks
