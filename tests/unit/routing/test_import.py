"""The decision loop starts cold in a function: its import stays small."""

from __future__ import annotations

import json
import subprocess
import sys

MAX_IMPORT_MS = 150
HEAVY = ("boto3", "botocore", "numpy", "pydantic", "aws_lambda_powertools", "simpy", "sklearn", "river")
PROGRAM = """
import json, sys, time
began = time.process_time()
import payonce.routing.cache, payonce.routing.predictor, payonce.routing.record, payonce.routing.route
import payonce.routing.signals
print(json.dumps({"ms": 1000 * (time.process_time() - began), "modules": sorted(sys.modules)}))
"""


def test_the_import_takes_less_than_150_ms_of_processor_time() -> None:
    seen = []
    for _ in range(5):
        answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
        seen.append(json.loads(answer.stdout))
    assert min(one["ms"] for one in seen) < MAX_IMPORT_MS
    assert not {module.partition(".")[0] for module in seen[0]["modules"]} & set(HEAVY)
