"""Scores one series for anomalies: online, without look-ahead, from a state small enough to be stored.

::

    value ─▶ evidence ─▶ weighted sum ─▶ smoothed over two samples ─▶ habituation ─▶ alarm, then rest
             level, shape, daily, weekly, └▶ tail of the sum ─▶ probability
             quiet, shift, rare

``probability`` says how unusual the sample is against the series' own past, without habituation: use it for decisions.
``surprise`` and ``alarm`` are for people: habituation reduces an anomaly that is no larger than past ones, and a rest
without alarms follows each alarm.

docs/anomaly-detector.md has the measurements, docs/adr/0017-anomaly-detector.md the reasons.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.routing.watch.habituation import Episodes
from payonce.routing.watch.running import TAIL_SHARE, RunningMean, TailSurprise
from payonce.routing.watch.statistics import EVIDENCE, EvidenceCollector

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
WARM_UP = 100  # the number of first samples that raise no alarm
SMOOTHING_SPAN = 2  # samples, so that one odd sample counts less than two
REST_SHARE, REST_MIN, REST_MAX = 0.03, 40, 400  # a rest lasts 3 % of the samples so far, from 40 to 400 samples
VALUE_MAX = 1e30  # larger values would overflow single precision and sums
LOG_FLOOR = 1e-3  # smallest value whose logarithm is taken: a latency of 0 ms is a missing sample, not an infinite one
_CONSTANTS_FILE = Path(__file__).with_name("anomaly_constants.json")


@dataclass(frozen=True, slots=True)
class Constants:
    """The fitted constants of a detector: see ``provenance`` in the file, and training/anomaly.

    ``weights`` are in the order of ``EVIDENCE``. With ``logarithmic`` the logarithm of the value is scored, for series
    that deviate by factors, as latencies do.
    """

    weights: tuple[float, ...]
    habituation: float
    alarm_surprise: float
    logarithmic: bool

    @staticmethod
    def parse(stored: Mapping[str, Any]) -> Constants:
        """Return the constants of one set in the file."""
        weights = tuple(float(stored["weights"][name]) for name in EVIDENCE)
        return Constants(
            weights, float(stored["habituation"]), float(stored["alarm_surprise"]), bool(stored["logarithmic"])
        )

    def scaled(self, value: float) -> float:
        """Return the number that is scored for ``value``. Raises ValueError unless it is finite and within bounds."""
        if not math.isfinite(value) or abs(value) > VALUE_MAX or (self.logarithmic and value < 0):
            raise ValueError(f"not a value to be scored: {value!r}")
        return math.log(max(value, LOG_FLOOR)) if self.logarithmic else float(value)


def shipped_constants(kind: str = "general") -> Constants:
    """Return the constants that payonce ships: ``general`` for any series, ``latency`` for latencies."""
    return Constants.parse(json.loads(_CONSTANTS_FILE.read_text())["constants"][kind])


def rest_samples(count: int) -> int:
    """Return the samples of rest after an alarm at sample ``count``: longer series have longer episodes."""
    return int(min(REST_MAX, max(REST_MIN, REST_SHARE * count)))


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """The judgement of one sample.

    ``probability`` is 1 minus the p-value among past samples: above 0.99 for about one sample in a hundred.
    ``surprise`` is a -log10 of a probability, after habituation; ``score`` maps it to 0..1, with 0.5 as the threshold
    of an alarm. ``alarm`` is true on one sample of an episode, ``resting`` on those after it. ``deviation`` is the
    signed distance from the mean of the last 16 samples; positive is above. ``features`` has the surprise of each
    statistic by name, before weights.
    """

    probability: float
    surprise: float
    score: float
    alarm: bool
    resting: bool
    deviation: float
    features: Mapping[str, float]


class AnomalyDetector:
    """Scores one series, by default with the ``general`` constants.

    ``state`` and ``restore`` carry it over a restart without changing any score.
    """

    __slots__ = ("collector", "constants", "count", "episodes", "last_at_ms", "rest_until", "smoothed", "tail")

    def __init__(self, constants: Constants | None = None) -> None:
        self.constants = constants or shipped_constants()
        self.collector = EvidenceCollector()
        self.smoothed = RunningMean(SMOOTHING_SPAN)
        self.tail = TailSurprise()
        self.episodes = Episodes(self.constants.habituation)
        self.count = 0
        self.rest_until = 0
        self.last_at_ms: int | None = None

    def update(self, value: float, at_ms: int) -> AnomalyScore:
        """Score one sample and learn from it.

        ``at_ms`` is epoch milliseconds, for the hour of the day and week; a step back counts as no time passed. Raises
        ValueError unless the value is finite and within bounds, and not negative where its logarithm is scored.
        """
        scaled = self.constants.scaled(value)
        passed_ms = 0 if self.last_at_ms is None else max(0, at_ms - self.last_at_ms)
        self.last_at_ms = at_ms
        evidence = self.collector.update(scaled, at_ms, passed_ms)
        total = self.smoothed.update(sum(map(mul, self.constants.weights, evidence.surprises)))
        probability = self._probability(total)
        surprise = self.episodes.update(total, self.count)
        resting = self.count < self.rest_until
        alarm = not resting and self.count >= WARM_UP and surprise >= self.constants.alarm_surprise
        if alarm:
            self.rest_until = self.count + rest_samples(self.count)
        self.count += 1
        return AnomalyScore(
            probability,
            surprise,
            surprise / (surprise + self.constants.alarm_surprise),
            alarm,
            resting,
            evidence.deviation,
            dict(zip(EVIDENCE, evidence.surprises, strict=True)),
        )

    def _probability(self, total: float) -> float:
        quantile = self.tail.quantile
        surprise = self.tail.update(total)
        if surprise:
            return 1 - 10**-surprise
        return (1 - TAIL_SHARE) * min(1.0, total / quantile) if quantile > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Return the state as a JSON object of bounded size, about 10 KB."""
        return {
            "collector": self.collector.state(),
            "count": self.count,
            "episodes": self.episodes.state(),
            "last_at_ms": self.last_at_ms,
            "rest_until": self.rest_until,
            "smoothed": self.smoothed.state(),
            "tail": self.tail.state(),
            "version": VERSION,
        }

    @classmethod
    def restore(cls, state: Any, constants: Constants | None = None) -> AnomalyDetector:
        """Return a detector that continues from ``state``. Raises ValueError if it is not a state of this version.

        The caller should then start a new detector, which raises alarms after ``WARM_UP`` samples.
        """
        detector = cls(constants)
        try:
            if state["version"] != VERSION:
                raise ValueError(f"the state is of version {state['version']!r}, not {VERSION}")
            detector.count, detector.rest_until = int(state["count"]), int(state["rest_until"])
            detector.last_at_ms = None if state["last_at_ms"] is None else int(state["last_at_ms"])
            detector.smoothed.restore(state["smoothed"])
            detector.tail.restore(state["tail"])
            detector.episodes.restore(state["episodes"])
            detector.collector.restore(state["collector"])
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError("not an anomaly detector's state") from error
        return detector
