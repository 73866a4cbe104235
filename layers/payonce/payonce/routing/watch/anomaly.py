"""The anomaly score of one series: online, without a look ahead, from a state small enough to be stored.

::

    value ─▶ evidence ─▶ weighted sum ─▶ smoothed over two samples ─▶ habituation ─▶ alarm, then rest
             level, shape, daily, weekly, └▶ tail of the sum ─▶ probability
             quiet, shift, rare

``probability`` says how unusual the sample is beside the series' own past, and does not tire: it is what a decision
takes. ``surprise`` and ``alarm`` are for people: an anomaly as large as several before it counts for less, and
after an alarm there is a rest.

Measured in docs/anomaly-detector.md; the reasons are in docs/adr/0017-anomaly-detector.md.
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
WARM_UP = 100  # samples without an alarm
SMOOTHING_SPAN = 2  # samples: one odd sample is less than two
REST_SHARE, REST_MIN, REST_MAX = 0.03, 40, 400  # of the samples so far; samples
VALUE_MAX = 1e30  # beyond, single precision and sums would overflow
LOG_FLOOR = 1e-3  # of the value's unit: a latency of 0 ms is a sample that is missing, not infinitely fast
_CONSTANTS_FILE = Path(__file__).with_name("anomaly_constants.json")


@dataclass(frozen=True, slots=True)
class Constants:
    """What was fitted: see ``provenance`` in the file, and training/anomaly.

    ``weights`` are in the order of ``EVIDENCE``. ``logarithmic`` scores the value's logarithm: what is far from usual
    by a factor, as latencies are.
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
        """Return the value as it is scored. Raises ValueError when it is not a finite, sane number."""
        if not math.isfinite(value) or abs(value) > VALUE_MAX or (self.logarithmic and value < 0):
            raise ValueError(f"not a value to be scored: {value!r}")
        return math.log(max(value, LOG_FLOOR)) if self.logarithmic else float(value)


def shipped_constants(kind: str = "general") -> Constants:
    """Return constants that payonce ships: ``general`` for any series, ``latency`` for latencies."""
    return Constants.parse(json.loads(_CONSTANTS_FILE.read_text())["constants"][kind])


def rest_samples(count: int) -> int:
    """Return for how many samples no alarm follows the one at sample ``count``: long series have long episodes."""
    return int(min(REST_MAX, max(REST_MIN, REST_SHARE * count)))


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """One sample's judgement.

    ``probability`` is 1 less the share of the past that was as unusual: above 0.99 in about one sample of a hundred.
    ``surprise`` is in decimal digits, after habituation. ``score`` maps it to 0..1, 0.5 where an alarm begins.
    ``alarm`` is true on one sample of an episode; ``resting`` on those after it. ``deviation`` is signed, from the mean
    of the last 16 samples: positive is above. ``features`` has each evidence's surprise by name, before weights.
    """

    probability: float
    surprise: float
    score: float
    alarm: bool
    resting: bool
    deviation: float
    features: Mapping[str, float]


class AnomalyDetector:
    """Scores one series, with the constants for any series unless others are given.

    ``state`` and ``restore`` carry it over a restart with no change to any score.
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

        Raises ValueError when the value is not a finite, sane number, or is negative where its logarithm is scored.

        ``at_ms`` is epoch milliseconds, for the hour of the day and week; when it goes back, no time has passed.
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
        """Return the state as JSON: bounded, about 10 KB."""
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
        """Return the detector that goes on where ``state`` was taken. Raises ValueError for anything else.

        The caller starts a new one then: it is of use again after ``WARM_UP`` samples.
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
