"""Watches each route's latency for people: scores every quarter of an hour against the route's own past.

The two loops look at seconds, act by themselves, and have adapted within the hour. A route that becomes a little
slower every week, or behaves on Mondays as it never did, escapes them, and a person should look at it. The watch
changes no route.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.routing.control.document import canonical
from payonce.routing.signals.sketch import LatencySketch
from payonce.routing.watch.anomaly import AnomalyDetector, Constants, shipped_constants

if TYPE_CHECKING:
    from payonce.routing.signals.observation import Cell
    from payonce.routing.watch.anomaly import AnomalyScore

VERSION = 1
# The time per sample. The detector has about 3 false alarms in 1,000 samples: with a sample a minute that would be four
# per day and route; with one per quarter of an hour it is one in four days.
PERIOD_MS = 15 * 60 * 1000
MIN_ANSWERS = 40  # a p95 of fewer answers rests on the slowest two
QUANTILE = 0.95
MAX_ROUTES = 96  # 16 gateways x 6 payment method types


@dataclass(slots=True)
class _Watched:
    detector: AnomalyDetector
    period: int = 0
    sketch: LatencySketch = field(default_factory=LatencySketch)
    newest_ms: int = 0
    counted_until_ms: int = 0  # earlier answers are in the restored state, and must not be counted again


@dataclass(frozen=True, slots=True)
class Unusual:
    """A quarter of an hour in which a route's latency was anomalous. ``p95_ms`` and ``answers`` are of that period."""

    cell: Cell
    p95_ms: float
    answers: int
    score: AnomalyScore


class RouteWatch:
    """Collects latencies, and scores a route's last period when its next one begins."""

    def __init__(self, constants: Constants | None = None) -> None:
        self._constants = constants or shipped_constants("latency")
        self._routes: dict[Cell, _Watched] = {}

    def saw(self, cell: Cell, latency_ms: int, at_ms: int) -> Unusual | None:
        """Count one answer of a route; ``at_ms`` is the stream's time.

        The first answer of a period closes the previous one, which is returned if it was anomalous. An answer from a
        closed period, or from before the restored state, is not counted.
        """
        watched = self._routes.get(cell)
        if watched is None:
            if len(self._routes) >= MAX_ROUTES:
                return None
            watched = self._routes[cell] = _Watched(AnomalyDetector(self._constants))
        period, found = at_ms // PERIOD_MS, None
        if period < watched.period or at_ms <= watched.counted_until_ms:
            return None
        if period > watched.period:
            found = _judge(cell, watched)
            watched.period, watched.sketch = period, LatencySketch()
        watched.sketch.add(latency_ms)
        watched.newest_ms = max(watched.newest_ms, at_ms)
        return found

    def to_bytes(self, cell: Cell) -> bytes:
        """Return the state of one route as canonical JSON, about 13 KB. Raises ``KeyError`` for an unknown route."""
        watched = self._routes[cell]
        return canonical(
            {
                "detector": watched.detector.state(),
                "newest_ms": watched.newest_ms,
                "period": watched.period,
                "sketch": watched.sketch.to_pairs(),
                "version": VERSION,
            }
        )

    def restore(self, cell: Cell, raw: bytes, *, at_ms: int) -> None:
        """Continue from a route's stored state at ``at_ms``, the stream's time.

        Raises ``ValueError`` for a malformed state, and for one from the future, with which no answer would be counted
        until then. The caller should then ``forget`` the route.
        """
        try:
            stored: dict[str, Any] = json.loads(raw)
            period, newest_ms = stored["period"], stored["newest_ms"]
            if stored["version"] != VERSION or not isinstance(period, int) or not isinstance(newest_ms, int):
                raise ValueError("the watch's state is of another version")
            canonical(stored)  # raises for NaN and infinities, which would persist for ever
            if max(period * PERIOD_MS, newest_ms) > at_ms + PERIOD_MS:
                raise ValueError("the watch's state is from the future")
            sketch = LatencySketch.from_pairs(stored["sketch"])
            detector = AnomalyDetector.restore(stored["detector"], self._constants)
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("not a watch's state") from error
        self._routes[cell] = _Watched(detector, period, sketch, newest_ms, newest_ms)

    def forget(self, cell: Cell) -> None:
        """Drop a route's state, so that it starts afresh."""
        self._routes.pop(cell, None)

    @property
    def routes(self) -> list[Cell]:
        """Return the watched routes, sorted."""
        return sorted(self._routes)


def _judge(cell: Cell, watched: _Watched) -> Unusual | None:
    sketch = watched.sketch
    if sketch.total < MIN_ANSWERS:
        return None
    p95_ms = sketch.quantile_ms(QUANTILE)
    score = watched.detector.update(p95_ms, watched.period * PERIOD_MS)
    return Unusual(cell, p95_ms, sketch.total, score) if score.alarm else None
