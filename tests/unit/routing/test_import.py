"""The decision loop starts cold in a function: its import stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.support.aws import FAKE_CREDENTIALS, REPOSITORY

MAX_IMPORT_MS = 150
HEAVY = ("boto3", "botocore", "numpy", "pydantic", "aws_lambda_powertools", "simpy", "sklearn", "river")
PROGRAM = """
import json, sys, time
began = time.process_time()
import payonce.routing.cache, payonce.routing.predictor, payonce.routing.record, payonce.routing.route
import payonce.routing.predicting, payonce.routing.signals
print(json.dumps({"ms": 1000 * (time.process_time() - began), "modules": sorted(sys.modules)}))
"""


FUNCTION_PROGRAM = """
import json, time, boto3, botocore.config, boto3.dynamodb.types
boto3.client("dynamodb", region_name="eu-central-1")
began = time.process_time()
import app
app.APPLICATION.predictor_run()
print(json.dumps({"ms": 1000 * (time.process_time() - began)}))
"""


def test_the_predictors_function_starts_within_150_ms_beyond_boto3() -> None:
    """Fails when its composition root pulls in what payments, files or runs need."""
    folder = str(REPOSITORY / "functions" / "predict_routes")
    environment = {**os.environ, **FAKE_CREDENTIALS, "PYTHONPATH": os.pathsep.join([folder, *sys.path])}
    seen = []
    for _ in range(5):
        answer = subprocess.run(
            [sys.executable, "-c", FUNCTION_PROGRAM], capture_output=True, check=True, text=True, env=environment
        )
        seen.append(json.loads(answer.stdout)["ms"])
    assert min(seen) < MAX_IMPORT_MS


def test_the_import_takes_less_than_150_ms_of_processor_time() -> None:
    seen = []
    for _ in range(5):
        answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
        seen.append(json.loads(answer.stdout))
    assert min(one["ms"] for one in seen) < MAX_IMPORT_MS
    assert not {module.partition(".")[0] for module in seen[0]["modules"]} & set(HEAVY)
