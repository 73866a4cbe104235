"""What routing costs for 1,000 payments: read and write units on DynamoDB Local, and this processor's milliseconds.

A minute of traffic at each rate goes the whole way: stream records, items, the predictor's loop, documents. Time is
virtual; what is counted is what was really sent. One part of the cost is per payment (signals), the other per second
(the loop, documents, records): the rarer the payments, the more the second counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.meter import Meter
from local.dynamodb_local import running_dynamodb_local
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client, http_client
from tests.support.routing_world import RoutingWorld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database

RATES = tuple(int(rate) for rate in os.environ.get("PAYONCE_BENCH_RATES", "1,10,100").split(","))
SECONDS = int(os.environ.get("PAYONCE_BENCH_SECONDS", "60"))
IMPORT_RUNS = 7
CASES = {"well": 1.0, "one gateway demoted": 6.0}  # its latency, times the usual one
IMPORTS = {  # beyond boto3 with a client of DynamoDB, which every function has
    "predict_routes": "import app; app.APPLICATION.predictor_run()",
    "observe_claims": "import app; app.APPLICATION.database",
}
console = Console()


@dataclass(frozen=True)
class Cost:
    """Of one minute, for 1,000 payments."""

    label: str
    read_units: float
    write_units: float
    observe_ms: float
    predict_ms: float


class Timed(RoutingWorld):
    """Adds up the processor's time of both functions. Their database is in memory: its own time is in it, too."""

    observe_seconds = 0.0
    predict_seconds = 0.0

    def _observe(self) -> None:
        began = time.process_time()
        super()._observe()
        self.observe_seconds += time.process_time() - began

    def run_predictor(self, name: str, **how: Any) -> None:
        """Count what passes between two sleeps: others run in virtual time while this one sleeps."""
        began = time.process_time()
        sleep = self.time.sleep

        def counted(seconds: float) -> None:
            nonlocal began
            self.predict_seconds += time.process_time() - began
            sleep(seconds)
            began = time.process_time()

        self.sleep = counted
        super().run_predictor(name, **how)
        self.predict_seconds += time.process_time() - began


def traffic(world: RoutingWorld, per_second: int, slow: float) -> None:
    """Run a minute of it, and a predictor."""
    world.warm_up()
    world.slow["alder"] = slow
    world.start_traffic(SECONDS, per_second=per_second)
    world.start_predictor("run_1", seconds=SECONDS)
    world.run_until(SECONDS + 2)
    assert world.reports[0].published, "it decided nothing"


def cost(database: Database, meter: Meter, per_second: int, case: str) -> Cost:
    """Measure units on the database, and time in memory."""
    payments = per_second * SECONDS
    meter.read_units = meter.write_units = 0
    traffic(RoutingWorld(database), per_second, CASES[case])
    timed = Timed(MemoryDatabase())
    traffic(timed, per_second, CASES[case])
    each = 1000 / payments
    return Cost(
        f"{per_second} a second, {case}",
        meter.read_units * each,
        meter.write_units * each,
        timed.observe_seconds * 1000 * each,
        timed.predict_seconds * 1000 * each,
    )


def import_ms(function: str) -> float:
    """Return the processor's time of a function's start in fresh processes, beyond boto3's: the least of some."""
    program = (
        "import time, boto3, botocore.config, boto3.dynamodb.types\n"
        "boto3.client('dynamodb', region_name='eu-central-1')\n"
        f"t = time.process_time()\n{IMPORTS[function]}\nprint((time.process_time() - t) * 1000)"
    )
    environment = {**os.environ, "PYTHONPATH": f"functions/{function}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", program]
    samples = [
        float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
        for _ in range(IMPORT_RUNS)
    ]
    return min(samples)


def show(costs: Sequence[Cost]) -> None:
    """Print the table."""
    table = TextTable("for 1,000 payments", "read units", "write units", "observe CPU ms", "predict CPU ms")
    for one in costs:
        cells = (one.read_units, one.write_units, one.observe_ms, one.predict_ms)
        table.add_row(one.label, *(f"{cell:,.0f}" for cell in cells))
    console.print(table)


def main() -> int:
    """Print both tables."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    with running_dynamodb_local() as endpoint_url:
        client, tables = http_client(endpoint_url), dynamodb_client(endpoint_url)
        meter = Meter()
        meter.watch_own(client)
        costs = []
        for number, (rate, case) in enumerate((rate, case) for rate in RATES for case in CASES):
            database = DynamoDatabase(client, create_tables(tables, f"r{number}-"))
            costs.append(cost(database, meter, rate, case))
    show(costs)
    imports = TextTable("start of", "CPU ms beyond boto3")
    for function in IMPORTS:
        imports.add_row(function, f"{import_ms(function):.0f}")
    console.print(imports)
    return 0


if __name__ == "__main__":
    sys.exit(main())
