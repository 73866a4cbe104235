"""Watches each route for people: a quarter of an hour beside the last two weeks, in three series.

::

    answers of a quarter ─┬▶ p95 latency     nearest neighbours   slower or faster
                          ├▶ approval share  beta-binomial tail   a fall
                          └▶ technical share beta-binomial tail   a rise
                                 │
                                 └▶ usual: learned        unusual: an episode, one alarm until it has recovered

The reflex and the verdict look at seconds, act by themselves, and have adapted within the hour. What escapes them a
person should look at: a route slower than on any of the last days, an issuer that declines more. The watch changes no
route.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import MINUTE_MS
from payonce.routing.control.document import canonical
from payonce.routing.signals.book import TECHNICAL, Outcome
from payonce.routing.signals.sketch import LatencySketch
from payonce.routing.watch.episodes import Episode
from payonce.routing.watch.neighbours import Neighbours
from payonce.routing.watch.shares import UNUSUAL_DIGITS, UsualShare

if TYPE_CHECKING:
    from payonce.routing.signals.observation import Cell

VERSION = 2
PERIOD_MS = 15 * MINUTE_MS  # the time per sample, for which the false alarms of docs/route-watch.md are counted
MIN_ANSWERS = 40  # a quarter with fewer is a gap: a p95 of fewer answers rests on the slowest two
QUANTILE = 0.95
MAX_ROUTES = 96  # 16 gateways x 6 payment method types


class Watched(StrEnum):
    """What is watched of a route. The shares are of 1."""

    LATENCY = "p95_ms"
    APPROVAL = "approval_share"
    TECHNICAL = "technical_share"


@dataclass(frozen=True, slots=True)
class Unusual:
    """An alarm: a quarter of an hour's ``value``, of so many ``answers``, and the range in which it usually lies."""

    cell: Cell
    watched: Watched
    value: float
    answers: int
    usual: tuple[float, float]


@dataclass(slots=True)
class _Route:
    period: int = 0
    newest_ms: int = 0
    counted_until_ms: int = 0  # earlier answers are in the restored state, and must not be counted again
    sketch: LatencySketch = field(default_factory=LatencySketch)
    approved: int = 0
    declined: int = 0
    technical: int = 0
    latency: Neighbours = field(default_factory=Neighbours)
    approval: UsualShare = field(default_factory=lambda: UsualShare(rising=False))
    failure: UsualShare = field(default_factory=lambda: UsualShare(rising=True))
    episodes: dict[Watched, Episode] = field(default_factory=lambda: {watched: Episode() for watched in Watched})

    def begin(self, period: int) -> None:
        self.period, self.sketch = period, LatencySketch()
        self.approved = self.declined = self.technical = 0

    def count(self, outcome: Outcome, latency_ms: int, at_ms: int) -> None:
        self.newest_ms = max(self.newest_ms, at_ms)
        self.approved += outcome is Outcome.APPROVED
        self.declined += outcome is Outcome.DECLINED
        self.technical += outcome in TECHNICAL
        if outcome is not Outcome.NEVER_SENT:  # a refused connection is fast and says nothing about the latency
            self.sketch.add(latency_ms)


class RouteWatch:
    """Counts answers, and judges a route's last quarter of an hour when its next one begins."""

    def __init__(self) -> None:
        self._routes: dict[Cell, _Route] = {}

    def saw(self, cell: Cell, outcome: Outcome, latency_ms: int, at_ms: int) -> list[Unusual]:
        """Count the end of one attempt; ``at_ms`` is the stream's time.

        The first answer of a period closes the previous one, whose alarms are returned. An answer from a closed
        period, or from before the restored state, is not counted. Raises ``ValueError`` or ``ArithmeticError`` for a
        state with impossible numbers; the caller should then ``forget`` the route.
        """
        route = self._routes.get(cell)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                return []
            route = self._routes[cell] = _Route()
        period, found = at_ms // PERIOD_MS, []
        if period < route.period or at_ms <= route.counted_until_ms:
            return []
        if period > route.period:
            found = _judge(cell, route)
            route.begin(period)
        route.count(outcome, latency_ms, at_ms)
        return found

    def to_bytes(self, cell: Cell) -> bytes:
        """Return the state of one route as canonical JSON. Raises ``KeyError`` for an unknown route."""
        route = self._routes[cell]
        return canonical(
            {
                "answers": [route.approved, route.declined, route.technical],
                "approval": route.approval.to_json(),
                "episodes": {watched: episode.to_json() for watched, episode in route.episodes.items()},
                "failure": route.failure.to_json(),
                "latency": route.latency.to_json(),
                "newest_ms": route.newest_ms,
                "period": route.period,
                "sketch": route.sketch.to_pairs(),
                "version": VERSION,
            }
        )

    def restore(self, cell: Cell, raw: bytes, *, at_ms: int) -> None:
        """Continue from a route's stored state at ``at_ms``, the stream's time.

        Raises ``ValueError`` for a malformed state, and for one from the future, with which no answer would be counted
        until then. The caller should then ``forget`` the route.
        """
        try:
            self._routes[cell] = _restored(json.loads(raw), at_ms)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("not a watch's state") from error

    def forget(self, cell: Cell) -> None:
        """Drop a route's state, so that it starts afresh."""
        self._routes.pop(cell, None)

    @property
    def routes(self) -> list[Cell]:
        """Return the watched routes, sorted."""
        return sorted(self._routes)


def _restored(stored: dict[str, Any], at_ms: int) -> _Route:
    if stored["version"] != VERSION:
        raise ValueError("the watch's state is of another version")
    numbers = [stored["period"], stored["newest_ms"], *stored["answers"]]
    if len(numbers) != 5 or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("the watch's state counts in whole numbers")
    period, newest_ms, approved, declined, technical = numbers
    if max(period * PERIOD_MS, newest_ms) > at_ms + PERIOD_MS:
        raise ValueError("the watch's state is from the future")
    return _Route(
        period,
        newest_ms,
        newest_ms,
        LatencySketch.from_pairs(stored["sketch"]),
        approved,
        declined,
        technical,
        Neighbours.from_json(stored["latency"]),
        UsualShare.from_json(stored["approval"], rising=False),
        UsualShare.from_json(stored["failure"], rising=True),
        {watched: Episode.from_json(stored["episodes"][watched]) for watched in Watched},
    )


def _judge(cell: Cell, route: _Route) -> list[Unusual]:
    at_ms = route.period * PERIOD_MS
    found = []
    if route.sketch.total >= MIN_ANSWERS:
        p95_ms = route.sketch.quantile_ms(QUANTILE)
        judged = route.latency.judge(p95_ms, at_ms)
        if route.episodes[Watched.LATENCY].update(at_ms, unusual=judged.ratio >= 1):
            found.append(Unusual(cell, Watched.LATENCY, p95_ms, route.sketch.total, route.latency.usual_range()))
        route.latency.add(judged)
    decided = route.approved + route.declined
    shares = (
        (Watched.APPROVAL, route.approval, route.approved, decided),
        (Watched.TECHNICAL, route.failure, route.technical, decided + route.technical),
    )
    for watched, share, count, answers in shares:
        if answers < MIN_ANSWERS:
            continue
        episode, usual = route.episodes[watched], share.usual_range(answers)
        unusual = share.digits(count, answers) >= UNUSUAL_DIGITS
        if episode.update(at_ms, unusual=unusual):
            found.append(Unusual(cell, watched, count / answers, answers, usual))
        if not unusual or episode.adopted(at_ms):
            share.learn(count, answers)
    return found
