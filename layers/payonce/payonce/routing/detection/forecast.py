"""Forecasts the probability that a route breaks its SLO within the horizon, with coefficients fitted in the laboratory.

The model is a logistic regression over the detector's features: small enough to read, and each feature's contribution
can be named. ``coefficients.json`` says what it was fitted on.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.routing.detection.detector import Assessment

COEFFICIENTS = Path(__file__).with_name("coefficients.json")
NAMED_DRIVERS = 3  # more would not explain anything


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic regression: an intercept and a weight per feature. ``horizon_seconds`` is what it was fitted for."""

    intercept: float
    weights: dict[str, float]
    horizon_seconds: int

    def probability(self, features: dict[str, float]) -> float:
        """Return the probability (0..1) that a route with these features breaks its SLO within the horizon."""
        score = self.intercept + sum(weight * features[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for one route. ``drivers`` are the features that raised the probability most, strongest first."""

    probability: float
    horizon_seconds: int
    drivers: tuple[str, ...]
    features: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the decision's record."""
        return {
            "drivers": list(self.drivers),
            "features": {name: round(value, 4) for name, value in self.features.items()},
            "horizon_seconds": self.horizon_seconds,
            "probability": round(self.probability, 4),
        }


@cache
def shipped_model() -> Model:
    """Return the model that ships with this version of payonce."""
    stored = json.loads(COEFFICIENTS.read_text("utf-8"))
    return Model(stored["intercept"], stored["weights"], stored["horizon_seconds"])


def forecast(assessment: Assessment, model: Model) -> Forecast:
    """Return one route's forecast.

    Where attempts fail, the probability is at least that of the errors being too many: the SLO is already broken.
    """
    features = assessment.features
    parts = {name: weight * features[name] for name, weight in model.weights.items()}
    drivers = tuple(name for name in sorted(parts, key=parts.__getitem__, reverse=True) if parts[name] > 0)
    probability = model.probability(features)
    if "technical_errors" in assessment.reasons:
        probability, drivers = max(probability, features["technical"]), ("technical", *drivers)
    return Forecast(probability, model.horizon_seconds, drivers[:NAMED_DRIVERS], features)
