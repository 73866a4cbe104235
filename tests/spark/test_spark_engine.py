"""The compiled rules on Spark give what the rules give on DuckDB: the same breaks, counts, sums and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import BodyMalformed, ConservationViolated, StoreUnavailable
from payonce.engines import spark_engine
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.engines.spark_engine import SparkEngine
from payonce.reconciliation.digest import row_hash
from payonce.reconciliation.rules import RuleFile, rule_files
from payonce.reconciliation.tables import INPUT_TABLES
from tests.support.reconciliation_injector.compose import compose
from tests.support.reconciliation_injector.files import gateway_file, statement_file

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from payonce.reconciliation.model import RunResult
    from tests.support.reconciliation_injector.model import Case

TEXTS = ("", "a", "je_0123", "bank|txn_1", "Ünïcode ₤ 漢字 🙂", "x" * 200, "tab\tand\nline")


def on_duckdb(case: Case, folder: Path, *, halves: bool = False) -> RunResult:
    """Run the case, and leave its rows as parquet; with ``halves`` some in two files, which overlap."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(case.ledger)
        for gateway, rows in case.reported.items():
            parts = [rows[: len(rows) * 2 // 3], rows[len(rows) // 3 :]] if halves else [rows]
            for number, part in enumerate(parts):
                workspace.add_file(gateway_file(part, f"{gateway} {number}"), gateway=gateway)
        workspace.add_file(statement_file(case.statements, "bank"))
        workspace.write_parquet(folder)
        return workspace.run(case.settings)


def on_spark(spark: SparkSession, case: Case, folder: Path) -> RunResult:
    """Run the same rows on Spark."""
    engine = SparkEngine(spark)
    for table in INPUT_TABLES:
        engine.add_parquet(table, [str(folder / f"{table}.parquet")])
    return engine.run(case.settings)


@pytest.mark.parametrize(("seed", "halves"), [(1, False), (2, True)])
def test_every_class_is_found_alike_on_both(spark: SparkSession, tmp_path: Path, seed: int, halves: bool) -> None:
    """Fails when one compiled rule orders, compares, divides or hashes otherwise than DuckDB."""
    case = compose(seed, 3)
    expected = on_duckdb(case, tmp_path, halves=halves)
    result = on_spark(spark, case, tmp_path)
    planted = {one.break_class for one in case.planted if one.break_class.value != "double_charge"}
    assert {one.break_class for one in expected.breaks} >= planted
    assert [one.break_id for one in result.breaks] == [one.break_id for one in expected.breaks]
    assert result.breaks == expected.breaks
    assert result.tallies == expected.tallies
    assert result.digest == expected.digest


def test_a_clean_world_is_clean_on_both_and_a_run_can_be_repeated(spark: SparkSession, tmp_path: Path) -> None:
    """Fails when a second run meets what the first one left."""
    case = compose(5, 0)
    expected = on_duckdb(case, tmp_path)
    assert expected.breaks == ()
    assert on_spark(spark, case, tmp_path) == on_spark(spark, case, tmp_path) == expected


def test_spark_hashes_like_the_definition(spark: SparkSession, tmp_path: Path) -> None:
    """Fails when Spark's row_hash, as a function or compiled into the rules, is another one."""
    SparkEngine(spark).run(compose(0, 0).settings)
    rows = spark.createDataFrame([(text,) for text in TEXTS], "t STRING")
    rows.createOrReplaceTempView("texts")
    got = {row["t"]: row["h"] for row in spark.sql("SELECT t, row_hash(t) AS h FROM texts").collect()}
    assert got == {text: row_hash(text) for text in TEXTS}
    spark.catalog.dropTempView("texts")


def test_a_rule_that_loses_a_row_has_no_result(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the proofs are DuckDB's alone."""
    case = compose(3, 1)
    on_duckdb(case, tmp_path)

    def lossy(family: str, dialect: str) -> tuple[RuleFile, ...]:
        return tuple(RuleFile(file.name, _lose(file)) for file in rule_files(family, dialect))

    def _lose(file: RuleFile) -> tuple[str, ...]:
        return tuple(text.replace("v.source = 'ledger'", "FALSE") for text in file.statements)

    monkeypatch.setattr(spark_engine, "rule_files", lossy)
    with pytest.raises(ConservationViolated, match="ledger rows in"):
        on_spark(spark, case, tmp_path)


def test_what_is_not_there_is_said(spark: SparkSession, tmp_path: Path) -> None:
    """Fails when an error of Spark gets out of the adapter."""
    engine = SparkEngine(spark)
    with pytest.raises(BodyMalformed, match="No table 'ledgers'"):
        engine.add_parquet("ledgers", [])
    engine.add_parquet("ledger", [str(tmp_path / "none.parquet")])
    with pytest.raises(StoreUnavailable, match="Spark could not"):
        engine.run(compose(0, 0).settings)
