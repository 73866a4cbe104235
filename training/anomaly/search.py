"""The fit: one constant at a time over a small grid, judged by the benchmark's standard profile on the given series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.nab import judged, scorer
from payonce.routing.watch.anomaly import Constants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.nab.judged import Surprises
    from benchmarks.nab.scorer import Series

WEIGHTS = (0.0, 0.5, 1.0, 1.5)  # coarse on purpose: on half of the series a finer grid fits them, and no others, better
HABITUATIONS = (0.0, 0.2, 0.4)
START_WEIGHTS: Surprises = (1.0, 1.0, 0.5, 0.5, 1.0, 0.5, 0.5)
START_HABITUATION = 0.4
FIXED_WEIGHT = 0  # the level's stays 1: only ratios matter
PASSES = 3
THRESHOLDS = 40
RAREST, MOST_FREQUENT = 0.0003, 0.025  # shares of all samples that are at or above the candidate thresholds
RANKED = 1.0  # of surprise: below, no threshold is tried
NEIGHBOURS = 5  # thresholds: the mean over so many is the objective, so that no lucky one wins
GAIN_MIN = 0.3  # of 100: less is chance


@dataclass(frozen=True)
class Candidate:
    """Constants, and the objective: the mean score around the threshold."""

    constants: Constants
    objective: float


class Fit:
    """The series to fit on, with all that does not change between two evaluations."""

    def __init__(self, corpus: Sequence[Series], evidence: Mapping[str, Sequence[Surprises]]) -> None:
        self.corpus = corpus
        self.evidence = evidence
        self.worths = {one.name: _worths(one) for one in corpus}
        self.windows = scorer.window_count(corpus)

    def run(self, passes: int = PASSES) -> Candidate:
        """Return the best constants found in so many passes over all of them."""
        best = self.evaluate(START_WEIGHTS, START_HABITUATION)
        for _ in range(passes):
            before = best.objective
            for weights, habituation in self._moves(best.constants):
                candidate = self.evaluate(weights, habituation)
                if candidate.objective > best.objective + GAIN_MIN:
                    best = candidate
            if best.objective == before:
                break
        return best

    @staticmethod
    def _moves(constants: Constants) -> Iterator[tuple[Surprises, float]]:
        """Yield each constant's grid, the others as they were at the pass's start."""
        for i in range(len(constants.weights)):
            if i != FIXED_WEIGHT:
                for weight in WEIGHTS:
                    yield (*constants.weights[:i], weight, *constants.weights[i + 1 :]), constants.habituation
        for habituation in HABITUATIONS:
            yield constants.weights, habituation

    def evaluate(self, weights: Surprises, habituation: float) -> Candidate:
        """Return the objective of one choice, with the threshold that goes with it."""
        surprises = {one.name: judged.surprises(self.evidence[one.name], weights, habituation) for one in self.corpus}
        ranked = sorted(
            (s for one in self.corpus for s in surprises[one.name][one.probation :] if s > RANKED), reverse=True
        )
        samples = sum(len(one.values) - one.probation for one in self.corpus)
        thresholds = [ranked[min(len(ranked) - 1, rank)] for rank in _ranks(samples)]
        above = {
            name: [(i, s) for i, s in enumerate(values) if s >= thresholds[-1]] for name, values in surprises.items()
        }
        scores = [self._score(above, threshold) for threshold in thresholds]
        means = [sum(scores[i : i + NEIGHBOURS]) / NEIGHBOURS for i in range(len(scores) - NEIGHBOURS + 1)]
        at = max(range(len(means)), key=means.__getitem__)
        return Candidate(
            Constants(weights, habituation, thresholds[at + NEIGHBOURS // 2], logarithmic=False), means[at]
        )

    def _score(self, above: Mapping[str, Sequence[tuple[int, float]]], threshold: float) -> float:
        raw = -scorer.STANDARD.missed * self.windows
        for one in self.corpus:
            found: set[tuple[str, int]] = set()
            worths = self.worths[one.name]
            for i in judged.alarms(above[one.name], threshold):
                point = worths.get(i)
                if point is None or point.window in found:
                    continue
                raw += point.worth
                if point.window:  # found by its first alarm: later ones in it are worth less
                    raw += scorer.STANDARD.missed
                    found.add(point.window)
        return scorer.normalised(raw, self.windows, scorer.STANDARD)


def _ranks(samples: int) -> list[int]:
    ratio = (MOST_FREQUENT / RAREST) ** (1 / (THRESHOLDS - 1))
    return [int(samples * RAREST * ratio**i) for i in range(THRESHOLDS)]


def _worths(series: Series) -> dict[int, scorer.Point]:
    scored = scorer.points(series, [0.0] * len(series.values), scorer.STANDARD)
    return dict(enumerate(scored, start=series.probation))


def rounded(constants: Constants) -> Constants:
    """Return them as they are shipped: the threshold to three digits."""
    return replace(constants, alarm_surprise=float(f"{constants.alarm_surprise:.3g}"))
