"""Decisions as the predictor keeps them, of two gateways of which one grows slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.routing.control.control_store import document_write
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.decide import decide
from payonce.routing.decision.predictor_store import decision_write
from payonce.routing.decision.record import record
from payonce.routing.decision.state import State
from payonce.routing.signals.observation import Cell, CellSignals, GatewaySignals, Observation
from payonce.routing.signals.sketch import LatencySketch

if TYPE_CHECKING:
    from payonce.ports import Database
    from payonce.routing.control.document import ControlDocument

WEIGHTS = {"alder": 0.5, "birch": 0.5}
STEP_MS = 5_000
WELL_STEPS, SLOW_STEPS = 12, 4


def keep_decisions(
    database: Database, now_ms: int, mode: Mode = Mode.ON, weights: dict[str, float] | None = None
) -> ControlDocument:
    """Store the decisions of the last minutes and their last document, in which alder is demoted; return it."""
    settings, state = RoutingSettings(neutral=weights or WEIGHTS, mode=mode), State()
    document = None
    for step in range(WELL_STEPS + SLOW_STEPS):
        at_ms = now_ms - STEP_MS * (WELL_STEPS + SLOW_STEPS - 1 - step)
        observed = _observation(at_ms, 6.0 if step >= WELL_STEPS else 1.0)
        decision = decide(state, observed, settings, at_ms)
        recorded = record(state, observed, settings, at_ms, decision)
        write = decision_write(recorded, epoch=decision.document.epoch, at_ms=at_ms)
        assert write is not None
        database.write([write, document_write(decision.document)])
        state, document = decision.state, decision.document
    assert document is not None
    assert "alder for card" in document.reason, "the scenario demotes alder"
    return document


def _observation(at_ms: int, slow: float) -> Observation:
    cells, gateways = {}, {}
    for gateway in WEIGHTS:
        sketch = LatencySketch()
        for number in range(120):
            sketch.add((500 + 5 * number) * (slow if gateway == "alder" else 1.0))
        late = 120 if gateway == "alder" and slow > 1 else 1  # a well gateway, too, has an answer now and then that is
        cells[Cell(gateway, "card")] = CellSignals(sketch, good=120 - late, bad=late)
        gateways[gateway] = GatewaySignals(36, 36, 0, 0, 8, 0)
    return Observation(at_ms, 3.0, cells, gateways, {"card": 24.0}, {"mer_1": 24.0}, {"authorization": 24.0})
