"""Watches processes under load: memory and descriptors from /proc, beside the latencies, by thirds of the time."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from histories.traffic import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from histories.traffic import Sample

EVERY_SECONDS = 2.0
# Between the second third and the last: what warms up has done so in the first. An allocator's arenas move by a few MB.
MOST_GROWTH_BYTES = 8 * 1024 * 1024
MOST_MORE_DESCRIPTORS = 4  # connections of a pool come and go
MOST_SLOWER = 1.5  # of the p50: what leaks slows all. The p99 follows whatever else the machine does, and is only shown


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at all watched processes: the sum of their resident bytes, and of their open descriptors."""

    at_seconds: float
    resident_bytes: int
    descriptors: int


class Watch:
    """Reads from a thread while its block runs."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_again_and_again, daemon=True)
        self.readings: list[Reading] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _read_again_and_again(self) -> None:
        began = time.monotonic()
        while True:
            resident_bytes = sum(resident_of(pid) for pid in self._pids)
            descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self._pids)
            self.readings.append(Reading(time.monotonic() - began, resident_bytes, descriptors))
            if self._stopping.wait(EVERY_SECONDS):
                return


def resident_of(pid: int) -> int:
    """Return a process's resident bytes (statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Third:
    """A third of the time: the median memory, the fewest and most descriptors, latencies in seconds.

    The fewest are what is not given back; the most depend on how many requests were under way.
    """

    resident_bytes: float
    fewest_descriptors: int
    most_descriptors: int
    p50_seconds: float
    p99_seconds: float


@dataclass(frozen=True, slots=True)
class Flatness:
    """The three thirds."""

    thirds: tuple[Third, Third, Third]

    @property
    def is_flat(self) -> bool:
        """Whether the last third is as the second."""
        _, second, last = self.thirds
        return (
            last.resident_bytes - second.resident_bytes <= MOST_GROWTH_BYTES
            and last.fewest_descriptors - second.fewest_descriptors <= MOST_MORE_DESCRIPTORS
            and last.p50_seconds <= MOST_SLOWER * second.p50_seconds
        )


def flatness(readings: Sequence[Reading], samples: Sequence[Sample], seconds: float) -> Flatness:
    """Return the thirds of a soak of ``seconds``."""
    first, second, last = (
        _third(readings, samples, number * seconds / 3, (number + 1) * seconds / 3) for number in range(3)
    )
    return Flatness((first, second, last))


def _third(readings: Sequence[Reading], samples: Sequence[Sample], begin: float, end: float) -> Third:
    read = [reading for reading in readings if begin <= reading.at_seconds < end]
    latencies = [sample.latency_seconds for sample in samples if begin <= sample.at_seconds < end]
    return Third(
        resident_bytes=percentile([reading.resident_bytes for reading in read], 0.5),
        fewest_descriptors=min((reading.descriptors for reading in read), default=0),
        most_descriptors=max((reading.descriptors for reading in read), default=0),
        p50_seconds=percentile(latencies, 0.5),
        p99_seconds=percentile(latencies, 0.99),
    )


def soak_rows(flat: Flatness) -> list[str]:
    """Return the thirds as rows of a Markdown table."""
    rows = ["| third | resident MB | descriptors, fewest to most | p50 ms | p99 ms |", "|---|---:|---:|---:|---:|"]
    for name, third in zip(("first", "second", "last"), flat.thirds, strict=True):
        rows.append(
            f"| {name} | {third.resident_bytes / 1e6:,.1f} "
            f"| {third.fewest_descriptors:,} to {third.most_descriptors:,} | {1000 * third.p50_seconds:,.1f} "
            f"| {1000 * third.p99_seconds:,.1f} |"
        )
    return rows
