"""What routing saw and decided in each minute, for people: latencies, ends, forecasts, weights and limits.

::

    pk MINUTES   sk <minute since 1970>   told, purge_at

The leader keeps it from the signals that it reads anyway: one write in ten seconds for the whole platform, whatever its
rate. It is set and not added to, so that writing it again changes nothing. A new leader reads a minute back, so it
knows all of the minute in which it begins; what a killed leader had not written is lost, at most ten seconds of the
minute before.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import MINUTE_MS
from payonce.paging import every_item
from payonce.ports import Adjust, Table
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.feed import FIRST_LOOK_MS
from payonce.routing.signals.packed import packed, unpacked
from payonce.routing.signals.sketch import LatencySketch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database
    from payonce.routing.decision.decide import Decision
    from payonce.routing.signals.events import Ended

PARTITION = "MINUTES"
MINUTE_DIGITS = 10
KEPT_SECONDS = 2 * 86_400  # two days: today and the same hour of yesterday
WRITE_EVERY_MS = 10_000
KEPT_MINUTES = 3  # in memory: a late batch still counts in the minute in which its payments ended
MAX_BYTES = 1_048_576  # decompressed; a minute of a hundred routes has about 100 KB
PAGE_ITEMS = 500


@dataclass(slots=True)
class CellMinute:
    """One route in one minute: its latencies, its attempts by how they ended, and how many of them were bad.

    ``bad``: without an answer, or later than the SLO. ``expected``: the highest share of bad ones (0..1) that was
    forecast during the minute, for the minute after it; ``None``: nothing was decided.
    """

    sketch: LatencySketch = field(default_factory=LatencySketch)
    ends: dict[str, int] = field(default_factory=dict)
    bad: int = 0
    expected: float | None = None

    @property
    def total(self) -> int:
        """Return how many attempts ended."""
        return sum(self.ends.values())


@dataclass(slots=True)
class RouteMinute:
    """One minute of routing, by cell (``gateway|method``). The others are of the minute's last decision."""

    cells: dict[str, CellMinute] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    mode: str = ""
    reason: str = ""
    epoch: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "cells": {
                key: [cell.sketch.to_pairs(), cell.ends, cell.bad, cell.expected] for key, cell in self.cells.items()
            },
            "epoch": self.epoch,
            "limits": dict(self.limits),
            "mode": self.mode,
            "reason": self.reason,
            "weights": {method: dict(shares) for method, shares in self.weights.items()},
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> RouteMinute:
        """Return the object of a stored form. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for another."""
        cells = {
            key: CellMinute(LatencySketch.from_pairs(pairs), dict(ends), bad, expected)
            for key, (pairs, ends, bad, expected) in stored["cells"].items()
        }
        return cls(cells, stored["weights"], stored["limits"], stored["mode"], stored["reason"], stored["epoch"])


class MinuteKeeper:
    """Collects what one leader's term sees, and writes the minutes that changed, every ``WRITE_EVERY_MS``."""

    def __init__(self, database: Database, slo_ms: int) -> None:
        self._database = database
        self._slo_ms = slo_ms
        self._minutes: dict[int, RouteMinute] = {}
        self._changed: set[int] = set()
        self._from_minute = 0
        self._written_at_ms = 0

    def heard(self, event: Ended) -> None:
        """Count an attempt that ended. Call it once for each, in the order of their times."""
        minute = event.at_ms // MINUTE_MS
        if minute < max(self._from_minute, max(self._minutes, default=minute) - KEPT_MINUTES):
            return
        cell = self._minute(minute).cells.setdefault(event.cell.key(), CellMinute())
        cell.ends[event.outcome.value] = cell.ends.get(event.outcome.value, 0) + 1
        if event.outcome is not Outcome.NEVER_SENT:  # a refused connection is fast and says nothing about the latency
            cell.sketch.add(event.latency_ms)
            cell.bad += event.outcome is Outcome.UNKNOWN or event.latency_ms > self._slo_ms

    def decided(self, decision: Decision, at_ms: int) -> None:
        """Note a decision made at ``at_ms``, the stream's time."""
        minute = self._minute(at_ms // MINUTE_MS)
        document = decision.document
        minute.weights, minute.limits = document.weights, document.limits
        minute.mode, minute.reason, minute.epoch = document.mode.value, document.reason, document.epoch
        for key, forecast in decision.forecasts.items():
            cell = minute.cells.setdefault(key.key(), CellMinute())
            cell.expected = max(cell.expected or 0.0, round(forecast.bad_share, 4))

    def keep(self, now_ms: int, *, all_of_it: bool = False) -> None:
        """Write what changed, if it is time. ``now_ms`` is the stream's time.

        Raises ``StoreUnavailable`` and ``OutcomeUnknown``; what was not written is written the next time.
        """
        if not self._from_minute:
            # The first look went a minute back from now, the newest event: the minute in which it began is cut off.
            self._from_minute = -(-(now_ms - FIRST_LOOK_MS) // MINUTE_MS)
            for minute in [minute for minute in self._minutes if minute < self._from_minute]:
                del self._minutes[minute]
                self._changed.discard(minute)
        if not all_of_it and 0 <= now_ms - self._written_at_ms < WRITE_EVERY_MS:
            return
        self._written_at_ms = now_ms
        for minute in sorted(self._changed):
            self._database.write([minute_write(minute, self._minutes[minute])])
            self._changed.discard(minute)
        for minute in [minute for minute in self._minutes if minute <= max(self._minutes) - KEPT_MINUTES]:
            del self._minutes[minute]

    def _minute(self, minute: int) -> RouteMinute:
        self._changed.add(minute)
        return self._minutes.setdefault(minute, RouteMinute())


def minute_write(minute: int, seen: RouteMinute) -> Adjust:
    """Return the write that sets what was seen of a minute."""
    told = packed(json.dumps(seen.to_json(), separators=(",", ":")).encode())
    key = {"pk": PARTITION, "sk": f"{minute:0{MINUTE_DIGITS}d}"}
    values = {"told": told, "purge_at": minute * 60 + KEPT_SECONDS}
    return Adjust(table=Table.ROUTING, key=key, set=values, upsert=True)


def read_minutes(database: Database, from_minute: int, until_minute: int) -> dict[int, RouteMinute]:
    """Return the minutes that were kept, both ends included. Raises ``StoreUnavailable``. Eventually consistent.

    One that does not parse is left out: it is a plot's column, and no more.
    """
    found = {}
    for item in every_item(
        lambda start: database.query(
            Table.ROUTING,
            partition=("pk", PARTITION),
            sort_at_least=("sk", f"{from_minute:0{MINUTE_DIGITS}d}"),
            sort_at_most=("sk", f"{until_minute:0{MINUTE_DIGITS}d}"),
            limit=PAGE_ITEMS,
            start=start,
        )
    ):
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            found[int(item["sk"])] = RouteMinute.from_json(json.loads(unpacked(item.get("told"), MAX_BYTES)))
    return found
