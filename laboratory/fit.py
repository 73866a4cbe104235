"""Fits the forecast's coefficients on the tuning scenarios and writes them, with their provenance, as data.

payonce runs in shadow mode, without protecting the gateways. Every step of every route is one example: its features,
and whether the route breaks its SLO within the horizon. Coefficients may not be negative, because a forecast that falls
when latency rises could not be explained.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from laboratory.demand import draw_demand
from laboratory.figures import SLO_SHARE, WINDOW_SECONDS, good_payments
from laboratory.policies.predictive import Predictive
from laboratory.simulation import Trial
from laboratory.split import FIRST, TUNING, TUNING_SEEDS, scenario
from payonce.routing.control.routing_settings import Mode
from payonce.routing.detection.forecast import COEFFICIENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laboratory.trouble import Ranges

HORIZON_SECONDS = 60
FIT_SEEDS = TUNING_SEEDS[:6]
FIT_SCENARIOS = tuple(
    name for name in FIRST if name not in {"diurnal", "oscillation"}
)  # a week or an hour would outweigh the others
RIDGE = 1.0
STEPS = 60
MIN_IN_WINDOW = 20  # with fewer payments a single slow answer would be a breach

Examples = tuple[list[dict[str, float]], list[bool]]


def examples(group: Mapping[str, Ranges], name: str, seed: int) -> Examples:
    """Return one trial's examples: features, and whether the route broke its SLO within the horizon."""
    drawn = scenario(dict(group), name, seed)
    watcher = Predictive(mode=Mode.SHADOW, keep_steps=True)
    trial = Trial(drawn, draw_demand(drawn, seed), watcher, Random(seed)).run()
    at, good = np.asarray(trial.demand.at), good_payments(trial)
    served, methods = np.asarray(trial.served_by), np.asarray(trial.demand.method)
    broken: dict[tuple[str, str], np.ndarray] = {}
    for spec in drawn.gateways:
        for method in drawn.methods:
            mine = (served == spec.name) & (methods == method)
            second = at[mine].astype(int)
            length = int(drawn.seconds) + 1
            total = np.convolve(np.bincount(second, minlength=length), np.ones(WINDOW_SECONDS))[:length]
            well = np.convolve(np.bincount(second, good[mine], minlength=length), np.ones(WINDOW_SECONDS))[:length]
            broken[spec.name, method] = (total >= MIN_IN_WINDOW) & (well < SLO_SHARE * total)
    features, labels = [], []
    for now, decision in watcher.steps:
        if not 60 <= now < drawn.seconds - HORIZON_SECONDS:
            continue
        for cell, known in decision.forecasts.items():
            features.append(known.features)
            labels.append(bool(broken[cell][int(now) : int(now) + HORIZON_SECONDS + 1].any()))
    return features, labels


def fit(features: list[dict[str, float]], labels: list[bool]) -> tuple[float, dict[str, float]]:
    """Return the intercept and weights of a ridge logistic regression, by Newton's method.

    Features whose weight would be negative are left out.
    """
    names = sorted(features[0])
    target = np.asarray(labels, dtype=float)
    while True:
        matrix = np.array([[1.0, *(row[name] for name in names)] for row in features])
        weights = np.zeros(matrix.shape[1])
        ridge = RIDGE * np.eye(len(weights))
        ridge[0, 0] = 1e-6
        for _ in range(STEPS):
            probability = 1 / (1 + np.exp(-np.clip(matrix @ weights, -30, 30)))
            gradient = matrix.T @ (target - probability) - ridge @ weights
            curvature = (matrix * (probability * (1 - probability))[:, None]).T @ matrix + ridge
            step = np.linalg.solve(curvature, gradient)
            weights += step
            if np.abs(step).max() < 1e-8:
                break
        worst = int(np.argmin(weights[1:]))
        if weights[1 + worst] >= 0:
            return float(weights[0]), dict(zip(names, (float(weight) for weight in weights[1:]), strict=True))
        del names[worst]


def write() -> dict[str, Any]:
    """Fit on the tuning scenarios, write ``coefficients.json``, and return its contents."""
    features: list[dict[str, float]] = []
    labels: list[bool] = []
    for name in FIT_SCENARIOS:
        for seed in FIT_SEEDS:
            more_features, more_labels = examples(TUNING, name, seed)
            features += more_features
            labels += more_labels
    intercept, weights = fit(features, labels)
    stored = {
        "horizon_seconds": HORIZON_SECONDS,
        "intercept": round(intercept, 4),
        "provenance": {
            "examples": len(labels),
            "fitted_by": "python -m laboratory fit",
            "positive": sum(labels),
            "scenarios": list(FIT_SCENARIOS),
            "seeds": list(FIT_SEEDS),
        },
        "weights": {name: round(weight, 4) for name, weight in weights.items()},
    }
    COEFFICIENTS.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", "utf-8")
    return stored
