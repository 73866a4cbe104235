"""Routes whose attempts end as a test tells, a step each time, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from payonce.routing.detection.memory import ENOUGH_SAMPLES, FADE_SECONDS, RouteMemory, follow
from payonce.routing.detection.verdict import Field
from payonce.routing.signals.observation import Cell, CellSignals
from payonce.routing.signals.sketch import LatencySketch

if TYPE_CHECKING:
    from payonce.routing.detection.verdict import Forecast

T0 = 1_000_000_000_000
STEP_MS = 2_000
SLO_MS = 3_000.0
ALDER, BIRCH = Cell("alder", "card"), Cell("birch", "card")
ALDERS_WALLET, BIRCHS_WALLET = Cell("alder", "wallet"), Cell("birch", "wallet")
EVEN = {"alder": 0.5, "birch": 0.5}
USUAL_MS = 600.0


def sketch_of(median_ms: float, samples: int = 2 * ENOUGH_SAMPLES, spread: float = 0.35) -> LatencySketch:
    """Return a window of lognormal latencies, always the same ones."""
    sketch, draw = LatencySketch(), Random(7)
    for _ in range(samples):
        sketch.add(median_ms * draw.lognormvariate(0, spread))
    return sketch


CALM = sketch_of(USUAL_MS)
NONE = CellSignals(LatencySketch())


def ended(good: int, bad: int = 0, failed: int = 0, sketch: LatencySketch = CALM) -> CellSignals:
    """Return what a step tells of a route: ``failed`` are among the ``bad``."""
    return CellSignals(sketch, False, good, bad, failed)


WELL = ended(20)
FAILING = ended(17, bad=3, failed=3)
LATE = ended(17, bad=3)


@dataclass
class Shop:
    """Two gateways, if no others are told."""

    neutral: dict[str, float] = field(default_factory=lambda: dict(EVEN))
    demoted: set[Cell] = field(default_factory=set)
    limited: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    memories: dict[Cell, RouteMemory] = field(default_factory=dict)
    at_ms: int = T0

    def see(self, seen: dict[Cell, CellSignals], steps: int = 1) -> dict[Cell, Forecast]:
        """Return the forecasts of all methods after the last step."""
        for _ in range(steps):
            self.at_ms += STEP_MS
            for cell, signals in seen.items():
                before = self.memories.get(cell, RouteMemory())
                self.memories[cell] = follow(before, signals, self.at_ms, fade_seconds=FADE_SECONDS, late_counts=True)
        return self.forecasts({cell.method for cell in seen})

    def forecasts(self, methods: set[str]) -> dict[Cell, Forecast]:
        """Return the forecasts of these methods' routes."""
        routes = Field(
            memories=self.memories,
            demoted=self.demoted,
            limited=self.limited,
            hanging=self.hanging,
            neutral=self.neutral,
            slo_ms=SLO_MS,
        )
        return {cell: known for method in sorted(methods) for cell, known in routes.judge(method).items()}
