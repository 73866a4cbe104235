"""Routes drawn at random, at the watch's own rate: its false alarms, and two incidents of two hours each.

The ranges of the report are others than those that the limits of the shares were chosen on, and so are the seeds.
A route's answers follow the day; its latency, approval and technical share follow the day and a slow random walk of
their own, so that no quarter is like the last by more than the answers' chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from payonce.routing.signals.book import Outcome
from payonce.routing.signals.observation import Cell
from payonce.routing.watch.route_watch import PERIOD_MS, RouteWatch, Watched

if TYPE_CHECKING:
    from collections.abc import Sequence

START_MS = 1_772_323_200_000
QUARTERS_PER_DAY = 96
DAYS = 28
LEARNED_DAYS = 14
INCIDENT = 8  # quarters
APART = (16, 96)  # quarters from one incident's begin to the next one's
ROUTE = Cell("alder", "card")


@dataclass(frozen=True)
class Ranges:
    """What routes are drawn from; each pair is (least, most)."""

    seeds: Sequence[int]
    answers: tuple[float, float]  # per quarter, the day's mean
    approval: tuple[float, float]
    technical: tuple[float, float]
    swing: tuple[float, float]  # of the day, in log odds and in log milliseconds
    walk: tuple[float, float]  # standard deviation of the slow walk, likewise
    slower: tuple[float, float]  # an incident's factors and shares
    approval_falls_by: tuple[float, float]
    technical_rises_to: tuple[float, float]


FITTED = Ranges(
    range(1, 7), (60, 400), (0.8, 0.92), (0.002, 0.01), (0.05, 0.25), (0.05, 0.15), (2, 3), (0.2, 0.4), (0.06, 0.2)
)
REPORTED = Ranges(
    range(101, 113), (45, 900), (0.6, 0.97), (0.0005, 0.02), (0.0, 0.4), (0.02, 0.2), (1.8, 4), (0.15, 0.6), (0.05, 0.4)
)


def _walk(random: np.random.Generator, quarters: int, deviation: float) -> np.ndarray:
    steps = random.normal(0, deviation * math.sqrt(1 - 0.9**2), quarters)
    values = np.zeros(quarters)
    for i in range(1, quarters):
        values[i] = 0.9 * values[i - 1] + steps[i]
    return values


def _odds(share: float, shift: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-(math.log(share / (1 - share)) + shift))))


def watch_route(ranges: Ranges, seed: int) -> tuple[dict[Watched, list[int]], dict[Watched, list[int]]]:
    """Return the quarters in which each series alarmed, and those in which its two incidents began."""
    random = np.random.default_rng(seed)
    quarters = DAYS * QUARTERS_PER_DAY
    day = np.sin(2 * np.pi * np.arange(quarters) / QUARTERS_PER_DAY)

    def drawn(pair: tuple[float, float]) -> float:
        return float(random.uniform(*pair))

    answers = random.poisson(drawn(ranges.answers) * (1 + 0.6 * day))
    shifts = [drawn(ranges.swing) * day + _walk(random, quarters, drawn(ranges.walk)) for _ in range(3)]
    approval, technical = _odds(drawn(ranges.approval), shifts[0]), _odds(drawn(ranges.technical), shifts[1])
    typical_ms = 300 * np.exp(shifts[2])
    begins = {}
    for watched in Watched:
        first = LEARNED_DAYS * QUARTERS_PER_DAY + int(random.integers(2 * QUARTERS_PER_DAY))
        begins[watched] = [first, first + int(random.integers(*APART))]
        for during in (slice(begin, begin + INCIDENT) for begin in begins[watched]):
            if watched is Watched.LATENCY:
                typical_ms[during] *= drawn(ranges.slower)
            elif watched is Watched.APPROVAL:
                approval[during] *= 1 - drawn(ranges.approval_falls_by)
            else:
                technical[during] = drawn(ranges.technical_rises_to)
    return _feed(random, answers, typical_ms, approval, technical), begins


def _feed(
    random: np.random.Generator,
    answers: np.ndarray,
    typical_ms: np.ndarray,
    approval: np.ndarray,
    technical: np.ndarray,
) -> dict[Watched, list[int]]:
    watch, alarms = RouteWatch(), {watched: list[int]() for watched in Watched}
    for quarter, count in enumerate(answers):
        at_ms = START_MS + quarter * PERIOD_MS
        latencies = np.rint(typical_ms[quarter] * random.lognormal(0, 0.4, count)).astype(int)
        fails, approves = random.random((2, count)) < [[technical[quarter]], [approval[quarter]]]
        for i in range(count):
            outcome = Outcome.UNKNOWN if fails[i] else Outcome.APPROVED if approves[i] else Outcome.DECLINED
            for unusual in watch.saw(ROUTE, outcome, int(latencies[i]), at_ms + i):
                alarms[unusual.watched].append(quarter - 1)
    return alarms


def measure(*, reported: bool) -> dict[str, dict[str, Any]]:
    """Return the figures per kind of ranges and series. An alarm outside the incidents is false."""
    figures: dict[str, dict[str, Any]] = {}
    for key, ranges in (("fitted on", FITTED), ("report", REPORTED))[: 2 if reported else 1]:
        routes = [watch_route(ranges, seed) for seed in ranges.seeds]
        for watched in Watched:
            hits, false = list[list[int]](), 0
            for alarms, begins in routes:
                found = [[i - at for i in alarms[watched] if at <= i < at + INCIDENT] for at in begins[watched]]
                hits += found
                false += len(alarms[watched]) - sum(map(len, found))
            figures.setdefault(key, {})[watched.value] = {
                "per_day": round(false / len(routes) / (DAYS - 1), 4),
                "incidents": len(routes),
                "first": sum(map(bool, hits[::2])),
                "second": sum(map(bool, hits[1::2])),
                "delay_quarters": median(each[0] for each in hits if each),
            }
        print(key, figures[key], flush=True)
    return figures
