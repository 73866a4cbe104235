"""The rules on DuckDB, in the process: files and ledger rows in, a ``RunResult`` out. Downloads no extensions."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import BodyMalformed, FileRejected, StoreUnavailable
from payonce.engines.duckdb_bulk import load_in_bulk
from payonce.engines.own_rules import label_rows
from payonce.extras import needs
from payonce.reconciliation.anomalies.find import find_anomalies
from payonce.reconciliation.anomalies.findings import judged_from_ms
from payonce.reconciliation.matching.matches import matches_of
from payonce.reconciliation.matching.normalise import bank_line_rows, bank_statement_rows, gateway_table_rows
from payonce.reconciliation.matching.open_items import open_items_of
from payonce.reconciliation.matching.results import read_result
from payonce.reconciliation.matching.rules import FAMILIES, rule_files
from payonce.reconciliation.matching.tables import INPUT_TABLES, TABLES, settings_rows

with needs("reconcile"):
    import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from payonce.reconciliation.anomalies.findings import Anomalies
    from payonce.reconciliation.matching.matches import MatchLine
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import LedgerRow, OpenItem, RunSettings
    from payonce.reconciliation.readers.bulk.facts import BulkFacts
    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.bulk.plan import BulkPlan
    from payonce.reconciliation.readers.rows import ReconciliationFile

INSERT_BATCH_ROWS: Final = 10_000  # per statement, as columns; 14 columns of that size are a few MB
FETCH_ROWS: Final = 10_000
UNKNOWN_REFERENCES_LIMIT: Final = 10_000  # each is looked up in the store; bounds the look-ups
# Equal to digest.row_hash: bytes 8 to 11 of the MD5, little-endian, computed from the whole number. md5_number_lower
# would go through a text of bits and take four times as long.
_ROW_HASH: Final = (
    "CREATE MACRO row_hash(t) AS CAST((md5_number(t) >> 64) & 4294967295 AS BIGINT) % CAST(2147483647 AS BIGINT)"
)
_RUN_SCHEMA: Final = "run"
# The kind under which our ledger has what a gateway's row takes back.
_BASE_KIND: Final = (
    "CASE kind WHEN 'uncaptured' THEN 'charge' WHEN 'charge_reversal' THEN 'charge' "
    "WHEN 'refund_reversal' THEN 'refund' ELSE kind END"
)


class DuckDbWorkspace:
    """``ReconciliationEngine`` on DuckDB. Add rows first; then run the rules any number of times.

    ``folder`` holds what exceeds ``memory_limit_mb``; by default a temporary folder, which ``close`` removes.
    Not thread-safe.
    """

    def __init__(self, folder: Path | None = None, *, memory_limit_mb: int = 512, threads: int = 2) -> None:
        self._own_folder = tempfile.TemporaryDirectory(prefix="payonce-") if folder is None else None
        self._folder = Path(self._own_folder.name) if self._own_folder else Path(str(folder))
        self._files: set[tuple[str, str | None]] = set()
        self._parts: dict[str, list[str]] = {table: [] for table in INPUT_TABLES}
        self._in_bulk = 0
        with _translated():
            self._connection = duckdb.connect(
                ":memory:",
                config={
                    "memory_limit": f"{memory_limit_mb}MB",
                    "threads": threads,
                    "temp_directory": str(self._folder / "spill"),
                    "preserve_insertion_order": False,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "allow_community_extensions": False,
                },
            )
            self._connection.execute(_ROW_HASH)
            for table in INPUT_TABLES:
                columns = ", ".join(f"{name} {kind}" for name, kind in TABLES[table].items())
                self._connection.execute(f"CREATE TABLE own_{table} ({columns})")

    def close(self) -> None:
        """Free the memory and the temporary folder. Idempotent."""
        self._connection.close()
        if self._own_folder:
            self._own_folder.cleanup()

    def __enter__(self) -> DuckDbWorkspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_ledger(self, rows: Iterable[LedgerRow]) -> None:
        """Add our own rows. Adding an equal row again changes nothing."""
        names = tuple(TABLES["ledger"])
        self._insert("ledger", (tuple(getattr(row, name) for name in names) for row in rows))

    def add_file(self, file: ReconciliationFile, *, gateway: str | None = None) -> None:
        """Add a file's rows. Idempotent per file. A gateway's report needs the gateway's name.

        Raises ``BodyMalformed`` when the name is missing.
        """
        if (file.file_id, gateway) in self._files:
            return
        if file.gateway_rows and not gateway:
            raise BodyMalformed("The report of a gateway needs the gateway's name, as the ledger has it.")
        if gateway:
            self._insert("gateway_row", gateway_table_rows(file, gateway))
        self._insert("bank_line", bank_line_rows(file))
        self._insert("bank_statement", bank_statement_rows(file))
        self._files.add((file.file_id, gateway))

    def add_in_bulk(self, look: FirstLook, plan: BulkPlan, *, gateway: str | None = None) -> BulkFacts | None:
        """See ``Workspace``. Idempotent per file of a gateway."""
        self._in_bulk += 1
        made = f"bulk_{self._in_bulk}"
        facts = load_in_bulk(self._connection, look, plan, made=made, gateway=gateway)
        if facts is not None:
            self._parts[plan.table].append(f"SELECT * FROM main.{made}")  # noqa: S608
            self._files.add((look.file_id, gateway))
        return facts

    def add_parquet(self, table: str, paths: Sequence[str]) -> None:
        """Add parquet files with the columns of ``table``. They are not copied: each run reads them in place.

        Raises ``FileRejected`` if they can't be read or lack a column.
        """
        if table not in INPUT_TABLES:
            raise BodyMalformed(f"No table {table!r}; there are {', '.join(INPUT_TABLES)}.")
        source = _parquet(table, paths)
        try:
            self._connection.execute(f"SELECT * FROM ({source}) AS probe LIMIT 0")  # noqa: S608
        except duckdb.Error as error:
            raise FileRejected(f"The parquet files of {table} can't be read: {_first_line(error)}") from error
        self._parts[table].append(source)

    def write_inputs(self, folder: Path) -> None:
        """Write ``<table>.parquet`` for each input table, as the input of another engine's run."""
        for table in INPUT_TABLES:
            self.write_table(table, str(folder / f"{table}.parquet"))

    def add_answered_ledger(self, paths: Sequence[str]) -> None:
        """Add those ledger rows of the parquet files that a gateway's row names, as a movement of the same kind.

        A dispute names a charge too, but does not report it.
        """
        source = _parquet("ledger", paths)
        with _translated():
            self._make_inputs()
            self._connection.execute(
                f"INSERT INTO main.own_ledger SELECT l.* FROM ({source}) AS l WHERE l.kind <> 'dispute' AND "  # noqa: S608
                f"((l.gateway, l.kind, l.reference) IN (SELECT gateway, {_BASE_KIND}, reference "
                "FROM main.gateway_row WHERE reference <> '') "
                f"OR (l.gateway, l.kind, l.gateway_payment_id) IN (SELECT gateway, {_BASE_KIND}, gateway_payment_id "
                "FROM main.gateway_row WHERE gateway_payment_id IS NOT NULL "
                "AND (coalesce(reference, '') = '' OR kind NOT IN ('charge', 'refund'))))"
            )

    def first_reported_ms(self) -> int | None:
        """See ``Workspace``."""
        with _translated():
            self._make_inputs()
            text = "SELECT min(created_at_ms) FROM main.gateway_row WHERE kind IN ('charge', 'refund')"
            [[first_ms]] = self._query(text)
            return None if first_ms is None else int(first_ms)

    def write_table(self, table: str, path: str) -> None:
        """Write the rows added to ``table`` to ``path``, in the format of ``add_parquet``."""
        with _translated():
            self._make_inputs()
            self._connection.execute(f"COPY main.{table} TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)")

    def reported(self, references: Collection[str]) -> set[str]:
        """See ``Workspace``."""
        with _translated():
            self._make_inputs()
            text = "SELECT DISTINCT reference FROM main.gateway_row WHERE reference IN (SELECT unnest(?))"
            return {row[0] for row in self._connection.execute(text, [sorted(references)]).fetchall()}

    def refunded_minor(self, charges: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """See ``Workspace``."""
        gateways, ids = [list(column) for column in zip(*sorted(charges), strict=True)] or ([], [])
        with _translated():
            self._make_inputs()
            rows = self._connection.execute(
                "SELECT gateway, gateway_payment_id, CAST(-sum(amount_minor) AS BIGINT) FROM ("
                # Of an id with several contents, take the one that refunds least: the others conflict and don't count.
                "SELECT gateway, gateway_payment_id, max(amount_minor) AS amount_minor FROM main.gateway_row "
                "WHERE kind IN ('refund', 'refund_reversal') "
                "AND (gateway, gateway_payment_id) IN (SELECT unnest(?), unnest(?)) "
                "GROUP BY gateway, transaction_id, gateway_payment_id) "
                "GROUP BY gateway, gateway_payment_id",
                [gateways, ids],
            ).fetchall()
        return {(row[0], row[1]): row[2] for row in rows}

    def run(self, settings: RunSettings, progress: Callable[[str, int, int], None] | None = None) -> RunResult:
        """See ``ReconciliationEngine``."""
        steps = [(family, file) for family in FAMILIES for file in rule_files(family)]
        with _translated():
            self._prepare(settings)
            for done, (_, file) in enumerate(steps):
                if progress:
                    progress(file.name, done, len(steps) + 1)
                for statement in file.statements:
                    self._connection.execute(statement)
            if progress:
                progress("results", len(steps), len(steps) + 1)
            made = {row[0] for row in self._query("SELECT table_name FROM information_schema.tables")}
            result = read_result(self._query, FAMILIES, made)
        if progress:
            progress("results", len(steps) + 1, len(steps) + 1)
        return result

    def matches(self) -> Iterator[MatchLine]:
        """Return which rows matched with which in the last run, lazily: no other statement may run in between."""
        with _translated():
            yield from matches_of(self._stream)

    def all_open_items(self) -> Iterator[OpenItem]:
        """Return every open item of the last run, lazily: no other statement may run in between."""
        with _translated():
            yield from open_items_of(self._stream, FAMILIES)

    def joined_statements(self) -> set[str]:
        """See ``Workspace``."""
        with _translated():
            text = "SELECT statement_key FROM bank_statement_verdict WHERE settled = 'matched' AND break_class = ''"
            return {row[0] for row in self._query(text)}

    def resting_on_unproved(self) -> set[str]:
        """See ``Workspace``."""
        text = (
            "WITH unproved AS (SELECT line_key FROM bank_line GROUP BY line_key HAVING max(proved) = 0), "
            "told AS (SELECT line_key, gateway, payout_id, currency FROM bank_own "
            "UNION SELECT line_key, gateway, payout_id, currency FROM bank_batch "
            "UNION SELECT line_key, gateway, payout_id, currency FROM bank_only_candidate) "
            "SELECT line_key FROM unproved UNION SELECT p.row_key FROM told AS t "
            "JOIN unproved AS u ON u.line_key = t.line_key JOIN bank_payout_row AS p "
            "ON p.gateway = t.gateway AND p.payout_id = t.payout_id AND p.currency = t.currency"
        )
        with _translated():
            return {row[0] for row in self._query(text)}

    def anomalies(self, settings: RunSettings) -> Anomalies:
        """See ``Workspace``. The engine scans everything; only suspect rows are returned to Python."""
        with _translated():
            self._make_inputs()
            return find_anomalies(self._stream, judged_from_ms=judged_from_ms(settings))

    def unknown_references(self) -> list[tuple[str, str]]:
        """Return (gateway, reference) of gateway rows missing from the ledger, sorted and limited in number.

        The store is asked for them: payonce may know of an attempt that it did not book.
        """
        with _translated():
            self._make_inputs()
            rows = self._query(
                "SELECT DISTINCT g.gateway, g.reference FROM gateway_row AS g "  # noqa: S608
                "WHERE g.kind IN ('charge', 'uncaptured', 'charge_reversal', 'refund', 'refund_reversal') "
                "AND g.reference <> '' AND NOT EXISTS (SELECT 1 FROM ledger AS l "
                # A dispute's entry stands under the reference of the charge. What takes back an entry may be of a later
                # period than the entry, without which it takes back nothing.
                "WHERE l.gateway = g.gateway AND l.reference = g.reference AND l.kind <> 'dispute' "
                "AND l.reverses_entry_id IS NULL) "
                f"ORDER BY g.gateway, g.reference LIMIT {UNKNOWN_REFERENCES_LIMIT}"
            )
            return [(row[0], row[1]) for row in rows]

    def _prepare(self, settings: RunSettings) -> None:
        execute = self._connection.execute
        execute(f"DROP SCHEMA IF EXISTS {_RUN_SCHEMA} CASCADE")
        execute("SET search_path = 'main'")
        self._make_inputs()
        for table, values in settings_rows(settings).items():
            columns = ", ".join(f"{name} {kind}" for name, kind in TABLES[table].items())
            execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
            for batch in _batches(values):
                parts = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in TABLES[table].values())
                execute(f"INSERT INTO {table} SELECT {parts}", [list(column) for column in zip(*batch, strict=True)])
        label_rows(self._connection, settings.rules)
        execute(f"CREATE SCHEMA {_RUN_SCHEMA}")
        execute(f"SET search_path = '{_RUN_SCHEMA},main'")

    def _make_inputs(self) -> None:
        for table in INPUT_TABLES:
            [[own]] = self._query(f"SELECT count(*) FROM main.own_{table}")  # noqa: S608
            parts = list(self._parts[table])
            if own or not parts:
                parts.append(f"SELECT * FROM main.own_{table}")  # noqa: S608
            self._connection.execute(f"CREATE OR REPLACE VIEW main.{table} AS {' UNION ALL '.join(parts)}")

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Insert all rows or none, in batches of columns, because DuckDB is slow row by row."""
        kinds = list(TABLES[table].values())
        values = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds)
        with _translated():
            self._connection.begin()
            try:
                for batch in _batches(rows):
                    columns = [list(column) for column in zip(*batch, strict=True)]
                    self._connection.execute(f"INSERT INTO main.own_{table} SELECT {values}", columns)
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    def _stream(self, text: str) -> Iterator[tuple[Any, ...]]:
        """Run the statement now and return its rows lazily. Only one stream at a time: the next statement ends it."""
        answer = self._connection.execute(text)

        def rows() -> Iterator[tuple[Any, ...]]:
            while batch := answer.fetchmany(FETCH_ROWS):
                yield from batch

        return rows()

    def _query(self, text: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(text).fetchall()


def _parquet(table: str, paths: Sequence[str]) -> str:
    quoted = ", ".join(f"'{_quoted(path)}'" for path in paths)
    columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in TABLES[table].items())
    return f"SELECT {columns} FROM read_parquet([{quoted}])"  # noqa: S608


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def _batches(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    batch: list[tuple[object, ...]] = []
    for row in rows:
        batch.append(tuple(str(value) if isinstance(value, str) else value for value in row))
        if len(batch) == INSERT_BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@contextmanager
def _translated() -> Iterator[None]:
    """Translate DuckDB's errors into our own."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreUnavailable(f"DuckDB could not do its part: {_first_line(error)}") from error
