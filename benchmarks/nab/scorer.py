"""The published scoring rules of the Numenta Anomaly Benchmark, written anew.

Source: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark" (2015), and
the scoring part of its documentation.

- The first 15 % of a series, 750 samples at the most, are for learning: nothing there counts.
- A window is found by its earliest detection, which earns up to 1, the sooner the more. A missed one costs ``missed``.
- Each detection outside costs ``false_alarm``: less shortly after a window, all of it before the first one.
- The sum is placed between that of no detection at all (0) and that of every window found at its first sample (100).

One threshold holds for the whole corpus. The benchmark itself takes the one that scores best on what it scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PROBATION_SHARE = 0.15
PROBATION_MAX_SAMPLES = 5000  # the share is taken of so many at the most
FAR_BEHIND_WINDOWS = 3.0  # beyond so many window lengths a false alarm costs all of its weight
NOTHING_DETECTED = 1.1  # a threshold above every score


@dataclass(frozen=True)
class Profile:
    """What one kind of error costs beside a window found at once, which earns 1."""

    name: str
    false_alarm: float
    missed: float


STANDARD = Profile("standard", false_alarm=0.11, missed=1.0)
LOW_FALSE_POSITIVES = Profile("reward_low_FP_rate", false_alarm=0.22, missed=1.0)
LOW_FALSE_NEGATIVES = Profile("reward_low_FN_rate", false_alarm=0.11, missed=2.0)
PROFILES = (STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES)


@dataclass(frozen=True)
class Series:
    """One file: its samples' values and times, and the labelled windows as (first, last) sample numbers, inclusive."""

    name: str
    at_ms: Sequence[int]
    values: Sequence[float]
    windows: Sequence[tuple[int, int]]

    @property
    def probation(self) -> int:
        """How many samples are not scored."""
        return math.floor(PROBATION_SHARE * min(len(self.values), PROBATION_MAX_SAMPLES))


@dataclass(frozen=True)
class Point:
    """One scored sample: what a detection here is worth, and the window it is in."""

    score: float
    worth: float
    window: tuple[str, int] | None


@dataclass(frozen=True)
class Outcome:
    """The result at one threshold: the raw sum, and how many windows and false alarms it is made of."""

    threshold: float
    raw: float
    found: int
    false_alarms: int


def sigmoid(position: float) -> float:
    """Return the worth of a detection: near 1 at -1 (a window's start), 0 at 0 (its end), towards -1 behind it."""
    return -1.0 if position > FAR_BEHIND_WINDOWS else 2 / (1 + math.exp(5 * position)) - 1


def points(series: Series, scores: Sequence[float], profile: Profile) -> Iterator[Point]:
    """Yield the scored samples of one series. ``scores`` has one per sample, in [0, 1]."""
    if len(scores) != len(series.values):
        raise ValueError(f"{series.name}: {len(scores)} scores for {len(series.values)} samples")
    windows = sorted(series.windows)
    following = 0
    for i, score in enumerate(scores):
        while following < len(windows) and windows[following][1] < i:
            following += 1
        inside = following < len(windows) and windows[following][0] <= i
        if i < series.probation:
            continue
        if inside:
            first, last = windows[following]
            worth = sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1.0)
            yield Point(score, worth, (series.name, first))
        elif following:
            first, last = windows[following - 1]
            yield Point(score, sigmoid((i - last) / (last - first)) * profile.false_alarm, None)
        else:
            yield Point(score, -profile.false_alarm, None)


def sweep(scored: Iterable[Point], profile: Profile) -> list[Outcome]:
    """Return the outcome at every threshold that makes a difference, the highest threshold first."""
    ranked = sorted(scored, key=lambda point: -point.score)
    best: dict[tuple[str, int], float] = {}
    missed = len({point.window for point in ranked if point.window})
    raw = -profile.missed * missed
    false_alarms = 0
    outcomes = [Outcome(NOTHING_DETECTED, raw, 0, 0)]
    for threshold, group in groupby(ranked, key=lambda point: point.score):
        for point in group:
            if point.window is None:
                raw += point.worth
                false_alarms += 1
                continue
            before = best.get(point.window, -profile.missed)
            best[point.window] = max(before, point.worth)
            raw += best[point.window] - before
        outcomes.append(Outcome(threshold, raw, len(best), false_alarms))
    return outcomes


def at_threshold(outcomes: Sequence[Outcome], threshold: float) -> Outcome:
    """Return the outcome when every score at or above ``threshold`` is a detection."""
    return next(outcome for outcome in reversed(outcomes) if outcome.threshold >= threshold)


def optimum(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that scores best: the benchmark's own choice of threshold."""
    return max(outcomes, key=lambda outcome: outcome.raw)


def normalised(raw: float, windows: int, profile: Profile) -> float:
    """Place a raw sum over so many windows between no detection (0) and perfection (100)."""
    nothing = -profile.missed * windows
    return 100 * (raw - nothing) / (windows - nothing)


def sweep_corpus(corpus: Sequence[Series], scores: Mapping[str, Sequence[float]], profile: Profile) -> list[Outcome]:
    """Return the outcomes over several series. ``scores`` has a list per series name."""
    return sweep((point for series in corpus for point in points(series, scores[series.name], profile)), profile)


def window_count(corpus: Sequence[Series]) -> int:
    """Return how many windows there are to find."""
    return sum(len(series.windows) for series in corpus)
