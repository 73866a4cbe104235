"""Watches processes under load: memory, descriptors, threads and processor time from /proc, beside the latencies.

Each measure becomes a series of twenty blocks after the warm-up, whose slope is judged.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

from histories.slopes import Slope, Verdict, slope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from histories.traffic import Sample

EVERY_SECONDS = 1.0
BLOCKS = 20  # after the warm-up, of a minute each in half an hour: readings and latencies of one have a median
MEGABYTE = 1e6
WARM_UP_SHARE = 1 / 3  # of the time: pools fill, an allocator's arenas grow to what the load takes at once
# In an hour. At 20 requests a second, 8 MB are 110 bytes a request: less than the smallest thing that one leaves.
MOST_GROWTH_MB = 8.0
MOST_MORE_DESCRIPTORS = 4.0
MOST_MORE_THREADS = 4.0
# Of its mean, the p50: what leaks slows all. It is divided by that of an empty request at the same time, so that a
# machine that has other work does not count; milliseconds are shown, and allowed everything.
MOST_SLOWER_SHARE = 0.5
MOST_MORE_PROCESSOR_SHARE = 0.25  # of its mean: lists that are searched grow here first; no neighbour disturbs it


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at all watched processes, summed: bytes, descriptors, threads, seconds of processor time so far.

    ``empty_seconds``: how long a request took at that time that has nothing to do.
    """

    at_seconds: float
    resident_bytes: int
    descriptors: int
    threads: int
    processor_seconds: float
    empty_seconds: float


class Watch:
    """Reads from a thread while its block runs. ``ask_empty`` makes a request that has nothing to do."""

    def __init__(self, pids: Sequence[int], ask_empty: Callable[[], None]) -> None:
        self._pids, self._ask_empty = pids, ask_empty
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_again_and_again, daemon=True)
        self._error: Exception | None = None
        self.readings: list[Reading] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End. Raises what went wrong while it read, above all that a process has ended."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _read_again_and_again(self) -> None:
        try:
            self._read()
        except Exception as error:
            self._error = error

    def _read(self) -> None:
        began = time.monotonic()
        while True:
            asked = time.monotonic()
            self._ask_empty()
            empty_seconds = time.monotonic() - asked
            self.readings.append(reading_of(self._pids, time.monotonic() - began, empty_seconds))
            if self._stopping.wait(EVERY_SECONDS):
                return


def reading_of(pids: Sequence[int], at_seconds: float, empty_seconds: float) -> Reading:
    """Return what proc(5) says of the processes now. Raises ``RuntimeError`` if one has ended."""
    resident = descriptors = threads = 0
    ticks = 0.0
    for pid in pids:
        folder = Path(f"/proc/{pid}")
        if not (folder / "fd").is_dir() or not int((folder / "statm").read_text().split()[1]):  # gone, or a zombie
            raise RuntimeError(f"process {pid} has ended under the load")
        resident += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors += len(list((folder / "fd").iterdir()))
        # After the name, which may have anything in it, field 3 is first: 14 and 15 are user and system ticks.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        threads += int(fields[17])
    return Reading(at_seconds, resident, descriptors, threads, ticks / os.sysconf("SC_CLK_TCK"), empty_seconds)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's slope after the warm-up, and the most that it may grow in an hour, in ``unit``."""

    name: str
    unit: str
    slope: Slope
    most_per_hour: float

    @property
    def verdict(self) -> Verdict:
        """Whether it is flat."""
        return self.slope.verdict(self.most_per_hour)

    def _told(self) -> str:
        return "" if math.isinf(self.most_per_hour) else self.verdict.value

    def row(self) -> str:
        """Return the row of a Markdown table."""
        slope = self.slope
        return (
            f"| {self.name} | {slope.mean:,.1f} {self.unit} | {slope.per_hour:+,.2f} ± {slope.error:,.2f} "
            f"| {'' if math.isinf(self.most_per_hour) else f'{self.most_per_hour:,.1f}'} | {self._told()} |"
        )


HEAD = ("| | mean | growth an hour, 95 % | allowed | |", "|---|---:|---:|---:|---|")


def measures(readings: Sequence[Reading], samples: Sequence[Sample], seconds: float) -> list[Measure]:
    """Return what a soak of ``seconds`` measured. Raises ``ValueError`` if it was too short for a slope.

    Of descriptors and threads each block counts its fewest, which is what is not given back: the most depend on how
    many requests were under way at once.
    """
    begin = WARM_UP_SHARE * seconds
    block_seconds = (seconds - begin) / BLOCKS

    def blocks[T](
        found: Sequence[T], at: Callable[[T], float], value: Callable[[list[T]], float]
    ) -> list[tuple[float, float]]:
        parts: dict[int, list[T]] = {}
        for one in found:
            if begin <= at(one) < seconds:
                parts.setdefault(int((at(one) - begin) // block_seconds), []).append(one)
        return [(begin + (number + 0.5) * block_seconds, value(part)) for number, part in sorted(parts.items())]

    def read(value: Callable[[list[Reading]], float]) -> Slope:
        return slope_of(blocks(readings, lambda one: one.at_seconds, value))

    latencies = dict(
        blocks(samples, lambda one: one.at_seconds, lambda part: 1000 * median(one.latency_seconds for one in part))
    )
    empty = dict(
        blocks(readings, lambda one: one.at_seconds, lambda part: 1000 * median(one.empty_seconds for one in part))
    )
    latency = slope_of(list(latencies.items()))
    beside_empty = slope_of([(at, latencies[at] / empty[at]) for at in sorted(latencies.keys() & empty.keys())])
    per_request = [one for one in _processor(readings, samples) if begin <= one[0] < seconds]
    processor = slope_of(
        blocks(per_request, lambda one: one[0], lambda part: 1000 * sum(o[1] for o in part) / sum(o[2] for o in part))
    )
    return [
        Measure("memory", "MB", read(lambda part: median(o.resident_bytes / MEGABYTE for o in part)), MOST_GROWTH_MB),
        Measure("descriptors", "", read(lambda part: min(one.descriptors for one in part)), MOST_MORE_DESCRIPTORS),
        Measure("threads", "", read(lambda part: min(one.threads for one in part)), MOST_MORE_THREADS),
        Measure("processor time of a request", "ms", processor, MOST_MORE_PROCESSOR_SHARE * processor.mean),
        Measure("latency, p50", "ms", latency, math.inf),
        Measure("the same, by an empty request's", "", beside_empty, MOST_SLOWER_SHARE * beside_empty.mean),
    ]


def _processor(readings: Sequence[Reading], samples: Sequence[Sample]) -> list[tuple[float, float, int]]:
    """Return (second, processor seconds, requests) of each time between two readings in which there were requests."""
    moments = sorted(sample.at_seconds for sample in samples)
    found, place = [], 0
    for earlier, later in itertools.pairwise(readings):
        count = 0
        while place < len(moments) and moments[place] < later.at_seconds:
            count, place = count + 1, place + 1
        if count:
            found.append((later.at_seconds, later.processor_seconds - earlier.processor_seconds, count))
    return found
