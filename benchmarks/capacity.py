"""What one merchant, and all together, can do: the code's real requests against a model of DynamoDB's limits.

``python -m benchmarks.capacity`` captures the requests of one merchant alone at 1,000 payments a second and of 10,000 a
second by 100 merchants, sends them to the model in virtual time, and looks for the rate at which nothing is refused.
``--write`` writes both tables into docs/capacity.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.units.ceilings import rows
from benchmarks.units.page import markers, write
from benchmarks.units.partitions import Model, Outcome
from benchmarks.units.template import Template
from benchmarks.units.traffic import capture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.units.traffic import Traffic

COMMAND = "python -m benchmarks.capacity --write"
KEYS, LOADS = markers("partition keys", COMMAND), markers("loads", COMMAND)
KEYS_HEAD = ("table or index", "partition key", "write units", "one merchant, payments/s", "all, payments/s", "more")
LOADS_HEAD = ("payments/s", "merchants", "webhook", "sent again", "given up", "throttled", "conflicts", "goal")
SECONDS = 5.0  # sent to the model: several times what a partition saves up
SLOWER = (1.0, 0.8, 0.5, 0.3, 0.2, 0.16, 0.1)  # of the rate, to find what is still carried out
console = Console(width=150)


@dataclass(frozen=True, slots=True)
class Load:
    """What is captured."""

    rate: int
    merchants: int
    seconds: float
    webhooks: bool
    all_lanes: bool = False

    def capture(self) -> Traffic:
        """Return the code's requests."""
        return capture(self.rate, self.merchants, self.seconds, webhooks=self.webhooks, all_lanes=self.all_lanes)


ONE, ALL = Load(1_000, 1, 1.0, False), Load(10_000, 100, 0.25, False)
# An endpoint begins with one lane; the relay doubles them, up to four, when the database refuses deliveries.
ONE_LANE, ALL_LANES = Load(1_000, 1, 1.0, True), Load(1_000, 1, 1.0, True, all_lanes=True)


def main() -> int:
    """Print or write what becomes of each load; return 1 when something is throttled or too much sent again."""
    parser = argparse.ArgumentParser(prog="capacity", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/capacity.md")
    writes = parser.parse_args().write
    captured = [load.capture() for load in (ONE, ONE_LANE, ALL_LANES, ALL)]
    keys = rows(captured[2], captured[3], Template({}, "").schemas())
    loads, met = judged(captured)
    if writes:
        write(KEYS, KEYS_HEAD, keys)
        write(LOADS, LOADS_HEAD, loads)
    for head, lines in ((KEYS_HEAD, keys), (LOADS_HEAD, loads)):
        table = TextTable(*head)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    return 0 if met else 1


def judged(captured: Iterable[Traffic]) -> tuple[list[tuple[str, ...]], bool]:
    """Return a row for each load and each slower rate down to one that meets the goal, and whether all do at once."""
    lines, met = [], True
    for traffic in captured:
        for share in SLOWER:
            slower = slowed(traffic, share)
            outcome = Model().run(slower, SECONDS)
            lines.append(_line(slower, outcome))
            met &= share < 1 or outcome.is_met
            if outcome.is_met:
                break
    return lines, met


def slowed(traffic: Traffic, share: float) -> Traffic:
    """Return the same requests at ``share`` of the rate."""
    sent = tuple(replace(timed, at_ms=timed.at_ms / share) for timed in traffic.sent)
    return replace(traffic, rate=round(traffic.rate * share), sent=sent)


def _line(traffic: Traffic, outcome: Outcome) -> tuple[str, ...]:
    return (
        f"{traffic.rate:,}",
        str(traffic.merchants),
        ("one, all lanes" if traffic.all_lanes else "one, one lane") if traffic.webhooks else "none",
        f"{outcome.share_again:.2%}",
        f"{outcome.given_up:,}",
        _counts(outcome.throttled),
        _counts(outcome.conflicts),
        "met" if outcome.is_met else "MISSED",
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "-"


if __name__ == "__main__":
    sys.exit(main())
