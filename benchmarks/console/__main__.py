"""Each page's time beside 1,000 payments and beside 100,000, in turn: ``python -m benchmarks.console``.

The functions' own handlers run here, on DynamoDB Local, whose indexes cost as little as DynamoDB's (the local cloud's
read whole partitions). Two sets of tables are on one server, and each page is asked for in turn from the one and the
other, so that what a busy machine does happens to both. The lists are longer than a page, and the exports longer than a
file, in both. It fails if a page beside many takes more than twice its time beside few.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from moto import mock_aws

from benchmarks.console.data import Month, copy
from local.dynamodb_local import running_dynamodb_local
from payonce.clock import SystemClock
from payonce.wiring.delivery import DeliveryApplication
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REGION, create_tables, dynamo_database, dynamodb_client
from tests.support.console import signed_in

if TYPE_CHECKING:
    from tests.support.console import Browser

GOAL = 2.0
FEWEST_BREAKS = 1_000
FEWEST_DOUBTS, MOST_DOUBTS = 100, 1_000  # two pages of keys, and an outage's worth
ROUNDS, WARM_ROUNDS = 15, 3
NOISE_SECONDS = 0.005  # below this a ratio says nothing
BUCKET, KEYS = "payonce-benchmark", '[{"name":"sandbox_bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]'


@dataclass
class Beside:
    """A console beside so many payments."""

    payments: int
    browser: Browser
    paths: dict[str, str]

    def seconds(self, page: str) -> float:
        """Return how long a page takes. Raises ``RuntimeError`` if it is none."""
        began = time.perf_counter()
        answer = self.browser.get(self.paths[page])
        took = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{self.paths[page]} beside {self.payments}: {answer.status}")
        return took


def beside(url: str, payments: int, breaks: int) -> Beside:
    """Fill tables, and return a console on them with an approver signed in."""
    client = dynamodb_client(url)
    names = create_tables(client, f"of-{payments}-")
    began = time.perf_counter()
    doubts = min(max(payments // 100, FEWEST_DOUBTS), MOST_DOUBTS)
    month = Month(SystemClock().now_ms(), payments, breaks, doubts).write()
    written = time.perf_counter() - began
    items = copy(month.database, client, names)
    print(
        f"{payments} payments, {breaks} breaks, {doubts} in doubt: written in {written:.0f} s, {items} items copied",
        flush=True,
    )
    application = DeliveryApplication(
        load_settings(
            {
                "PAYONCE_ENVIRONMENT": "local",
                "PAYONCE_GATEWAYS": KEYS,
                "PAYONCE_DEFAULT_GATEWAY": "sandbox_bank",
                "PAYONCE_RECONCILIATION_BUCKET": BUCKET,
            }
        ),
        clock=SystemClock(),
        database=dynamo_database(client, names),
    )
    return Beside(payments, signed_in(application), paths_of(month))


def paths_of(month: Month) -> dict[str, str]:
    """Return the pages that are measured."""
    of = f"merchant={month.merchant_id}"
    payment, key = month.payment_ids[len(month.payment_ids) // 2], month.keys[len(month.keys) // 3]
    return {
        "overview": "/",
        "overview of a merchant": f"/?{of}",
        "payments": f"/payments?{of}",
        "payments, declined": f"/payments?{of}&status=declined",
        "payments, in doubt": f"/payments?{of}&status=in_doubt",
        "payments by reference": f"/payments?{of}&reference=order-11",
        "payments, CSV": f"/payments?{of}&format=csv",
        "a payment": f"/payments/{payment}?{of}",
        "keys": f"/keys?{of}",
        "a key": f"/keys?{of}&key={quote(key)}",
        "webhooks": f"/webhooks?{of}",
        "gateways": "/gateways",
        "breaks": "/breaks",
        "breaks of a merchant": f"/breaks?{of}",
        "breaks, CSV": f"/breaks?{of}&format=csv",
        "a break": f"/breaks/{month.break_ids[len(month.break_ids) // 2]}?{of}",
        "runs": "/runs",
        "files": "/files",
        "balances": f"/balances?{of}",
        "audit": f"/audit?{of}",
    }


def measure(few: Beside, many: Beside) -> list[tuple[str, float, float, float]]:
    """Return each page's median seconds beside few and many, and how often it takes as long."""
    found = []
    for page in few.paths:
        times: dict[int, list[float]] = {few.payments: [], many.payments: []}
        try:
            for number in range(WARM_ROUNDS + ROUNDS):
                for one in (few, many):
                    seconds = one.seconds(page)
                    if number >= WARM_ROUNDS:
                        times[one.payments].append(seconds)
        except RuntimeError as error:
            print(f"  {error}")
            found.append((page, 0.0, 0.0, float("inf")))
            continue
        little, much = median(times[few.payments]), median(times[many.payments])
        found.append((page, little, much, much / max(little, NOISE_SECONDS)))
    return found


def main() -> int:
    """Measure, print a table, and return whether a page is too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console")
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.update(FAKE_CREDENTIALS)
    with running_dynamodb_local() as url:
        few, many = (beside(url, count, max(count // 10, FEWEST_BREAKS)) for count in (options.few, options.many))
        with mock_aws():  # the bucket of runs and files, which are not what is many here
            boto3.client("s3", region_name=REGION).create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
            )
            found = measure(few, many)
    print(f"| page | ms beside {few.payments:,} | ms beside {many.payments:,} | times |\n| --- | --- | --- | --- |")
    for page, little, much, ratio in found:
        print(f"| {page} | {little * 1000:.0f} | {much * 1000:.0f} | {ratio:.1f} |")
    slow = [page for page, _, _, ratio in found if ratio > GOAL]
    print(f"goal: at most {GOAL:.0f} times. {f'Too slow: {slow}' if slow else 'Met.'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
