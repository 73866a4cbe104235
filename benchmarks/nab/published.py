"""Check the scorer: it gives the published detectors the scores that were published for them.

``PAYONCE_NAB_DATA=... python -m benchmarks.nab.published`` reads ``results/<detector>/`` and ``final_results.json`` of
the checkout and ends with 1 when a score is off by more than 0.005 at the threshold that was published with it. The
last column is the best threshold's score: older results were published with a search that stopped short of it.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.nab import corpus as data
from benchmarks.nab import scorer

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 0.005  # of a score from 0 to 100: published ones are stated with one decimal
DETECTORS: tuple[str, ...] = (
    "windowedGaussian",
    "randomCutForest",
    "relativeEntropy",
    "knncad",
    "earthgeckoSkyline",
    "contextOSE",
    "numenta",
    "htmjava",
    "ARTime",
    "twitterADVec",
    "skyline",
    "expose",
)


@dataclass(frozen=True)
class Check:
    """One published score beside the scorer's, at the published threshold and at the best one."""

    detector: str
    profile: str
    published: float
    ours: float
    best: float

    @property
    def agrees(self) -> bool:
        """Whether the published score is reproduced."""
        return abs(self.published - self.ours) <= TOLERANCE


def published_threshold(root: Path, detector: str, profile: scorer.Profile) -> float:
    """Return the threshold of the published score."""
    path = root / "results" / detector / f"{detector}_{profile.name}_scores.csv"
    with path.open(newline="") as lines:
        return float(next(csv.DictReader(lines))["Threshold"])


def compare(root: Path, detectors: tuple[str, ...] = DETECTORS) -> list[Check]:
    """Score the published results of each detector with each profile."""
    corpus = data.read_nab(root)
    published = json.loads((root / "results" / "final_results.json").read_text())
    windows = scorer.window_count(corpus)
    rows = []
    for detector in detectors:
        scores = data.read_published(root, detector, corpus)
        for profile in scorer.PROFILES:
            outcomes = scorer.sweep_corpus(corpus, scores, profile)
            there = scorer.at_threshold(outcomes, published_threshold(root, detector, profile))
            ours, best = (
                scorer.normalised(outcome.raw, windows, profile) for outcome in (there, scorer.optimum(outcomes))
            )
            rows.append(Check(detector, profile.name, published[detector][profile.name], ours, best))
    return rows


def main() -> int:
    """Print the comparison; 1 when a score is not reproduced."""
    try:
        rows = compare(data.nab_directory())
    except data.DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'':41} published     ours     best")
    for row in rows:
        mark = "" if row.agrees else "  differs"
        print(f"{row.detector:20} {row.profile:20} {row.published:9.3f} {row.ours:8.3f} {row.best:8.3f}{mark}")
    return int(not all(row.agrees for row in rows))


if __name__ == "__main__":
    sys.exit(main())
