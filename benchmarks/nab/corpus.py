"""The public series, read from a directory that the caller names. None of them is part of this repository.

``PAYONCE_NAB_DATA`` names a checkout of the Numenta Anomaly Benchmark (github numenta/NAB, MIT): ``data/``, ``labels/``
and, for checking the scorer, ``results/``. ``PAYONCE_LATENCY_DATA`` names the folder
``middle-tier-api-dependency-latency`` of github microsoft/cloud-monitoring-dataset (MIT).
"""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.nab.scorer import Series

NAB_FILES = 58
NAB_WINDOWS = 116
LATENCY_FILES = 12


class DataMissing(Exception):
    """The data is not where the variable says. The message says what to do."""


def _directory(variable: str, what: str) -> Path:
    value = os.environ.get(variable, "")
    if not value:
        raise DataMissing(f"{variable} is not set: let it name {what}")
    path = Path(value)
    if not path.is_dir():
        raise DataMissing(f"{variable} names {value}, which is no directory: let it name {what}")
    return path


def nab_directory() -> Path:
    """Return the benchmark's checkout. Raises DataMissing."""
    return _directory("PAYONCE_NAB_DATA", "a checkout of https://github.com/numenta/NAB (data/ and labels/ are read)")


def latency_directory() -> Path:
    """Return the folder of the labelled latencies. Raises DataMissing."""
    what = "middle-tier-api-dependency-latency of https://github.com/microsoft/cloud-monitoring-dataset"
    return _directory("PAYONCE_LATENCY_DATA", what)


def epoch_ms(text: str) -> int:
    """Return a timestamp of the files as epoch milliseconds. They name no zone; UTC is taken."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def read_nab(root: Path) -> list[Series]:
    """Return all 58 series with their windows, by name. Raises DataMissing when the corpus is not whole."""
    labels = root / "labels" / "combined_windows.json"
    if not labels.is_file():
        raise DataMissing(f"{labels} is missing: is {root} a checkout of NAB?")
    windows: dict[str, list[tuple[str, str]]] = json.loads(labels.read_text())
    absent = [name for name in windows if not (root / "data" / name).is_file()]
    if absent:
        raise DataMissing(f"{len(absent)} of {len(windows)} files are missing in {root / 'data'}, first {absent[0]}")
    corpus = [_series(root / "data" / name, name, windows[name]) for name in sorted(windows)]
    if len(corpus) != NAB_FILES or sum(len(series.windows) for series in corpus) != NAB_WINDOWS:
        raise DataMissing(f"{labels} is not version 1.1's, with {NAB_FILES} files and {NAB_WINDOWS} windows")
    return corpus


def _series(path: Path, name: str, windows: list[tuple[str, str]]) -> Series:
    with path.open(newline="") as lines:
        rows = [(epoch_ms(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
    at_ms = [at for at, _ in rows]
    limits = [(at_ms.index(epoch_ms(first)), at_ms.index(epoch_ms(last))) for first, last in windows]
    return Series(name, at_ms, [value for _, value in rows], limits)


def read_published(root: Path, detector: str, corpus: list[Series]) -> dict[str, list[float]]:
    """Return a published detector's scores per series, from the checkout's ``results``. Raises DataMissing."""
    scores = {}
    for series in corpus:
        group, _, file = series.name.partition("/")
        path = root / "results" / detector / group / f"{detector}_{file}"
        if not path.is_file():
            raise DataMissing(f"{path} is missing: a full checkout has the published results")
        with path.open(newline="") as lines:
            scores[series.name] = [float(row["anomaly_score"]) for row in csv.DictReader(lines)]
    return scores


def read_latencies(root: Path) -> list[Series]:
    """Return the labelled latency series; a window is a run of samples labelled 1. Raises DataMissing."""
    paths = sorted(root.glob("*.csv"))
    if not paths:
        raise DataMissing(f"there is no CSV in {root}")
    corpus = []
    for path in paths:
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        labels = [row["Label"] == "1" for row in rows]
        corpus.append(
            Series(
                path.stem,
                [epoch_ms(row["TimeStamp"]) for row in rows],
                [float(row["Value"]) for row in rows],
                _runs(labels),
            )
        )
    return corpus


def _runs(labels: list[bool]) -> list[tuple[int, int]]:
    starts = [i for i, on in enumerate(labels) if on and not (i and labels[i - 1])]
    ends = [i for i, on in enumerate(labels) if on and not (i + 1 < len(labels) and labels[i + 1])]
    return list(zip(starts, ends, strict=True))
