"""The soak: ``python -m histories.soaking --minutes 30``.

Sidecar, in-process engine and dispatcher get requests at a low constant rate, all at the same time; memory,
descriptors, threads, processor time and latency of their processes must not grow.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

from histories.history import History
from histories.report import verdict, write_part
from histories.run import SETTLE_SECONDS, Clients, concluded
from histories.slopes import Verdict
from histories.soak import HEAD, Watch, measures
from histories.traffic import SENDERS, Draws, closed_loop, open_loop
from histories.workload import Workload
from histories.worlds import running_world
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path("docs/histories.md")
RATE = 8.0  # a second in each world: what grows at it is no queue, and three worlds leave the machine idle
# Of a closed loop of as many clients as an open loop can have requests under way, before the watch begins: then every
# pool of connections and threads is as large as it will ever be, and a machine that gets slower does not make it grow.
WARM_SECONDS = 10.0
WORLDS = (("sidecar", "valkey"), ("in_process", "valkey"), ("dispatcher", "dynamodb"))


class FreshKeys:
    """Draws requests whose keys are all new: an event has no client that repeats it. Thread-safe."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = itertools.count()  # its next() is one step of the interpreter

    def draw(self) -> tuple[str, str]:
        """Return the key and the body of the next request."""
        return f"{self._prefix}-{next(self._numbers):012}", "a"


def ask_nothing(url: str) -> None:
    """Ask what stands behind for what is not there: a new connection and an answer, as a request has, and no more."""
    with suppress(HTTPError):
        urlopen(url, timeout=60)


@dataclass(frozen=True, slots=True)
class Soaked:
    """A world's table, and whether all was well and flat."""

    rows: list[str]
    is_well: bool


def soak(front: str, store: str, *, per_second: float, minutes: float, before: str = "") -> Soaked:
    """Send ``per_second`` requests to one world for ``minutes``, and judge its history and what it took."""
    prefix = f"{front}-{store}"
    with (
        TemporaryDirectory(prefix="payonce-soak-") as folder,
        running_world(front, store, Path(folder), before=before, is_durable=store == "valkey") as world,
    ):
        asking = Clients(world, History())
        workload: Draws = FreshKeys(prefix) if front == "dispatcher" else Workload(Random(1), prefix=prefix)
        closed_loop(asking, workload, SENDERS, WARM_SECONDS)
        began = time.monotonic()
        empty_url = f"{world.behind.url}/orders/by-key/nobodys"
        with Watch([worker.pid for worker in world.workers], lambda: ask_nothing(empty_url)) as watch:
            samples = open_loop(asking, workload, per_second, 60 * minutes)
        # Open loops drain after their last request; what counts ends with the requests.
        seconds = min(60 * minutes, time.monotonic() - began)
        done = concluded(asking, seconds, Counter(), clients=SENDERS, settle_seconds=SETTLE_SECONDS, all_keys=False)
    found = measures(watch.readings, samples, seconds)
    is_flat = all(measure.verdict is Verdict.FLAT for measure in found)
    rows = [
        f"{world.name}, {per_second:g} requests a second for {minutes:g} minutes, {done.findings.keys:,} keys: "
        f"{verdict(done)}; {'flat' if is_flat else 'NOT flat'}.",
        "",
        *HEAD,
        *(measure.row() for measure in found),
    ]
    print("\n".join([*rows, *list(done.findings.problems.values())[:3], ""]), flush=True)
    return Soaked(rows, is_flat and not done.findings.problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything is flat, 1 if something grows or the noise hides whether it does."""
    parser = argparse.ArgumentParser(prog="python -m histories.soaking", description=__doc__)
    parser.add_argument("--only", default="", help="part of a world's name, such as 'sidecar on valkey'")
    parser.add_argument("--rate", type=float, default=RATE, help=f"requests a second in each world ({RATE:g})")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--before", default="", help="MODULE:FUNCTION to call in each worker: plants a fault")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE}")
    chosen = parser.parse_args(arguments)
    os.environ.update(FAKE_CREDENTIALS)
    worlds = [world for world in WORLDS if chosen.only in " on ".join(world)]

    def one(world: tuple[str, str]) -> Soaked:
        return soak(*world, per_second=chosen.rate, minutes=chosen.minutes, before=chosen.before)

    with ThreadPoolExecutor(len(worlds)) as pool:  # at the same time: half an hour is long enough
        soaked = list(pool.map(one, worlds))
    if chosen.write:
        write_part(PAGE, "soak", [row for each in soaked for row in [*each.rows, ""]])
    return 0 if all(each.is_well for each in soaked) else 1


if __name__ == "__main__":
    sys.exit(main())
