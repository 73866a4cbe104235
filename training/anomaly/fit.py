"""Fit the anomaly detector's constants: ``PAYONCE_NAB_DATA=... python -m training.anomaly.fit [--check]``.

Writes ``payonce/routing/anomaly_constants.json``: the constants and where they come from. With ``--check`` it writes
nothing and ends with 1 when a fit on the same data gives other constants. Nothing in it is random.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.nab import corpus as data
from benchmarks.nab import judged
from benchmarks.nab.scorer import window_count
from benchmarks.nab.split import development_and_held_out
from payonce.routing import anomaly
from payonce.routing.evidence import EVIDENCE
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


def fit(corpus: Sequence[Series]) -> dict[str, Any]:
    """Return the file's content: constants fitted on the development series of the corpus, and their provenance."""
    fitted_on, held_out = development_and_held_out(corpus)
    best = search.Fit(fitted_on, judged.collect_all(fitted_on)).run()
    return {
        "constants": as_stored(search.rounded(best.constants)),
        "provenance": {
            "command": "python -m training.anomaly.fit",
            "data": "Numenta Anomaly Benchmark 1.1, https://github.com/numenta/NAB (MIT)",
            "data_sha256": digest_of_data(fitted_on),
            "fitted_at": datetime.now(UTC).date().isoformat(),
            "fitted_on": [one.name for one in fitted_on],
            "held_out": [one.name for one in held_out],
            "objective": f"{best.objective:.2f}: mean standard score at {search.NEIGHBOURS} neighbouring thresholds",
            "random_seeds": [],
            "windows_fitted_on": window_count(fitted_on),
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Fit and write, or fit and compare."""
    found = fit(data.read_nab(data.nab_directory()))
    if "--check" in arguments:
        shipped = json.loads(TARGET.read_text())
        same = shipped["constants"] == found["constants"]
        same = same and shipped["provenance"]["data_sha256"] == found["provenance"]["data_sha256"]
        print("the shipped constants are those of the fit" if same else f"the fit gives {found['constants']}")
        return int(not same)
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"wrote {TARGET.name}: {found['constants']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
