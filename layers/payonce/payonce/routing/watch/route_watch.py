"""Watches each route's latency for people, a quarter of an hour at a time: what is unusual beside its own past.

The two loops look at seconds and act by themselves; they forget what they acted on within the hour. A route that
becomes a little slower every week, or behaves on Mondays as it never did, is nothing for them and a call for somebody.
No route is changed by it.
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
# One sample of a route. The detector's false alarms are per sample (about 3 of 1,000): at a sample a minute there would
# be four a day and route, at one in a quarter of an hour one in four days.
PERIOD_MS = 15 * 60 * 1000
MIN_ANSWERS = 40  # a p95 of fewer is its slowest two
QUANTILE = 0.95
MAX_ROUTES = 96  # every gateway with every kind of method: 16 x 6


@dataclass(slots=True)
class _Watched:
    detector: AnomalyDetector
    period: int = 0
    sketch: LatencySketch = field(default_factory=LatencySketch)
    newest_ms: int = 0
    counted_until_ms: int = 0  # by who stored the state: what is read again after a restart counts once


@dataclass(frozen=True, slots=True)
class Unusual:
    """A quarter of an hour of one route that nothing in its past is like. ``p95_ms`` is what was measured in it."""

    cell: Cell
    p95_ms: float
    answers: int
    score: AnomalyScore


class RouteWatch:
    """Collects latencies and judges each route's last period when its next one begins."""

    def __init__(self, constants: Constants | None = None) -> None:
        self._constants = constants or shipped_constants("latency")
        self._routes: dict[Cell, _Watched] = {}

    def saw(self, cell: Cell, latency_ms: int, at_ms: int) -> Unusual | None:
        """Count one answer of a route; ``at_ms`` is the stream's time. Returns what the period before it was, if that.

        An answer that comes late, from a period that was judged or from before the restored state, is not counted.
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
        """Return the state of one route as canonical JSON, about 13 KB. Raises ``KeyError`` for one that is unknown."""
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
        """Go on with a route's stored state at ``at_ms``, the stream's time.

        Raises ``ValueError`` when it is none, or is from the future, in which no answer would be counted until then;
        the route then begins anew.
        """
        try:
            stored: dict[str, Any] = json.loads(raw)
            period, newest_ms = stored["period"], stored["newest_ms"]
            if stored["version"] != VERSION or not isinstance(period, int) or not isinstance(newest_ms, int):
                raise ValueError("the watch's state is of another version")
            canonical(stored)  # raises for NaN and infinities, which would stay for ever
            if max(period * PERIOD_MS, newest_ms) > at_ms + PERIOD_MS:
                raise ValueError("the watch's state is from the future")
            sketch = LatencySketch.from_pairs(stored["sketch"])
            detector = AnomalyDetector.restore(stored["detector"], self._constants)
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("not a watch's state") from error
        self._routes[cell] = _Watched(detector, period, sketch, newest_ms, newest_ms)

    def forget(self, cell: Cell) -> None:
        """Begin a route anew."""
        self._routes.pop(cell, None)

    @property
    def routes(self) -> list[Cell]:
        """The routes that are watched, in order."""
        return sorted(self._routes)


def _judge(cell: Cell, watched: _Watched) -> Unusual | None:
    sketch = watched.sketch
    if sketch.total < MIN_ANSWERS:
        return None
    p95_ms = sketch.quantile_ms(QUANTILE)
    score = watched.detector.update(p95_ms, watched.period * PERIOD_MS)
    return Unusual(cell, p95_ms, sketch.total, score) if score.alarm else None
