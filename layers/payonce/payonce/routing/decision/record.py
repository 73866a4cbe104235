"""Records a decision with all of its inputs, so that it can be replayed to the same bytes."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from payonce.routing.control.document import canonical
from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision.decide import decide
from payonce.routing.decision.state import parse_state
from payonce.routing.signals.observation import Observation

if TYPE_CHECKING:
    from payonce.routing.decision.decide import Decision
    from payonce.routing.decision.state import State

VERSION = 4


def record(state: State, observed: Observation, settings: RoutingSettings, now_ms: int, decision: Decision) -> bytes:
    """Return the record of one decision as canonical JSON. ``state`` is the state before the decision."""
    return canonical(
        {
            "document": json.loads(decision.document.to_bytes()),
            "forecasts": {cell.key(): known.to_json() for cell, known in decision.forecasts.items()},
            "now_ms": now_ms,
            "observation": observed.to_json(),
            "settings": settings.to_json(),
            "state_after_sha256": sha256(decision.state.to_bytes()).hexdigest(),
            "state_before": state.to_json(),
            "version": VERSION,
        }
    )


def replay(recorded: bytes) -> bytes:
    """Make the decision again from its record and return the new record.

    The result equals ``recorded`` unless the code or the record has changed. Raises ``ValueError`` for anything but a
    record of this version.
    """
    try:
        stored = json.loads(recorded)
        if stored["version"] != VERSION:
            raise ValueError("the record is of another version")
        state, observed = parse_state(stored["state_before"]), Observation.from_json(stored["observation"])
        settings = RoutingSettings.from_json(stored["settings"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a decision's record") from error
    now_ms = stored["now_ms"]
    return record(state, observed, settings, now_ms, decide(state, observed, settings, now_ms))
