"""The watch as the predictor keeps it: told of every answer, stored at the end of a run, one item a route.

::

    pk PREDICTOR   sk WATCH#<gateway>|<method>   state
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.ports import Adjust, Table
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.packed import packed, unpacked
from payonce.routing.watch.route_watch import RouteWatch

if TYPE_CHECKING:
    from payonce.ports import Database, Key, Log
    from payonce.routing.signals.events import Ended
    from payonce.routing.signals.observation import Cell

PARTITION = "PREDICTOR"
PREFIX = "WATCH#"
MAX_STATE_BYTES = 1_048_576  # unpacked; a route has some 15 KB
MESSAGE = "gateway latency is unusual"
ASK_AGAIN_MS = 30_000  # of the stream's time, after a read that failed: at every answer, no time is left to decide


class Watching:
    """One run's watch. Nothing here raises for what the store does: no decision depends on it."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._watch = RouteWatch()
        self._known: set[Cell] = set()
        self._failed_at_ms: int | None = None

    def heard(self, event: Ended) -> None:
        """Count an answer, and log what is unusual: one line in an episode. Of no answer there is no latency."""
        if event.outcome is Outcome.NEVER_SENT:
            return
        if event.cell not in self._known and not self._restore(event.cell, event.at_ms):
            return
        try:
            unusual = self._watch.saw(event.cell, event.latency_ms, event.at_ms)
        except (ArithmeticError, ValueError) as error:
            self._begin_anew(event.cell, error)
            return
        if unusual is None:
            return
        drivers = sorted(unusual.score.features.items(), key=lambda each: -each[1])[:3]
        self._log.warning(
            MESSAGE,
            extra={
                "gateway": event.cell.gateway,
                "payment_method_type": event.cell.method,
                "p95_ms": round(unusual.p95_ms),
                "answers": unusual.answers,
                "probability": round(unusual.score.probability, 4),
                "deviation": round(unusual.score.deviation, 1),
                "drivers": [name for name, _ in drivers],
            },
        )

    def keep(self) -> None:
        """Store what was learned. Two runs that overlap write one after the other, and the later one knows more."""
        for cell in self._watch.routes:
            try:
                state = packed(self._watch.to_bytes(cell))
            except ValueError as error:
                self._begin_anew(cell, error)
                continue
            write = Adjust(table=Table.ROUTING, key=_key(cell), set={"state": state}, upsert=True)
            try:
                self._database.write([write])
            except (StoreUnavailable, OutcomeUnknown) as error:
                self._log.warning("watch not kept", extra={"route": cell.key(), "error": type(error).__name__})
                return  # a store that does not answer would be waited for at each route, past the function's end

    def _restore(self, cell: Cell, at_ms: int) -> bool:
        """Go on with what is stored. Without an answer of the store, nothing is counted: it would be kept over it."""
        if self._failed_at_ms is not None and at_ms - self._failed_at_ms < ASK_AGAIN_MS:
            return False
        try:
            item = self._database.get(Table.ROUTING, _key(cell))
        except StoreUnavailable:
            self._failed_at_ms = at_ms
            return False
        self._known.add(cell)
        if item is not None:
            try:
                self._watch.restore(cell, unpacked(item.get("state"), MAX_STATE_BYTES), at_ms=at_ms)
            except ValueError as error:
                self._begin_anew(cell, error)
        return True

    def _begin_anew(self, cell: Cell, error: Exception) -> None:
        """Also where a state's form is right and its numbers are not: it would end this run, and each that follows."""
        self._watch.forget(cell)
        self._log.warning("watch begins anew", extra={"route": cell.key(), "error": str(error)})


def _key(cell: Cell) -> Key:
    return {"pk": PARTITION, "sk": PREFIX + cell.key()}
