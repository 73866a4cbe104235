"""Counts calls and DynamoDB units, and takes the time of what is measured."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.stores.dynamodb_client import HttpDynamoDB

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "300"))
WARM_UP = 30
console = Console()


@dataclass
class Meter:
    """Counts a client's calls, read and write units. A refused conditional put is billed by the stored item's size."""

    calls: int = 0
    write_units: float = 0
    read_units: float = 0
    samples_ms: list[float] = field(default_factory=list)

    def watch(self, client: Any) -> None:
        """Count what ``client`` does from now on."""
        client.meta.events.register("provide-client-params.dynamodb.*", self._ask_for_capacity)
        client.meta.events.register("before-send.*.*", self._count)
        client.meta.events.register("after-call.dynamodb.*", self._add)

    def watch_own(self, client: HttpDynamoDB) -> None:
        """Count what a client of ours does from now on; it has no hooks."""
        call = client.service.call

        def counted(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            self.calls += 1
            try:
                answer = call(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
            except ClientError as error:
                self._add(dict(error.response), SimpleNamespace(name=operation))
                raise
            self._add(answer, SimpleNamespace(name=operation))
            return answer

        client.service.call = counted  # type: ignore[method-assign]

    def _ask_for_capacity(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _count(self, **_: Any) -> None:
        self.calls += 1

    def _add(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        reads = model.name in {"GetItem", "Query"}
        consumed = parsed.get("ConsumedCapacity") or []
        for part in consumed if isinstance(consumed, list) else [consumed]:
            units = part.get("CapacityUnits", 0.0)
            if reads:
                self.read_units += units
            else:
                self.write_units += part.get("WriteCapacityUnits", units)
        if "Item" in parsed and "Error" in parsed:
            self.write_units += -(-item_size(parsed["Item"]) // 1024)

    def interleaved(self, cases: Mapping[str, Callable[[int], object]], rounds: int) -> list[Row]:
        """Run each case once a round, so that all meet the same machine, and return a row for each."""
        spent: dict[str, list[tuple[float, float, int, float]]] = {label: [] for label in cases}
        for number in track(range(-WARM_UP, rounds), description="rounds", console=console):
            for label, action in cases.items():
                calls, units = self.calls, self.write_units
                began, cpu = time.perf_counter(), time.thread_time()
                action(number)
                cpu, wall = time.thread_time() - cpu, time.perf_counter() - began
                if number >= 0:
                    spent[label].append((wall, cpu, self.calls - calls, self.write_units - units))
        rows = []
        for label, measured in spent.items():
            wall, cpus, calls_of, units_of = zip(*measured, strict=True)
            quantiles = [value * 1000 for value in statistics.quantiles(wall, n=100)]
            counts = (sum(calls_of) / rounds, sum(units_of) / rounds)
            rows.append(Row(label, *counts, quantiles[49], quantiles[98], statistics.median(cpus) * 1000))
        return rows

    def measure(self, action: Callable[[int], object], label: str) -> Row:
        """Run ``action`` ``REQUESTS`` times and return its row."""
        for number in range(WARM_UP):
            action(-number - 1)
        self.calls, self.write_units, self.samples_ms = 0, 0, []
        for number in track(range(REQUESTS), description=f"{label:44}", console=console):
            began = time.perf_counter()
            action(number)
            self.samples_ms.append((time.perf_counter() - began) * 1000)
        quantiles = statistics.quantiles(self.samples_ms, n=100)
        return Row(label, self.calls / REQUESTS, self.write_units / REQUESTS, quantiles[49], quantiles[98])


def item_size(item: dict[str, Any]) -> int:
    """Return an item's size in bytes as DynamoDB counts it, about: names, text and binaries as they are."""
    size = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size += len(name.encode())
        if kind == "M":
            size += item_size(value) + 3
        elif kind == "N":
            size += len(value) // 2 + 2
        else:
            size += len(value) if isinstance(value, str | bytes) else 1
    return size


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    label: str
    round_trips: float
    write_units: float
    p50_ms: float
    p99_ms: float
    cpu_p50_ms: float = 0.0  # of this process, where it was taken
