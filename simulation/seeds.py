"""Many seeds, in parallel: what they found, what they reached, and how fast they were."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING

from simulation.goals import Goal
from simulation.plan import draw_plan
from simulation.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

NICE = 10
BAR_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed: the promise it broke (``""`` for none), how often it reached each goal, and what it took."""

    seed: int
    violated: str
    reached: Counter[str]
    switches: int
    cpu_seconds: float
    settled_after_seconds: float


@dataclass(slots=True)
class Summary:
    """All seeds. ``violations`` maps seeds to what they broke; ``reached_by`` counts the seeds that reached a goal."""

    seeds: int = 0
    switches: int = 0
    cpu_seconds: float = 0.0
    slowest_settling_seconds: float = 0.0
    violations: dict[int, str] = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    reached_by: Counter[str] = field(default_factory=Counter)

    def add(self, result: SeedResult) -> None:
        """Take in one seed's result."""
        self.seeds += 1
        self.switches += result.switches
        self.cpu_seconds += result.cpu_seconds
        self.slowest_settling_seconds = max(self.slowest_settling_seconds, result.settled_after_seconds)
        if result.violated:
            self.violations[result.seed] = result.violated
        self.reached.update(result.reached)
        self.reached_by.update(goal for goal, count in result.reached.items() if count)

    @property
    def switches_per_core_second(self) -> float:
        """Switches a second of processor time."""
        return self.switches / self.cpu_seconds if self.cpu_seconds else 0.0

    @property
    def unreached(self) -> list[Goal]:
        """The goals that no seed reached."""
        return [goal for goal in Goal if not self.reached[goal]]


class Progress:
    """A bar on a terminal's line."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out

    def show(self, summary: Summary, total: int) -> None:
        """Draw it anew."""
        if self._out is None:
            return
        filled = BAR_CHARACTERS * summary.seeds // total
        bar = "#" * filled + "." * (BAR_CHARACTERS - filled)
        rate = f"{summary.switches_per_core_second:,.0f} switches a second a core"
        end = "\n" if summary.seeds == total else ""
        found = f"{len(summary.violations)} violations"
        self._out.write(f"\r[{bar}] {summary.seeds}/{total} seeds, {rate}, {found}{end}")
        self._out.flush()


def run_seeds(seeds: Sequence[int], processes: int = 1, progress: Progress | None = None) -> Summary:
    """Run the seeds and return their summary. The order of the processes does not change it."""
    summary = Summary()
    shown = progress or Progress(None)
    for result in _results(seeds, processes):
        summary.add(result)
        shown.show(summary, len(seeds))
    summary.violations = dict(sorted(summary.violations.items()))
    return summary


def run_seed(seed: int) -> SeedResult:
    """Run one seed."""
    began = time.process_time()
    outcome = run(draw_plan(seed))
    return SeedResult(
        seed=seed,
        violated="" if outcome.violated is None else str(outcome.violated),
        reached=outcome.history.reached,
        switches=outcome.switches,
        cpu_seconds=time.process_time() - began,
        settled_after_seconds=outcome.settled_after_seconds,
    )


def _results(seeds: Iterable[int], processes: int) -> Iterator[SeedResult]:
    if processes == 1:
        yield from map(run_seed, seeds)
        return
    with get_context("spawn").Pool(processes, initializer=os.nice, initargs=(NICE,)) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=4)
