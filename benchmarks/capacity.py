"""What one merchant, and all together, can do: the code's real requests against a model of DynamoDB's limits.

``python -m benchmarks.capacity`` captures the requests of one merchant alone at 1,000 payments a second and of 10,000 a
second by 100 merchants, sends them to the model in virtual time, and looks for the rate at which something is refused.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.units.partitions import Model
from benchmarks.units.traffic import Timed, capture

if TYPE_CHECKING:
    from benchmarks.units.traffic import Traffic

LOADS = ((1_000, 1, 2.0), (10_000, 100, 0.5))  # payments a second, merchants, seconds that are captured
SECONDS = 5.0  # sent to the model: several times what a partition saves up
SLOWER = (1.0, 0.8, 0.5, 0.3, 0.2, 0.16, 0.1)  # of the rate, to find what is still carried out
console = Console(width=150)


def main() -> int:
    """Print what becomes of each load; return 1 when something is throttled or too much sent again."""
    met = True
    table = TextTable("payments/s", "merchants", "sent again", "given up", "throttled", "conflicts", "goal")
    for rate, merchants, seconds in LOADS:
        traffic = capture(rate, merchants, seconds)
        for share in SLOWER:
            outcome = Model().run(slowed(traffic, share), SECONDS)
            table.add_row(
                f"{rate * share:,.0f}",
                str(merchants),
                f"{outcome.share_again:.2%}",
                str(outcome.given_up),
                _counts(outcome.throttled),
                _counts(outcome.conflicts),
                "met" if outcome.is_met else "MISSED",
            )
            met &= share < 1 or outcome.is_met
            if outcome.is_met:
                break
    console.print(table)
    return 0 if met else 1


def slowed(traffic: Traffic, share: float) -> Traffic:
    """Return the same requests at ``share`` of the rate."""
    sent = tuple(Timed(timed.at_ms / share, timed.request) for timed in traffic.sent)
    return replace(traffic, rate=round(traffic.rate * share), sent=sent)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "-"


if __name__ == "__main__":
    sys.exit(main())
