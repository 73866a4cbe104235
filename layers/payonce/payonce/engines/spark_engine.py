"""The compiled rules on Spark, for data that exceeds one machine. The result equals DuckDB's, digest included.

PySpark is not in the Lambda layers: a job on EMR Serverless, or your own machine, has to provide it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import BodyMalformed, StoreUnavailable
from payonce.extras import needs
from payonce.reconciliation.matching.results import read_result
from payonce.reconciliation.matching.rules import FAMILIES, rule_files
from payonce.reconciliation.matching.tables import INPUT_TABLES, TABLES, settings_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import RunSettings

# Equal to digest.row_hash: bytes 8 to 11 of the MD5, little-endian.
ROW_HASH: Final = (
    "CREATE OR REPLACE TEMPORARY FUNCTION row_hash(t STRING) RETURNS BIGINT RETURN CAST(CONV(CONCAT("
    "SUBSTR(MD5(t), 23, 2), SUBSTR(MD5(t), 21, 2), SUBSTR(MD5(t), 19, 2), SUBSTR(MD5(t), 17, 2)), 16, 10) AS BIGINT)"
    " % 2147483647"
)
_SPARK_TYPES: Final = {"VARCHAR": "STRING", "BIGINT": "BIGINT"}


def local_session(folder: Path, *, memory_mb: int, partitions: int, cores: int = 2) -> Any:
    """Return a Spark session in this process, for tests and measurements. Its data and spill files lie in ``folder``.

    A Java process has one session: the first session's memory setting stays in force.
    """
    with needs("spark"):
        from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]

    # Spark's workers take python3 from the PATH. If its version differs, they refuse to work.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.memory": f"{memory_mb}m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "spill"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.shuffle.partitions": str(partitions),
        "spark.sql.session.timeZone": "UTC",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("payonce")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


class SparkEngine:
    """``ReconciliationEngine`` on Spark. The ``SparkSession``'s current database must be this run's alone."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._parquet: dict[str, list[str]] = {table: [] for table in INPUT_TABLES}

    def add_parquet(self, table: str, paths: Sequence[str]) -> None:
        """Add parquet files with the columns of ``table``."""
        if table not in INPUT_TABLES:
            raise BodyMalformed(f"No table {table!r}; there are {', '.join(INPUT_TABLES)}.")
        self._parquet[table].extend(paths)

    def run(self, settings: RunSettings, progress: Callable[[str, int, int], None] | None = None) -> RunResult:
        """See ``ReconciliationEngine``."""
        if settings.rules:
            # Spark's regular expressions backtrack, and would do so over texts that strangers write.
            raise BodyMalformed("Rules of one's own ([[rules]]) run on one machine only: leave them out of the policy.")
        with needs("spark"):
            from pyspark.errors import PySparkException  # type: ignore[import-not-found,unused-ignore]

        steps = [file for family in FAMILIES for file in rule_files(family, compiled=True)]
        try:
            self._prepare(settings)
            for done, file in enumerate(steps):
                if progress:
                    progress(file.name, done, len(steps) + 1)
                for statement in file.statements:
                    self._session.sql(statement)
            made = {row["tableName"] for row in self._session.sql("SHOW TABLES").collect()}
            result = read_result(self._query, FAMILIES, made)
        except PySparkException as error:
            raise StoreUnavailable(f"Spark could not do its part: {str(error).partition(chr(10))[0]}") from error
        if progress:
            progress("results", len(steps) + 1, len(steps) + 1)
        return result

    def _prepare(self, settings: RunSettings) -> None:
        for row in self._session.sql("SHOW TABLES").collect():
            kind = "VIEW" if self._session.catalog.getTable(row["tableName"]).tableType == "VIEW" else "TABLE"
            self._session.sql(f"DROP {kind} IF EXISTS {row['tableName']}")
        self._session.sql(ROW_HASH)
        for table in INPUT_TABLES:
            columns = ", ".join(f"CAST({name} AS {_SPARK_TYPES[kind]}) AS {name}" for name, kind in _columns(table))
            parts = [f"SELECT {columns} FROM parquet.`{path}`" for path in self._parquet[table]]  # noqa: S608
            empty = ", ".join(f"CAST(NULL AS {_SPARK_TYPES[kind]}) AS {name}" for name, kind in _columns(table))
            self._session.sql(f"CREATE VIEW {table} AS {' UNION ALL '.join(parts) or f'SELECT {empty} WHERE FALSE'}")
        for table, values in settings_rows(settings).items():
            schema = ", ".join(f"{name} {_SPARK_TYPES[kind]}" for name, kind in _columns(table))
            self._session.createDataFrame(values, schema).write.saveAsTable(table)

    def _query(self, text: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._session.sql(text).collect()]


def _columns(table: str) -> list[tuple[str, str]]:
    return list(TABLES[table].items())
