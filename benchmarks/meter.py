"""Counts calls and DynamoDB units, and takes the time of what is measured."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable

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
