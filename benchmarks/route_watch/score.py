"""Events found, false alarms per day and series, and delay: one scorer for every detector and every corpus.

Every detector alarms by the watch's own rule, one alarm an episode, so that only how unusual a sample is differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Protocol

from payonce.domain.durations import DAY_MS, HOUR_MS
from payonce.routing.watch.episodes import Episode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.route_watch.corpus import Series

FALSE_ALARMS_PER_DAY_MAX = 0.05  # one in twenty days and series
LEARNED_SAMPLES = 96  # before which no detector alarms, as the watch does not


class Detector(Protocol):
    """A candidate. ``score`` says how unusual a value is beside what was added, before it is added itself."""

    def score(self, log: float, at_ms: int) -> float:
        """Return a number that grows with how unusual the value is."""

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """Add the value that was scored last."""


@dataclass(frozen=True)
class Recall:
    """What was found at one threshold. ``delay_hours`` is the median over the events found."""

    threshold: float
    events: int
    found: int
    false_alarms: int
    days: float
    delay_hours: float

    @property
    def per_day(self) -> float:
        """False alarms per day and series."""
        return self.false_alarms / self.days


def alarms(detector: Detector, series: Series, threshold: float) -> list[int]:
    """Return the samples at which an alarm begins."""
    episode, found = Episode(), []
    for i, (log, at_ms) in enumerate(zip(series.logs, series.at_ms, strict=True)):
        unusual = detector.score(log, at_ms) >= threshold and i >= LEARNED_SAMPLES
        if episode.update(at_ms, unusual=unusual):
            found.append(i)
        detector.add(log, at_ms, usual=not unusual or episode.adopted(at_ms))
    return found


def measure(corpus: Sequence[Series], make: Callable[[Series, float], Detector], threshold: float) -> Recall:
    """Return what a detector finds of the events of all series."""
    events = found = false = 0
    days, delays = 0.0, list[float]()
    for series in corpus:
        raised = [
            i
            for i in alarms(make(series, threshold), series, threshold)
            if i >= series.first and i not in series.ignored
        ]
        events += len(series.events)
        for first, last in series.events:
            hits = [i for i in raised if first <= i <= last]
            found += bool(hits)
            delays += [(series.at_ms[i] - series.at_ms[first]) / HOUR_MS for i in hits[:1]]
        false += sum(not any(first <= i <= last for first, last in series.events) for i in raised)
        days += (series.at_ms[-1] - series.at_ms[series.first]) / DAY_MS
    return Recall(threshold, events, found, false, days, median(delays) if delays else 0.0)


def fit(corpus: Sequence[Series], make: Callable[[Series, float], Detector], thresholds: Sequence[float]) -> Recall:
    """Return the result at the threshold that finds most within the limit of false alarms; of equals, the highest."""
    measured = [measure(corpus, make, threshold) for threshold in thresholds]
    allowed = [one for one in measured if one.per_day <= FALSE_ALARMS_PER_DAY_MAX] or measured[-1:]
    return max(allowed, key=lambda one: (one.found, one.threshold))
