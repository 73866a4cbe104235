"""``python -m simulation.outage [NAME ...]``: play drills at their full size, and print what came of them."""

from __future__ import annotations

import argparse
import gc
import logging
import statistics
import time

from rich.console import Console

from simulation.outage.drill import Drill, Result
from simulation.outage.scenarios import SCENARIOS

console = Console(width=120, highlight=False)
LIMIT_SECONDS = 15 * 60  # the requirement, from the gateway's return


def main() -> int:
    """Return 1 when a payment ended unasked or was charged twice, or the required drill took too long."""
    parser = argparse.ArgumentParser(prog="python -m simulation.outage", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SCENARIOS), metavar="NAME", help=", ".join(SCENARIOS))
    logging.disable(logging.CRITICAL)
    gc.disable()  # a drill keeps millions of objects to its end, and the collector would walk through all of them
    failed = False
    for name in parser.parse_args().names:
        text, scenario = SCENARIOS[name]
        began = time.perf_counter()
        result = Drill(scenario).run()
        console.print(f"[bold]{name}[/bold]: {text} ({time.perf_counter() - began:.0f} s here)")
        for line in lines(result):
            console.print(f"  {line}")
        late = result.drained is None or (name == "required" and result.drained > LIMIT_SECONDS)
        failed = failed or late or bool(result.unasked or result.charged_twice)
    return int(failed)


def lines(result: Result) -> list[str]:
    """Return the figures of a result."""
    drained = "not drained" if result.drained is None else f"drained {_clock(result.drained)} after its return"
    asks = sorted(result.asks.elements())
    found = [
        f"{result.payments:,} payments: {drained}; {result.unasked} ended unasked, {result.not_executed} not executed, "
        f"{result.charged_twice} charged twice",
        f"in doubt by minute: {_thinned(result.in_doubt_by_minute)}",
        f"inquiries a payment, its own request's included: median {statistics.median(asks):.0f}, "
        f"99 % {asks[len(asks) * 99 // 100]}, most {asks[-1]}",
        f"requests: {result.requests_in_outage:,} in the outage ({2 * result.payments:,} of them the payments' own), "
        f"{result.requests_after:,} afterwards, {result.refused:,} refused or too late",
        f"{result.invocations:,} executions of askers, at most {result.most_running} at the same time",
    ]
    for whose, waits in sorted(result.waits.items()):
        since = "their request" if whose == "other gateway" else "the gateway's return"
        found.append(f"{whose}: {len(waits):,} settled {_spread(waits)} after {since}")
    if result.dead_requests:
        found.append(f"the gateway that stays down got {result.dead_requests:,} requests")
    if result.errors or result.cut_off:
        found.append(f"errors: {dict(result.errors)}; cut off: {result.cut_off}")
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _spread(waits: list[float]) -> str:
    ordered = sorted(waits)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"{_clock(middle)} (median), {_clock(late)} (99 %), {_clock(ordered[-1])} (last)"


def _thinned(counts: list[int]) -> str:
    step = max(1, len(counts) // 24)
    return " ".join(f"{count:,}" for count in counts[step - 1 :: step])


if __name__ == "__main__":
    raise SystemExit(main())
