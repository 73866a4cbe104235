"""What a million payments cost, by the dated prices of benchmarks/prices.toml, at several rates.

A rate decides how full batches are: Lambda asks each shard of a stream four times a second
(docs.aws.amazon.com/lambda/latest/dg/with-ddb.html), and a table has a shard for each partition, which takes 1,000
write units a second; a new on-demand table has four.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.units.endpoint import Waits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.units.cases import Cases
    from benchmarks.units.charges import Schema
    from benchmarks.units.tally import Tally

PRICES = Path(__file__).resolve().parents[1] / "prices.toml"
RATES = (1, 100, 10_000)  # payments a second
MERCHANTS = 100
GOAL_RATIO = 1.5
MILLION = 1_000_000
NEW_TABLE_PARTITIONS = 4
PARTITION_WRITE_UNITS = 1_000  # a second
POLLS_PER_SECOND = 4  # of each shard
PARTS = ("DynamoDB writes", "DynamoDB reads", "SQS", "Lambda requests", "Lambda duration", "KMS", "API Gateway")


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list; ``document`` is the file's."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls) -> Prices:
        """Return the price list of the repository."""
        return cls(tomllib.loads(PRICES.read_text()))

    @property
    def waits(self) -> Waits:
        """Return how long a function waits for each service."""
        return Waits(**self.document["waits_ms"])

    def bill(self, units: Tally, *, requests: int, architecture: str) -> dict[str, float]:
        """Return the dollars for a million payments of ``units`` each, of which each is ``requests`` to the API."""
        prices = self.document
        called = {
            service: sum(count for name, count in units.calls.items() if name.startswith(service))
            for service in ("AmazonSQS", "Lambda", "TrentService")
        }
        gb_seconds = sum(units.gb_ms.values()) / 1000 * MILLION
        return dict(
            zip(
                PARTS,
                (
                    units.write_units * prices["dynamodb"]["write_request_units_per_million"],
                    units.read_units * prices["dynamodb"]["read_request_units_per_million"],
                    (called["AmazonSQS"] + called["Lambda"]) * prices["sqs"]["requests_per_million"],
                    sum(units.invocations.values()) * prices["lambda"]["requests_per_million"],
                    gb_seconds * prices["lambda"][f"{architecture}_gb_second"],
                    called["TrentService"] * prices["kms"]["requests_per_million"],
                    requests * prices["api_gateway"]["requests_per_million"],
                ),
                strict=True,
            )
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """One column: dollars by part for a million payments at ``rate``; ``batch`` is how many records came at once."""

    label: str
    rate: int
    batch: int
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """Return the dollars in all."""
        return sum(self.parts.values())


def bills(cases: Cases, prices: Prices) -> list[Bill]:
    """Return the bills of payonce without and with a webhook and of the stock stack, for every rate."""
    alone = cases.fresh().ours
    architecture = cases.stage.template.architecture
    sources = (source for function in cases.stage.functions for source in function.sources)
    # The overview's: in so many seconds it gathers a shard's records.
    window_seconds = max(int(source.properties.get("MaximumBatchingWindowInSeconds", 0)) for source in sources)
    made = []
    for rate in RATES:
        streamed = streamed_units(cases.stage.meter.schemas, alone)
        batch = batch_at(rate, streamed)
        cases.batch = batch
        gathered = max(1, rate * window_seconds // shards_at(rate, streamed))
        counted = cases.window(gathered, min(MERCHANTS, gathered)).divided(gathered)
        idle = cases.idle.divided(60 * rate)  # the schedules' minute, shared by that minute's payments
        for label, webhook in (("payonce", False), ("payonce, one webhook", True)):
            units = cases.many(2 * batch, min(MERCHANTS, 2 * batch), webhook=webhook)
            parts = prices.bill(units.less(idle, -1).less(counted, -1), requests=1, architecture=architecture)
            made.append(Bill(label, rate, batch, parts))
        stock = cases.fresh().stock
        assert stock is not None
        made.append(Bill("stock", rate, batch, prices.bill(stock, requests=1, architecture=architecture)))
    return made


def streamed_units(schemas: Mapping[str, Schema], units: Tally) -> float:
    """Return the most write units that a payment takes from a table with a stream."""
    streamed = [name for name, schema in schemas.items() if schema.stream]
    by_table = {name: sum(amount for (_, place), amount in units.write.items() if place == name) for name in streamed}
    return max(by_table.values(), default=0.0)


def batch_at(rate: int, units: float) -> int:
    """Return how many payments' records a poll of a shard brings, on a table that takes ``units`` for each."""
    return max(1, rate // (shards_at(rate, units) * POLLS_PER_SECOND))


def shards_at(rate: int, units: float) -> int:
    """Return how many shards the stream of a table has that takes ``units`` for each payment."""
    return max(NEW_TABLE_PARTITIONS, math.ceil(rate * units / PARTITION_WRITE_UNITS))
