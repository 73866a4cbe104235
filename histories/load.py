"""Load, and load with restarts: ``python -m histories.load``.

``capacity``: closed and open loops with 1,000 to 100,000 stored keys. ``restarts``: the store, what stands behind, and
a worker are killed in turn under a constant rate; nothing may be executed twice, nothing acknowledged lost, and the
slowest requests have to be as before within a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from histories.history import History
from histories.report import verdict, write_part
from histories.run import CLIENTS, SETTLE_SECONDS, Clients, concluded
from histories.stored import fill
from histories.traffic import Sample, back_after, closed_loop, open_loop, percentile
from histories.workload import Workload
from histories.worlds import running_world
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histories.servers import Server
    from histories.worlds import World

PAGE = Path("docs/histories.md")
STORED = (1_000, 10_000, 100_000)
CAPACITY_SECONDS = 10.0
OPEN_SHARE = 0.5  # of what a closed loop takes: an open loop at the limit only measures its own queue
MEASURED_SECONDS = 5.0
MOST_BACK_SECONDS = 60.0
WINDOW_SECONDS = 5.0
# Between two restarts, at most and at least: a tenth of the time, so that each server is killed three times.
RESTART_EVERY_SECONDS = (15.0, 60.0)
QUIET_SECONDS = 10.0  # before the first restart: what "as before" means
NOISE_FACTOR = 2.0  # the p99 of two windows of a quiet run differs by less
CAPACITY_WORLDS = (("sidecar", "valkey"), ("api", "dynamodb"))  # how much is stored matters to stores, not to fronts
WORLDS = (("sidecar", "valkey"), ("in_process", "valkey"), ("sidecar", "dynamodb"), ("api", "dynamodb"))


@contextmanager
def loaded(
    front: str, store: str, stored: int = 0, *, is_durable: bool = True
) -> Iterator[tuple[World, Clients, Workload]]:
    """Run a world with ``stored`` old keys, and yield it with its clients."""
    with (
        tempfile.TemporaryDirectory(prefix="payonce-load-") as folder,
        running_world(front, store, Path(folder), is_durable=is_durable) as world,
    ):
        fill(world.store, stored)
        yield world, Clients(world, History()), Workload(Random(1), prefix=f"{front}-{store}")


def capacity(worlds: Sequence[tuple[str, str]], stored: Sequence[int]) -> tuple[list[str], bool]:
    """Return the table of closed and open loops, and whether all was well."""
    rows = [
        "| front and store | stored keys | closed loop, a second | p50 ms | p99 ms | open loop, a second | p50 ms "
        "| p99 ms | verdict |",
        "|---|" + "---:|" * 7 + "---|",
    ]
    well = True
    for front, store in worlds:
        for count in stored:
            # DynamoDB Local's file takes a minute for a few thousand items; nothing is killed here.
            with loaded(front, store, count, is_durable=store != "dynamodb") as (world, asking, workload):
                closed_loop(asking, workload, CLIENTS, 2)  # what is first is compiled, connected and cached
                closed = closed_loop(asking, workload, CLIENTS, CAPACITY_SECONDS)
                rate = OPEN_SHARE * len(closed) / CAPACITY_SECONDS
                opened = open_loop(asking, workload, rate, CAPACITY_SECONDS)
                done = concluded(asking, 0, Counter(), clients=CLIENTS, settle_seconds=SETTLE_SECONDS, all_keys=False)
            well = well and not done.findings.problems
            rows.append(
                f"| {world.name} | {count:,} | {len(closed) / CAPACITY_SECONDS:,.0f} | {_p(closed)} "
                f"| {rate:,.0f} | {_p(opened)} | {verdict(done)} |"
            )
            print(rows[-1], flush=True)
    return rows, well


def restarts(front: str, store: str, *, per_second: float, seconds: float) -> tuple[list[str], bool]:
    """Return the table of restarts under a constant rate, and whether nothing was doubled, lost or slow for long.

    ``per_second`` 0: half of what a closed loop takes.
    """
    every_seconds = min(max(seconds / 10, RESTART_EVERY_SECONDS[0]), RESTART_EVERY_SECONDS[1])
    with loaded(front, store) as (world, asking, workload):
        closed_loop(asking, workload, CLIENTS, 2)
        taken = len(closed_loop(asking, workload, CLIENTS, MEASURED_SECONDS)) / MEASURED_SECONDS
        per_second = per_second or max(1.0, round(OPEN_SHARE * taken))
        began = time.monotonic()
        killed: list[tuple[str, float]] = []
        striking = threading.Thread(
            target=_restart_in_turn, args=(world, asking.history, began, seconds, every_seconds, killed)
        )
        striking.start()
        samples = open_loop(asking, workload, per_second, seconds)
        striking.join()
        faults = Counter(name for name, _ in killed)
        done = concluded(asking, seconds, faults, clients=CLIENTS, settle_seconds=SETTLE_SECONDS, all_keys=False)
    before = percentile([one.latency_seconds for one in samples if one.at_seconds < QUIET_SECONDS], 0.99)
    limit_seconds = NOISE_FACTOR * before
    rows = [
        f"{world.name}, {per_second:g} requests a second for {seconds:g} s (a closed loop takes {taken:,.0f}), "
        f"{len(done.history.executions):,} keys executed: {verdict(done)}. "
        f"p99 before the first restart: {1000 * before:,.0f} ms.",
        "",
        f"| killed | at s | unanswered or refused in the {every_seconds:g} s after | slowest answer s "
        "| p99 as before after s |",
        "|---|---:|---:|---:|---:|",
    ]
    well = not done.findings.problems
    for name, at_seconds in killed:
        after = [one for one in samples if at_seconds <= one.at_seconds < at_seconds + every_seconds]
        lost = sum(one.outcome.value in ("unknown", "not_executed", "busy") for one in after)
        slowest = max((one.latency_seconds for one in after), default=0.0)
        back = back_after(samples, at_seconds, limit_seconds=limit_seconds, window_seconds=WINDOW_SECONDS)
        well = well and back is not None and back <= MOST_BACK_SECONDS
        shown = "not until the end" if back is None else f"{back:.0f}"
        rows.append(f"| {name} | {at_seconds:.0f} | {lost:,} of {len(after):,} | {slowest:.1f} | {shown} |")
    print("\n".join([*rows, *list(done.findings.problems.values())[:3]]), flush=True)
    return rows, well


def _restart_in_turn(
    world: World,
    history: History,
    began: float,
    seconds: float,
    every_seconds: float,
    killed: list[tuple[str, float]],
) -> None:
    turns: list[tuple[str, Server]] = [
        ("the store", world.store),
        ("what stands behind", world.behind),
        ("a worker", world.workers[0]),
    ]
    number = 0
    at_seconds = QUIET_SECONDS
    while at_seconds + every_seconds <= seconds:
        time.sleep(max(0.0, began + at_seconds - time.monotonic()))
        name, server = turns[number % len(turns)]
        killed.append((name, time.monotonic() - began))
        history.note(f"killed {name}")
        server.kill()
        server.start()
        history.note(f"restarted {name}")
        number += 1
        at_seconds += every_seconds


def _p(samples: Sequence[Sample]) -> str:
    latencies = [sample.latency_seconds for sample in samples]
    return f"{1000 * percentile(latencies, 0.5):,.0f} | {1000 * percentile(latencies, 0.99):,.0f}"


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all was well, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m histories.load", description=__doc__)
    parser.add_argument("what", choices=["capacity", "restarts"])
    parser.add_argument("--only", default="", help="part of a world's name, such as 'sidecar on valkey'")
    parser.add_argument(
        "--rate", type=float, default=0, help="of restarts, requests a second (default: half of what is taken)"
    )
    parser.add_argument("--seconds", type=float, default=100, help="of restarts (default: 100)")
    parser.add_argument("--stored", type=int, nargs="*", default=STORED, help="keys that the store has already")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE}")
    chosen = parser.parse_args(arguments)
    os.environ.update(FAKE_CREDENTIALS)
    known = CAPACITY_WORLDS if chosen.what == "capacity" else WORLDS
    worlds = [world for world in known if chosen.only in " on ".join(world)]
    rows: list[str] = []
    well = True
    if chosen.what == "capacity":
        rows, well = capacity(worlds, chosen.stored)
    else:
        for front, store in worlds:
            found, good = restarts(front, store, per_second=chosen.rate, seconds=chosen.seconds)
            rows, well = [*rows, *found, ""], well and good
    if chosen.write:
        write_part(PAGE, {"capacity": "load", "restarts": "restarts"}[chosen.what], rows)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
