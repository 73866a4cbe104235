"""The drills. The first one is the requirement; the others vary what it leaves open."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from simulation.outage.drill import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60.0
# Ten minutes at 100 payments a second, none of them executed: each has to be asked about, and sent again. The gateway
# comes back and takes 150 requests a second, which is what recovery is told.
REQUIRED = Scenario(payments_per_second=100, outage_seconds=10 * MINUTE, takes_per_second=150)

SCENARIOS: Mapping[str, tuple[str, Scenario]] = MappingProxyType(
    {
        "required": ("60,000 in doubt, none executed, 150 requests/s, what is more is refused", REQUIRED),
        "executed": (
            "60,000 in doubt, half executed, 150 requests/s, what is more waits at the gateway",
            Scenario(
                payments_per_second=100, outage_seconds=10 * MINUTE, takes_per_second=150, executed=0.5, refuses=False
            ),
        ),
        "misjudged": (
            "the same 60,000, and recovery is told 300/s where the gateway takes 150/s",
            Scenario(payments_per_second=100, outage_seconds=10 * MINUTE, takes_per_second=150, bound=300),
        ),
        "backlog": (
            "100,000 in doubt after 1,000 s, none executed, 150 requests/s",
            Scenario(payments_per_second=100, outage_seconds=1_000, takes_per_second=150),
        ),
        "hours": (
            "10,000 in doubt, none executed, 3 requests/s: two hours of queue",
            Scenario(payments_per_second=10, outage_seconds=1_000, takes_per_second=3, longest_seconds=4 * 60 * MINUTE),
        ),
        "neighbours": (
            "60,000 in doubt, nine tenths of one merchant; a second gateway works, a third one stays down",
            Scenario(
                payments_per_second=100,
                outage_seconds=10 * MINUTE,
                takes_per_second=150,
                greedy=0.9,
                others=1.0,
                dead=2_000,
            ),
        ),
    }
)
