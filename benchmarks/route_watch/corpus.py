"""The public series, read from directories that the caller names, with their gaps removed.

``PAYONCE_LATENCY_DATA`` names ``middle-tier-api-dependency-latency`` of github microsoft/cloud-monitoring-dataset
(MIT): hourly latencies with labelled hours. ``PAYONCE_NAB_DATA`` names a checkout of the Numenta Anomaly Benchmark 1.1
(github numenta/NAB, MIT), whose values are averaged over quarters of an hour, as the watch's are. None of it is in this
repository.

A gap is no event: a latency of 0 is an hour without data, and labels that touch it are dropped with it, but for one
series that is 0 in most hours, so that 0 is what is usual there. NAB's windows whose labelled moment lies within an
hour of a stretch of missing samples count neither as events nor as false alarms.
"""

from __future__ import annotations

import csv
import json
import math
import os
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean, median

from payonce.domain.durations import HOUR_MS
from payonce.routing.watch.neighbours import QUARTER_MS

LEARNING_HOURS = 100  # of a latency series; of NAB's 15 %, as its own rules have it
GRACE_HOURS = 2  # an alarm so soon after an event is for it
JOINED_HOURS = 3  # labelled hours closer than this are one event
MISSING = 3  # steps without a sample are a gap of NAB's
LOG_FLOOR = 1e-3  # of a latency that is 0 and left in


class DataMissing(Exception):
    """The data is not where the variable says. The message says what to do."""


@dataclass(frozen=True)
class Series:
    """Logarithms by time, the events as (first, last) sample, inclusive, and the first sample that is scored."""

    name: str
    at_ms: list[int]
    logs: list[float]
    events: list[tuple[int, int]]
    first: int
    ignored: frozenset[int] = frozenset()  # samples in the windows of gaps


def directory(variable: str, what: str) -> Path:
    """Return the directory that the environment's variable names. Raises DataMissing."""
    path = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not path.is_dir():
        raise DataMissing(f"{variable} names no directory: let it name {what}")
    return path


def read_latencies(*, gaps: bool = False) -> list[Series]:
    """Return the labelled latencies in the order of their names; with ``gaps`` they stay in. Raises DataMissing."""
    what = "middle-tier-api-dependency-latency of https://github.com/microsoft/cloud-monitoring-dataset"
    paths = sorted(directory("PAYONCE_LATENCY_DATA", what).glob("*.csv"))
    if not paths:
        raise DataMissing(f"there is no CSV: let PAYONCE_LATENCY_DATA name {what}")
    return [_latencies(path, gaps=gaps) for path in paths]


def _latencies(path: Path, *, gaps: bool) -> Series:
    with path.open(newline="") as lines:
        rows = [
            (_epoch_ms(row["TimeStamp"]), float(row["Value"]), row["Label"] == "1") for row in csv.DictReader(lines)
        ]
    absent = {i for i, (_, value, _) in enumerate(rows) if value <= 0}
    if gaps or len(absent) > len(rows) / 2:
        absent = set()
    touching = {i + near for i in absent for near in (-1, 0, 1)}
    events: list[tuple[int, int]] = []
    for i, (_, _, labelled) in enumerate(rows):
        if labelled and i not in touching:
            joins = bool(events) and i - events[-1][1] < JOINED_HOURS
            events[-1:] = [(events[-1][0], i)] if joins else [*events[-1:], (i, i)]
    kept = [(at, math.log(max(value, LOG_FLOOR))) for i, (at, value, _) in enumerate(rows) if i not in absent]
    at_ms = [at for at, _ in kept]
    found = [
        (bisect_left(at_ms, rows[first][0]), bisect_left(at_ms, rows[last][0] + GRACE_HOURS * HOUR_MS + 1) - 1)
        for first, last in events
        if last >= LEARNING_HOURS
    ]
    return Series(path.stem, at_ms, [log for _, log in kept], found, bisect_left(at_ms, rows[LEARNING_HOURS][0]))


