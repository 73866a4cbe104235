"""The compiled rules on Spark give what the rules give on DuckDB: the same breaks, counts, sums and digest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import payonce
from payonce.domain.errors import BodyMalformed, ConservationViolated, StoreUnavailable
from payonce.engines import spark_engine
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.engines.spark_engine import ROW_HASH, SparkEngine
from payonce.reconciliation.manual import Tolerance
from payonce.reconciliation.matching.digest import row_hash
from payonce.reconciliation.matching.rules import RuleFile, rule_files
from payonce.reconciliation.matching.tables import INPUT_TABLES
from payonce.reconciliation.taxonomy import CLASSES
from tests.support.manual_matches import pairs_of
from tests.support.reconciliation_injector.compose import compose
from tests.support.reconciliation_injector.files import gateway_file, statement_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from payonce.reconciliation.matching.run_result import RunResult
    from tests.support.reconciliation_injector.model import Case

PACKAGE = Path(payonce.__file__).parent
FEE_OF_A_POLICY = ("gateway", "currency", "fixed_minor", "basis_points", "tolerance_minor")
TEXTS = ("", "a", "je_0123", "bank|txn_1", "Ünïcode ₤ 漢字 🙂", "x" * 200, "tab\tand\nline")


def on_duckdb(case: Case, folder: Path) -> RunResult:
    """Run the case, each gateway in two files that overlap, and leave its rows as parquet."""
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(case.ledger)
        for gateway, rows in case.reported.items():
            for number, part in enumerate((rows[: len(rows) * 2 // 3], rows[len(rows) // 3 :])):
                workspace.add_file(gateway_file(part, f"{gateway} {number}"), gateway=gateway)
        workspace.add_file(statement_file(case.statements, "bank"))
        workspace.write_inputs(folder)
        return workspace.run(case.settings)


def on_spark(spark: SparkSession, case: Case, folder: Path) -> RunResult:
    """Run the same rows on Spark."""
    engine = SparkEngine(spark)
    for table in INPUT_TABLES:
        engine.add_parquet(table, [str(folder / f"{table}.parquet")])
    return engine.run(case.settings)


def test_every_class_is_found_alike_on_both(spark: SparkSession, tmp_path: Path) -> None:
    """Over files that overlap: a compiled rule orders, compares, divides and hashes as DuckDB does."""
    case = compose(2, 3)
    expected = on_duckdb(case, tmp_path)
    result = on_spark(spark, case, tmp_path)
    deterministic = {one.break_class for one in case.planted if CLASSES[one.break_class].deterministic}
    assert {one.break_class for one in expected.breaks} == deterministic
    assert result.breaks == expected.breaks
    assert result.tallies == expected.tallies
    assert result.digest == expected.digest


def test_what_people_decided_is_applied_alike_on_both(spark: SparkSession, tmp_path: Path) -> None:
    """Fails when a match by hand or a tolerance, or what is said of it, is another one on Spark."""
    case = compose(2, 3)
    tolerances = tuple(
        Tolerance(gateway=gateway, currency="EUR", basis_points=1_000, payout=payout, reason="a tenth")
        for gateway in case.reported
        for payout in (False, True)
    )
    plain = on_duckdb(case, tmp_path)
    settings = replace(case.settings, matches=tuple(pairs_of(plain.breaks)), tolerances=tolerances)
    decided = replace(case, settings=settings)
    expected = on_duckdb(decided, tmp_path)
    assert expected.matches
    assert expected.differences
    result = on_spark(spark, decided, tmp_path)
    assert result.matches == expected.matches
    assert result.differences == expected.differences
    assert result.digest == expected.digest


def test_the_job_leaves_the_same_run(tmp_path: Path) -> None:
    """The job as it is submitted, beside a zip of the package: it finds the rules and judges by the policy given."""
    case = compose(5, 1)
    expected = on_duckdb(case, tmp_path)
    folder = PACKAGE.parent
    archive = shutil.make_archive(str(tmp_path / "payonce"), "zip", folder, "payonce")
    policy: dict[str, Any] = {name: value for name, value in asdict(case.settings).items() if isinstance(value, int)}
    as_of_ms = policy.pop("as_of_ms")
    policy["fees"] = [{name: getattr(fee, name) for name in FEE_OF_A_POLICY} for fee in case.settings.fees]
    submit = Path(sys.executable).parent / "spark-submit"
    options = ["--master", "local[2]", "--py-files", archive, "--conf", f"spark.sql.warehouse.dir={tmp_path}/work"]
    for conf in ("spark.sql.shuffle.partitions=2", "spark.ui.enabled=false", "spark.driver.bindAddress=127.0.0.1"):
        options += ["--conf", conf]
    script = shutil.copy(PACKAGE / "entrypoints" / "reconcile_job.py", tmp_path)  # alone, as it is uploaded
    job = [str(script), "--input", str(tmp_path), "--output", f"{tmp_path}/out"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    subprocess.run(
        [str(submit), *options, *job, "--as-of-ms", str(as_of_ms), "--policy", json.dumps(policy)],
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    [written] = (tmp_path / "out").glob("part-*")
    document = json.loads(written.read_text())
    assert document["digest"] == expected.digest
    assert [one["break_id"] for one in document["breaks"]] == [one.break_id for one in expected.breaks]
    assert document["settings"] == json.loads(json.dumps(asdict(case.settings)))
    assert list((tmp_path / "work").glob("*")) == [], "the job left its tables"


def test_spark_hashes_like_the_definition(spark: SparkSession) -> None:
    """Fails when Spark's row_hash, as a function or compiled into the rules, is another one."""
    spark.sql(ROW_HASH)
    rows = spark.createDataFrame([(text,) for text in TEXTS], "t STRING")
    rows.createOrReplaceTempView("texts")
    got = {row["t"]: row["h"] for row in spark.sql("SELECT t, row_hash(t) AS h FROM texts").collect()}
    assert got == {text: row_hash(text) for text in TEXTS}
    [bulk] = [file for file in rule_files("transactions", compiled=True) if file.name == "10_bulk"]
    [rule] = [text for text in bulk.statements if "TABLE transactions_identity" in text]
    inlined = next(part for part in rule.split("AS id_hash") if "entry_id" in part).rpartition("SELECT")[2]
    compiled = spark.sql(f"SELECT t, {inlined.replace('entry_id', 't')} AS h FROM texts")  # noqa: S608
    assert {row["t"]: row["h"] for row in compiled.collect()} == got
    spark.catalog.dropTempView("texts")


def test_a_rule_that_loses_a_row_has_no_result(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proofs are not DuckDB's alone."""
    case = compose(3, 1)
    on_duckdb(case, tmp_path)

    def lossy(family: str, *, compiled: bool) -> tuple[RuleFile, ...]:
        return tuple(RuleFile(file.name, _lose(file)) for file in rule_files(family, compiled=compiled))

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
