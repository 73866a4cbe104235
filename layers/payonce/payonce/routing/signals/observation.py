"""What a decision sees at one moment. It is stored with every decision, so it must contain all of their input."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, NamedTuple, Self

from payonce.routing.signals.sketch import LatencySketch

SEPARATOR = "|"


class Cell(NamedTuple):
    """A route: a gateway and a payment method type. One method may be slow while another is well (gray failure)."""

    gateway: str
    method: str

    def key(self) -> str:
        """Return the name under which it is stored."""
        return f"{self.gateway}{SEPARATOR}{self.method}"

    @classmethod
    def parse(cls, key: str) -> Cell:
        """Return the route of a stored name, the inverse of ``key``. Raises ``ValueError`` for anything else."""
        gateway, separator, method = key.partition(SEPARATOR)
        if not gateway or not separator or not method:
            raise ValueError(f"{key!r} is not a route")
        return cls(gateway, method)


@dataclass(slots=True)
class CellSignals:
    """One route: its latencies over the last seconds (overdue attempts at their age), and the attempts judged lately.

    ``good``, ``bad`` and ``failed`` count attempts that no earlier observation has counted: ``bad`` had no answer
    within the SLO, ``failed``, which are among them, ended without any. ``is_lengthened``: the window was lengthened to
    have enough latencies.
    """

    sketch: LatencySketch
    is_lengthened: bool = False
    good: int = 0
    bad: int = 0
    failed: int = 0


@dataclass(slots=True)
class GatewaySignals:
    """One gateway over the last few seconds; ``in_flight`` and ``overdue`` are as of now.

    ``slow`` counts ended attempts that took longer than expected.
    """

    started: int = 0
    answered: int = 0
    technical: int = 0
    slow: int = 0
    in_flight: int = 0
    overdue: int = 0


@dataclass(slots=True)
class Observation:
    """Everything that a decision sees as of ``at_ms``.

    ``gateways`` count over ``recent_seconds``. ``demand`` (per method), ``priorities`` and ``merchants`` (unprotected
    requests only) are in requests per second, including refused ones.
    """

    at_ms: int
    recent_seconds: float
    cells: dict[Cell, CellSignals]
    gateways: dict[str, GatewaySignals]
    demand: dict[str, float]
    merchants: dict[str, float]
    priorities: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "at_ms": self.at_ms,
            "cells": {
                cell.key(): [seen.is_lengthened, seen.good, seen.bad, seen.failed, seen.sketch.to_pairs()]
                for cell, seen in self.cells.items()
            },
            "demand": self.demand,
            "gateways": {gateway: astuple(signals) for gateway, signals in self.gateways.items()},
            "merchants": self.merchants,
            "priorities": self.priorities,
            "recent_seconds": self.recent_seconds,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Return the object of a stored form, the inverse of ``to_json``."""
        return cls(
            stored["at_ms"],
            stored["recent_seconds"],
            {
                Cell.parse(key): CellSignals(LatencySketch.from_pairs(pairs), is_lengthened, good, bad, failed)
                for key, (is_lengthened, good, bad, failed, pairs) in stored["cells"].items()
            },
            {gateway: GatewaySignals(*signals) for gateway, signals in stored["gateways"].items()},
            dict(stored["demand"]),
            dict(stored["merchants"]),
            dict(stored["priorities"]),
        )