def read_nab(*, gaps: bool = False) -> list[Series]:
    """Return NAB's series in the order of their names; with ``gaps`` all windows are events. Raises DataMissing."""
    what = "a checkout of https://github.com/numenta/NAB"
    root = directory("PAYONCE_NAB_DATA", what)
    labels = root / "labels"
    if not (labels / "combined_windows.json").is_file():
        raise DataMissing(f"there are no labels: let PAYONCE_NAB_DATA name {what}")
    windows = json.loads((labels / "combined_windows.json").read_text())
    moments = json.loads((labels / "combined_labels.json").read_text())
    present = [name for name in sorted(windows) if (root / "data" / name).is_file()]
    return [_nab(root / "data" / name, name, windows[name], moments[name], gaps=gaps) for name in present]


def _nab(path: Path, name: str, windows: list[tuple[str, str]], moments: list[str], *, gaps: bool) -> Series:
    with path.open(newline="") as lines:
        rows = [(_epoch_ms(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
    step = median(later - earlier for (earlier, _), (later, _) in pairwise(rows))
    missing = [pair for pair in pairwise(at for at, _ in rows) if pair[1] - pair[0] > MISSING * step]
    quarters = defaultdict(list)
    for at, value in rows:
        quarters[at // QUARTER_MS].append(value)
    at_ms = [quarter * QUARTER_MS for quarter in sorted(quarters)]
    means = [fmean(quarters[quarter]) for quarter in sorted(quarters)]
    first = bisect_left(at_ms, rows[math.floor(0.15 * min(len(rows), 5000))][0])  # NAB's own probation
    events, ignored = [], set[int]()
    for begin, end in ((_epoch_ms(begin), _epoch_ms(end)) for begin, end in windows):
        samples = bisect_left(at_ms, begin // QUARTER_MS * QUARTER_MS), bisect_left(at_ms, end + 1) - 1
        within = [_epoch_ms(moment) for moment in moments if begin <= _epoch_ms(moment) <= end]
        if not gaps and any(a - HOUR_MS <= moment <= b + HOUR_MS for moment in within for a, b in missing):
            ignored.update(range(samples[0], samples[1] + 1))
        elif samples[1] >= first:
            events.append(samples)
    logs = [math.copysign(math.log1p(abs(mean)), mean) for mean in means]  # values of either sign
    return Series(name, at_ms, logs, events, first, frozenset(ignored))


@cache
def read_published(detector: str, name: str) -> dict[int, float]:
    """Return a detector's published scores of one of NAB's series by quarter of an hour since the epoch."""
    group, _, file = name.partition("/")
    scores = dict[int, float]()
    path = directory("PAYONCE_NAB_DATA", "a checkout of NAB") / "results" / detector / group / f"{detector}_{file}"
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            quarter = _epoch_ms(row["timestamp"]) // QUARTER_MS
            scores[quarter] = max(scores.get(quarter, 0.0), float(row["anomaly_score"]))
    return scores


def _epoch_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def latencies_split(corpus: list[Series]) -> tuple[list[Series], list[Series]]:
    """Return (fitted on, reported), alternating in the order of the names."""
    return corpus[::2], corpus[1::2]


def nab_split(corpus: list[Series]) -> tuple[list[Series], list[Series]]:
    """Return (fitted on, reported). The rule looks at nothing but names.

    Of each group of real series every second file is set apart, and of these, in order, again every second one was
    never looked at: those are reported. docs/adr/0024-route-watch.md has the history.
    """
    fitted, apart = list[Series](), list[Series]()
    for group, members in groupby(corpus, key=lambda series: series.name.partition("/")[0]):
        for i, series in enumerate(members):
            (fitted if group.startswith("artificial") or i % 2 == 0 else apart).append(series)
    return fitted + apart[::2], apart[1::2]
