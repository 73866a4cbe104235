"""Runs the watch inside the predictor: it counts every answer, and stores one item per route at the end of a run.

::

    pk PREDICTOR   sk WATCH#<gateway>|<method>   state
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.ports import Adjust, Table
from payonce.routing.signals.packed import packed, unpacked
from payonce.routing.watch.route_watch import RouteWatch

if TYPE_CHECKING:
    from payonce.ports import Database, Key, Log
    from payonce.routing.signals.events import Ended
    from payonce.routing.signals.observation import Cell

PARTITION = "PREDICTOR"
PREFIX = "WATCH#"
MAX_STATE_BYTES = 1_048_576  # decompressed; a route's state has about 20 KB
MESSAGE = "route is unusual"
DIGITS = 4  # of a share: a technical share is usually some thousandths
ASK_AGAIN_MS = 30_000  # stream time before a failed read is retried; a retry per answer would leave no time to decide


class Watching:
    """One run's watch. It never raises for an error of the store, because no decision depends on it."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._watch = RouteWatch()
        self._known: set[Cell] = set()
        self._failed_at_ms: int | None = None

    def heard(self, event: Ended) -> None:
        """Count how an attempt ended, and log what is unusual: one line per series and episode."""
        if event.cell not in self._known and not self._restore(event.cell, event.at_ms):
            return
        try:
            found = self._watch.saw(event.cell, event.outcome, event.latency_ms, event.at_ms)
        except (ArithmeticError, ValueError) as error:
            self._begin_anew(event.cell, error)
            return
        for unusual in found:
            low, high = unusual.usual
            self._log.warning(
                MESSAGE,
                extra={
                    "gateway": event.cell.gateway,
                    "payment_method_type": event.cell.method,
                    "series": unusual.watched.value,
                    "value": round(unusual.value, DIGITS),
                    "usual_low": round(low, DIGITS),
                    "usual_high": round(high, DIGITS),
                    "answers": unusual.answers,
                },
            )

    def keep(self) -> None:
        """Store what was learned. Of two overlapping runs the later one overwrites the other, and has seen more."""
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
                return  # waiting for a failing store at every route would outlast the function

    def _restore(self, cell: Cell, at_ms: int) -> bool:
        """Continue from the stored state. Return False if the store fails: a fresh count would overwrite its state."""
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
        """Drop a route's state. A well-formed state with impossible numbers would end this and every later run."""
        self._watch.forget(cell)
        self._log.warning("watch begins anew", extra={"route": cell.key(), "error": str(error)})


def _key(cell: Cell) -> Key:
    return {"pk": PARTITION, "sk": PREFIX + cell.key()}
