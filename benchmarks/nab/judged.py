"""The detector over whole series: its evidence, its surprise under given constants, its alarms.

The evidence takes nearly all the time and depends on no constant, so that it is collected once. What follows here from
the evidence is what ``AnomalyDetector`` does with it, by the same classes; a test compares the two.
"""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

from payonce.routing.watch.anomaly import SMOOTHING_SPAN, WARM_UP, AnomalyDetector, rest_samples
from payonce.routing.watch.habituation import EPISODE_SURPRISE, Episodes
from payonce.routing.watch.statistics import EvidenceCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.nab.scorer import Series
    from payonce.routing.watch.anomaly import Constants

type Surprises = tuple[float, ...]


def collect(series: Series, scaled: Callable[[float], float] = float) -> list[Surprises]:
    """Return each sample's surprises, in the order of ``EVIDENCE``. ``scaled`` is the constants'."""
    collector = EvidenceCollector()
    last = series.at_ms[0]
    evidence = []
    for value, at_ms in zip(series.values, series.at_ms, strict=True):
        evidence.append(collector.update(scaled(value), at_ms, max(0, at_ms - last)).surprises)
        last = at_ms
    return evidence


def collect_all(corpus: Iterable[Series], scaled: Callable[[float], float] = float) -> dict[str, list[Surprises]]:
    """Return the evidence per series name."""
    return {series.name: collect(series, scaled) for series in corpus}


def surprises(evidence: Sequence[Surprises], weights: Surprises, habituation: float) -> list[float]:
    """Return each sample's surprise after smoothing and habituation."""
    episodes = Episodes(habituation)
    result = []
    mean = 0.0
    for i, sample in enumerate(
        evidence
    ):  # RunningMean(SMOOTHING_SPAN), written out: the fit runs this 60 million times
        mean += max(1 / SMOOTHING_SPAN, 1 / (i + 1)) * (sum(map(mul, weights, sample)) - mean)
        result.append(episodes.update(mean, i) if mean >= EPISODE_SURPRISE else mean)
    return result


def alarms(surprised: Iterable[tuple[int, float]], threshold: float) -> list[int]:
    """Return the sample numbers at which an alarm begins; ``surprised`` has (sample number, surprise), in order."""
    rest_until = WARM_UP
    found = []
    for i, surprise in surprised:
        if surprise >= threshold and i >= rest_until:
            found.append(i)
            rest_until = i + rest_samples(i)
    return found


def emitted(series: Series, constants: Constants) -> list[float]:
    """Return what the detector says sample by sample: its score, 0 where it rests. From 0.5 on it is an alarm."""
    detector = AnomalyDetector(constants)
    scores = []
    for value, at_ms in zip(series.values, series.at_ms, strict=True):
        said = detector.update(value, at_ms)
        scores.append(0.0 if said.resting else said.score)
    return scores
