"""Measure the anomaly detector on public data: ``python -m benchmarks.nab [--quick]``.

Writes the figures to ``benchmarks/nab/figures.json`` and the tables into docs/anomaly-detector.md, and prints the
tables. ``--quick`` leaves out the fits of leave-one-group-out, writes nothing, and takes about a minute.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.nab import corpus as data
from benchmarks.nab import judged, latency, scorer, tables
from benchmarks.nab.split import development_and_held_out, group_of, halves
from payonce.routing.watch.anomaly import shipped_constants
from training.anomaly.search import Fit, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.nab.scorer import Series

FIGURES = Path(__file__).with_name("figures.json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "anomaly-detector.md"
ALARM = 0.5  # the detector's score from which on it is an alarm
BESIDE = ("windowedGaussian", "randomCutForest", "relativeEntropy", "contextOSE", "ARTime")

type Scores = Mapping[str, Sequence[float]]


def fixed(corpus: Sequence[Series], scores: Scores, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Return each profile's score at a threshold that was chosen elsewhere."""
    windows = scorer.window_count(corpus)
    result = {}
    for profile in scorer.PROFILES:
        outcomes = scorer.sweep_corpus(corpus, scores, profile)
        result[profile.name] = _figures(scorer.at_threshold(outcomes, thresholds[profile.name]), windows, profile)
    return result


def best(corpus: Sequence[Series], scores: Scores) -> dict[str, Any]:
    """Return each profile's score at the threshold that is best for these very series: NAB's own rule."""
    windows = scorer.window_count(corpus)
    return {
        profile.name: _figures(scorer.optimum(scorer.sweep_corpus(corpus, scores, profile)), windows, profile)
        for profile in scorer.PROFILES
    }


def _figures(outcome: scorer.Outcome, windows: int, profile: scorer.Profile) -> dict[str, Any]:
    return {
        "score": scorer.normalised(outcome.raw, windows, profile),
        "threshold": outcome.threshold,
        "found": outcome.found,
        "windows": windows,
        "false_alarms": outcome.false_alarms,
    }


def thresholds_of(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the thresholds that ``best`` chose."""
    return {name: figures["threshold"] for name, figures in measured.items()}


ALARMS = {profile.name: ALARM for profile in scorer.PROFILES}


def leave_one_group_out(corpus: Sequence[Series]) -> dict[str, Any]:
    """Return the scores over all series, each scored with constants and a threshold fitted on the other groups."""
    evidence = judged.collect_all(corpus)
    scores = {}
    fitted = {}
    for group in sorted({group_of(one) for one in corpus}):
        constants = rounded(Fit([one for one in corpus if group_of(one) != group], evidence).run(passes=1).constants)
        fitted[group] = {"weights": constants.weights, "alarm_surprise": constants.alarm_surprise}
        for one in corpus:
            if group_of(one) == group:
                scores[one.name] = judged.emitted(one, constants)
    return {"constants": fitted, "scores": fixed(corpus, scores, ALARMS)}


def per_group(corpus: Sequence[Series], scores: Scores) -> dict[str, Any]:
    """Return the standard profile's figures per group at the shipped threshold."""
    groups = sorted({group_of(one) for one in corpus})
    return {
        group: fixed([one for one in corpus if group_of(one) == group], scores, ALARMS)["standard"]
        for group in groups
        if any(one.windows for one in corpus if group_of(one) == group)
    }


def published(root: Path, corpus: list[Series]) -> dict[str, Any]:
    """Return the published detectors' scores on the same series: fixed on development, and by NAB's own rule."""
    development, held_out = development_and_held_out(corpus)
    result = {}
    for detector in BESIDE:
        scores = data.read_published(root, detector, corpus)
        chosen = thresholds_of(best(development, scores))
        result[detector] = {
            "held_out": fixed(held_out, scores, chosen),
            "second_half": fixed(halves(corpus)[1], scores, chosen),
            "development": best(development, scores),
            "all_best": best(corpus, scores),
        }
    return result


def measure(*, quick: bool) -> dict[str, Any]:
    """Return all figures."""
    root = data.nab_directory()
    corpus = data.read_nab(root)
    latencies = data.read_latencies(data.latency_directory())
    constants = shipped_constants()
    scores = {one.name: judged.emitted(one, constants) for one in corpus}
    development, held_out = development_and_held_out(corpus)
    figures: dict[str, Any] = {
        "held_out": fixed(held_out, scores, ALARMS),
        "second_half": fixed(halves(corpus)[1], scores, ALARMS),
        "development": fixed(development, scores, ALARMS),
        "all_fixed": fixed(corpus, scores, ALARMS),
        "all_best": best(corpus, scores),
        "per_group": per_group(corpus, scores),
        "series": {"development": len(development), "held_out": len(held_out), "all": len(corpus)},
        "latency": latency.report(latencies, constants, shipped_constants("latency")),
        "published": published(root, corpus),
    }
    if not quick:
        figures["leave_one_group_out"] = leave_one_group_out(corpus)
    return figures


def main(arguments: Sequence[str]) -> int:
    """Measure, write, print."""
    try:
        figures = measure(quick="--quick" in arguments)
    except data.DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    text = tables.render(figures)
    print(text)
    if "--quick" not in arguments:
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        DOCUMENT.write_text(tables.insert(DOCUMENT.read_text(), text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
