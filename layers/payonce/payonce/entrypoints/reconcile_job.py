"""A reconciliation run as a Spark job: reads the tables of ``matching/tables.py`` as parquet, writes one JSON document.

It is uploaded unchanged beside a zip of the package; docs/reconciliation.md has the commands. The arguments have the
names of ``payonce reconcile``'s.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError
from payonce.engines.spark_engine import SparkEngine
from payonce.extras import needs
from payonce.reconciliation.matching.digest import canonical_json
from payonce.reconciliation.matching.tables import INPUT_TABLES
from payonce.reconciliation.runs.run_policy import RunPolicy

with needs("spark"):
    from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import RunSettings

JOB_VERSION = 1


def main(arguments: Sequence[str]) -> None:
    """Run once. Raises ``MisconfiguredError`` for an invalid policy; the job then fails without a result."""
    options = _options(arguments)
    try:
        policy = RunPolicy.model_validate_json(options.policy)
    except ValidationError as error:
        raise MisconfiguredError(f"--policy: {error}") from None
    settings = policy.settings(options.as_of_ms)
    with needs("spark"):
        from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]

    session = SparkSession.builder.appName("payonce").getOrCreate()
    result = run(session, options.input.rstrip("/"), settings)
    text = canonical_json(document_of(result, settings)).decode()
    # Fails where a result exists, so that no run replaces another run's result.
    session.createDataFrame([(text,)], "value STRING").coalesce(1).write.mode("error").text(options.output)
    print(f"{len(result.breaks)} breaks, digest {result.digest}", flush=True)  # noqa: T201


def run(session: Any, folder: str, settings: RunSettings) -> RunResult:
    """Run the rules over ``folder``/<table>, in a database of the run's own, which is dropped afterwards."""
    database = f"payonce_{uuid.uuid4().hex}"
    before = session.catalog.currentDatabase()
    session.sql(f"CREATE DATABASE {database}")
    try:
        session.catalog.setCurrentDatabase(database)
        engine = SparkEngine(session)
        for table in INPUT_TABLES:
            engine.add_parquet(table, [f"{folder}/{table}.parquet"])
        return engine.run(settings)
    finally:
        session.catalog.setCurrentDatabase(before)
        session.sql(f"DROP DATABASE {database} CASCADE")


def document_of(result: RunResult, settings: RunSettings) -> dict[str, Any]:
    """Return the run as plain JSON: settings, counts, sums, every break with its id and evidence, and the digest."""
    return {
        "version": JOB_VERSION,
        "settings": asdict(settings),
        "rows": {source.value: rows for source, rows in result.rows.items()},
        "tallies": [asdict(tally) for tally in result.tallies],
        "breaks": [
            {
                "break_id": found.break_id,
                "break_class": found.break_class,
                "subject": list(found.subject),
                "amount_minor": found.amount_minor,
                "currency": found.currency,
                "occurred_at_ms": found.occurred_at_ms,
                "merchant_id": found.merchant_id,
                "payment_id": found.payment_id,
                "gateway": found.gateway,
                "surplus_gateway_payment_id": found.surplus_gateway_payment_id,
                "evidence": [
                    {"source": row.source, "row_key": row.row_key, "fields": dict(row.fields)} for row in found.evidence
                ],
            }
            for found in result.breaks
        ],
        "digest": result.digest,
    }


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="reconcile_job")
    parser.add_argument("--input", required=True, help="folder with <table>.parquet of each table")
    parser.add_argument("--output", required=True, help="folder for the result, which is not there yet")
    parser.add_argument("--as-of-ms", required=True, type=int, help="the end of what is looked at, epoch ms")
    parser.add_argument("--policy", default=json.dumps({}), help="the policy as JSON instead of TOML")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
