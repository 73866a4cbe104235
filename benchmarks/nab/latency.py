"""Event recall and false alarms per day on the labelled latencies: of a middle tier's dependencies, hourly, 30 days.

An event is a run of labelled hours. It is found by an alarm from its first hour to ``GRACE`` after its last. Every
other alarm after the learning period is false. A day has 24 samples of one series.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks.nab import judged
from payonce.routing.watch.anomaly import WARM_UP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.nab.scorer import Series
    from payonce.routing.watch.anomaly import Constants

GRACE = 2  # hours: an alarm is for the event before it
JOINED = 3  # hours: runs of labels closer than this are one event
SAMPLES_PER_DAY = 24
FALSE_ALARMS_PER_DAY_MAX = 0.1  # one in ten days and series: what the threshold is chosen by on the tuning series
THRESHOLDS = tuple(round(0.5 + 0.1 * i, 1) for i in range(96))


@dataclass(frozen=True)
class Recall:
    """How many of the events after the learning period were found, at how many false alarms."""

    threshold: float
    events: int
    found: int
    false_alarms: int
    days: float

    @property
    def recall(self) -> float:
        """The share of events found."""
        return self.found / self.events

    @property
    def false_alarms_per_day(self) -> float:
        """Per day of one series."""
        return self.false_alarms / self.days

    def as_json(self) -> dict[str, float]:
        """The figures."""
        return asdict(self) | {"recall": self.recall, "false_alarms_per_day": self.false_alarms_per_day}


def tuned_and_reported(corpus: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """Return (tuned on, reported), alternating in the order of the names."""
    ranked = sorted(corpus, key=lambda series: series.name)
    return ranked[::2], ranked[1::2]


def events(series: Series) -> list[tuple[int, int]]:
    """Return the (first, last) samples of the events that end after the learning period."""
    joined: list[tuple[int, int]] = []
    for first, last in series.windows:
        if joined and first - joined[-1][1] < JOINED:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return [(first, last) for first, last in joined if last >= WARM_UP]


def measure(corpus: Sequence[Series], surprises: Mapping[str, Sequence[float]], threshold: float) -> Recall:
    """Return recall and false alarms over the series at one threshold."""
    total = found = false = 0
    for one in corpus:
        raised = judged.alarms(enumerate(surprises[one.name]), threshold)
        there = events(one)
        total += len(there)
        found += sum(any(first <= i <= last + GRACE for i in raised) for first, last in there)
        false += sum(not any(first <= i <= last + GRACE for first, last in there) for i in raised)
    days = sum(len(one.values) - WARM_UP for one in corpus) / SAMPLES_PER_DAY
    return Recall(threshold, total, found, false, days)


def tune(corpus: Sequence[Series], surprises: Mapping[str, Sequence[float]]) -> float:
    """Return the threshold with the most events found within the limit of false alarms; the higher one of equals."""
    measured = [measure(corpus, surprises, threshold) for threshold in THRESHOLDS]
    allowed = [one for one in measured if one.false_alarms_per_day <= FALSE_ALARMS_PER_DAY_MAX]
    return max(allowed, key=lambda one: (one.found, one.threshold)).threshold


def surprises(corpus: Sequence[Series], constants: Constants) -> dict[str, list[float]]:
    """Return each sample's surprise per series name."""
    evidence = judged.collect_all(corpus, constants.scaled)
    return {
        name: judged.surprises(samples, constants.weights, constants.habituation) for name, samples in evidence.items()
    }


def report(corpus: Sequence[Series], general: Constants, latency: Constants) -> dict[str, object]:
    """Return the figures of both sets of constants, on the series tuned on and on the others."""
    tuned_on, reported = tuned_and_reported(corpus)
    return {
        "tuned_on": [one.name for one in tuned_on],
        "reported_on": [one.name for one in reported],
    } | {
        f"{kind}_{name}": measure(part, surprises(part, constants), constants.alarm_surprise).as_json()
        for kind, constants in (("general", general), ("latency", latency))
        for name, part in (("tuned_on", tuned_on), ("reported_on", reported))
    }
