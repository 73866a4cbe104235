"""Fit the anomaly detector's constants: ``python -m training.anomaly.fit [--check]``.

``PAYONCE_NAB_DATA`` and ``PAYONCE_LATENCY_DATA`` name the data (benchmarks/nab/corpus.py). The general constants are
fitted to NAB's scores. Those for latencies start from them: habituation is off, for what decides must not tire;
evidence may be left out and the logarithm taken, whichever finds the most events of the tuning series within the limit
of false alarms.

Writes ``payonce/routing/watch/anomaly_constants.json``: the constants and where they come from. With ``--check`` it
writes nothing and ends with 1 when a fit on the same data gives other constants. Nothing in it is random.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.nab import corpus as data
from benchmarks.nab import judged, latency
from benchmarks.nab.scorer import window_count
from benchmarks.nab.split import development_and_held_out
from payonce.routing.watch import anomaly
from payonce.routing.watch.statistics import EVIDENCE
from training.anomaly import search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.nab.scorer import Series

TARGET = Path(anomaly.__file__).with_name("anomaly_constants.json")


def digest_of_data(corpus: Sequence[Series]) -> str:
    """Return the SHA-256 of the series' names, times, values and windows."""
    digest = hashlib.sha256()
    for one in corpus:
        digest.update(json.dumps([one.name, one.at_ms, one.values, one.windows]).encode())
    return digest.hexdigest()


def as_stored(constants: anomaly.Constants) -> dict[str, Any]:
    """Return the constants as the file has them."""
    return asdict(constants) | {"weights": dict(zip(EVIDENCE, constants.weights, strict=True))}


LEFT_OUT: tuple[tuple[str, ...], ...] = ((), ("weekly",), ("quiet",), ("weekly", "quiet"))


def fit_latency(tuned_on: Sequence[Series], general: anomaly.Constants) -> tuple[anomaly.Constants, latency.Recall]:
    """Return the constants for latencies and what they find on the series they are tuned on."""
    tried = []
    for logarithmic in (False, True):
        evidence = judged.collect_all(tuned_on, replace(general, logarithmic=logarithmic).scaled)
        for names in LEFT_OUT:
            pairs = zip(EVIDENCE, general.weights, strict=True)
            weights = tuple(0.0 if name in names else weight for name, weight in pairs)
            surprises = {name: judged.surprises(samples, weights, 0.0) for name, samples in evidence.items()}
            threshold = latency.tune(tuned_on, surprises)
            constants = anomaly.Constants(weights, 0.0, threshold, logarithmic)
            tried.append((constants, latency.measure(tuned_on, surprises, threshold)))
    return max(tried, key=lambda one: (one[1].found, -one[1].false_alarms))


def fit(corpus: Sequence[Series], latencies: Sequence[Series]) -> dict[str, Any]:
    """Return the file's content: both sets of constants, and their provenance."""
    fitted_on, held_out = development_and_held_out(corpus)
    best = search.Fit(fitted_on, judged.collect_all(fitted_on)).run()
    general = search.rounded(best.constants)
    tuned_on, reported = latency.tuned_and_reported(latencies)
    for_latency, found = fit_latency(tuned_on, general)
    return {
        "constants": {"general": as_stored(general), "latency": as_stored(for_latency)},
        "provenance": {
            "command": "python -m training.anomaly.fit",
            "fitted_at": datetime.now(UTC).date().isoformat(),
            "random_seeds": [],
            "general": {
                "data": "Numenta Anomaly Benchmark 1.1, https://github.com/numenta/NAB (MIT)",
                "data_sha256": digest_of_data(fitted_on),
                "fitted_on": [one.name for one in fitted_on],
                "held_out": [one.name for one in held_out],
                "objective": f"{best.objective:.2f}: standard score, mean of {search.NEIGHBOURS} thresholds",
                "windows": window_count(fitted_on),
            },
            "latency": {
                "data": "https://github.com/microsoft/cloud-monitoring-dataset (MIT)",
                "data_sha256": digest_of_data(tuned_on),
                "fitted_on": [one.name for one in tuned_on],
                "held_out": [one.name for one in reported],
                "objective": f"{found.found} of {found.events} events, {found.false_alarms} false alarms",
            },
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Fit and write, or fit and compare."""
    try:
        found = fit(data.read_nab(data.nab_directory()), data.read_latencies(data.latency_directory()))
    except data.DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    if "--check" in arguments:
        shipped = json.loads(TARGET.read_text())
        for one in (shipped, found):
            del one["provenance"]["fitted_at"]
        same = shipped == found
        print("the shipped constants are those of the fit" if same else f"the fit gives {found['constants']}")
        return int(not same)
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"wrote {TARGET.name}: {found['constants']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
