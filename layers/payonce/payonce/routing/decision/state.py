"""The predictor's state between two steps: small, versioned, and replaced by an empty one if it does not parse."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from payonce.routing.control.document import SUM_TOLERANCE, canonical
from payonce.routing.control.strict_json import from_json, to_json
from payonce.routing.decision.reflex import Limit
from payonce.routing.detection.memory import RouteMemory
from payonce.routing.signals.observation import Cell

VERSION = 5


@dataclass(slots=True)
class State:
    """The state. ``epoch`` is that of the last document; ``weights`` are those before any limit.

    ``at_ms`` is the time of the last observation; ``refusing`` says that the last step refused payments.
    """

    epoch: int = 0
    memories: dict[Cell, RouteMemory] = field(default_factory=dict)
    levels: dict[Cell, float] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    at_ms: int = 0
    refusing: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored and that a decision's record contains."""
        return {
            "at_ms": self.at_ms,
            "epoch": self.epoch,
            "levels": {cell.key(): level for cell, level in self.levels.items()},
            "limits": {gateway: to_json(limit) for gateway, limit in self.limits.items()},
            "memories": {cell.key(): to_json(memory) for cell, memory in self.memories.items()},
            "refusing": self.refusing,
            "version": VERSION,
            "weights": self.weights,
        }

    def to_bytes(self) -> bytes:
        """Return canonical JSON with its SHA-256 digest, so that a damaged state is rejected as a whole."""
        state = self.to_json()
        return canonical({"sha256": sha256(canonical(state)).hexdigest(), "state": state})


def only_of(state: State, gateways: frozenset[str]) -> State:
    """Return the state reduced to ``gateways``.

    A gateway that is no longer configured gets no answers that could end its limit, and payments reject a document
    that names it.
    """
    return replace(
        state,
        memories={cell: memory for cell, memory in state.memories.items() if cell.gateway in gateways},
        levels={cell: level for cell, level in state.levels.items() if cell.gateway in gateways},
        limits={gateway: limit for gateway, limit in state.limits.items() if gateway in gateways},
    )


def parse_state(stored: Any) -> State:
    """Return the state from its ``to_json`` form. Raises ``ValueError`` for anything else."""
    try:
        if stored["version"] != VERSION:
            raise ValueError("the state is of another version")
        epoch = stored["epoch"]
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError("the state's epoch is not a whole number")
        weights = {
            method: {gateway: _number(weight) for gateway, weight in shares.items()}
            for method, shares in stored["weights"].items()
        }
        for shares in weights.values():
            if any(not 0 <= weight <= 1 for weight in shares.values()) or abs(sum(shares.values()) - 1) > SUM_TOLERANCE:
                raise ValueError("the state's weights are not shares of 1")
        return State(
            epoch,
            {Cell.parse(key): from_json(RouteMemory, item) for key, item in stored["memories"].items()},
            {Cell.parse(key): _number(level) for key, level in stored["levels"].items()},
            {gateway: from_json(Limit, item) for gateway, item in stored["limits"].items()},
            weights,
            int(_number(stored["at_ms"])),
            bool(_number(stored["refusing"])),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("not a stored state") from error


def _number(value: object) -> float:
    # float() alone would also accept a string of digits.
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("the state holds something that is no number")
    return float(value)


def restore(raw: bytes | None) -> State:
    """Return the stored state, or an empty one if it is missing or corrupt."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        stored = json.loads(raw or b"")
        if sha256(canonical(stored["state"])).hexdigest() == stored["sha256"]:
            return parse_state(stored["state"])
    return State()
