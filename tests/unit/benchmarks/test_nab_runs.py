"""The benchmark's way from series to figures: the data it refuses, the short cut it takes, the tables it writes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from benchmarks.nab import corpus, judged, latency, tables
from benchmarks.nab.scorer import Series
from benchmarks.nab.split import development_and_held_out
from payonce.routing.watch.anomaly import AnomalyDetector, shipped_constants


def series(name: str = "a", samples: int = 900, *, seed: int = 1, events: tuple[int, ...] = (500,)) -> Series:
    source = random.Random(seed)
    values = [source.gauss(100, 5) for _ in range(samples)]
    for at in events:
        values[at : at + 5] = [400.0] * 5
    hour = 3_600_000
    return Series(name, [i * hour for i in range(samples)], values, [(at, at + 4) for at in events])


@pytest.mark.parametrize("kind", ["general", "latency"])
def test_the_short_cut_says_what_the_detector_says(kind: str) -> None:
    """Fails when the fit and the figures are those of another detector than the one that is shipped."""
    constants, one = shipped_constants(kind), series(samples=2_500, events=(700, 1_300, 1_500, 1_900))
    detector = AnomalyDetector(constants)
    said = [detector.update(value, at_ms) for value, at_ms in zip(one.values, one.at_ms, strict=True)]
    surprises = judged.surprises(judged.collect(one, constants.scaled), constants.weights, constants.habituation)
    assert surprises == [score.surprise for score in said]
    raised = judged.alarms(enumerate(surprises), constants.alarm_surprise)
    assert raised == [i for i, score in enumerate(said) if score.alarm]
    assert len(raised) >= 4
    emitted = judged.emitted(one, constants)
    assert [i for i, score in enumerate(emitted) if score >= 0.5 and i >= 100] == raised


def test_events_found_and_false_alarms_are_counted() -> None:
    """By hand: two events after the learning period, one found in its grace, one not; one alarm elsewhere."""
    one = Series("a", list(range(400)), [0.0] * 400, [(10, 12), (200, 201), (203, 204), (300, 310)])
    assert latency.events(one) == [(200, 204), (300, 310)]
    surprises = [9.0 if i in (206, 350) else 0.0 for i in range(400)]
    found = latency.measure([one], {"a": surprises}, 5.0)
    assert (found.events, found.found, found.false_alarms) == (2, 1, 1)
    assert found.days == 300 / 24


def test_the_threshold_is_chosen_within_the_limit_of_false_alarms() -> None:
    """Fails when a threshold that finds more, and cries more often than allowed, is taken."""
    one = Series("a", list(range(400)), [0.0] * 400, [(200, 204), (300, 310)])
    surprises = [0.0] * 400
    surprises[200], surprises[301] = 6.0, 2.05
    for i in (150, 250, 350):
        surprises[i] = 3.0
    assert latency.tune([one], {"a": surprises}) == 6.0


@pytest.mark.parametrize("read", [corpus.nab_directory, corpus.latency_directory])
def test_missing_data_is_said(read: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("PAYONCE_NAB_DATA", "PAYONCE_LATENCY_DATA"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(corpus.DataMissing, match=r"is not set: let it name .*https://github\.com"):
        read()  # type: ignore[operator]
    for variable in ("PAYONCE_NAB_DATA", "PAYONCE_LATENCY_DATA"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(corpus.DataMissing, match="no directory"):
        read()  # type: ignore[operator]


def test_a_corpus_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(corpus.DataMissing, match="a checkout of NAB"):
        corpus.read_nab(tmp_path)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps({"group/a.csv": []}))
    with pytest.raises(corpus.DataMissing, match="1 of 1 files are missing"):
        corpus.read_nab(tmp_path)
    (tmp_path / "data" / "group").mkdir(parents=True)
    (tmp_path / "data" / "group" / "a.csv").write_text("timestamp,value\n2014-04-01 00:00:00,1.5\n")
    with pytest.raises(corpus.DataMissing, match="58 files"):
        corpus.read_nab(tmp_path)


def test_labelled_hours_become_events(tmp_path: Path) -> None:
    rows = [f'"2018-06-17T{hour:02}:00:00Z",{hour}.5,{int(hour in (0, 3, 4))}' for hour in range(6)]
    (tmp_path / "x.csv").write_text("\n".join(["TimeStamp,Value,Label", *rows]))
    (one,) = corpus.read_latencies(tmp_path)
    assert one.windows == [(0, 0), (3, 4)]
    assert one.values[5] == 5.5
    assert one.at_ms[1] - one.at_ms[0] == 3_600_000


def test_the_shipped_constants_were_fitted_on_the_split() -> None:
    """Fails when the split is changed and the constants are not fitted anew."""
    path = Path(judged.__file__).parents[2] / "layers/payonce/payonce/routing/watch/anomaly_constants.json"
    provenance = json.loads(path.read_text())["provenance"]["general"]
    names = [*provenance["fitted_on"], *provenance["held_out"]]
    development, held_out = development_and_held_out([Series(name, [], [], []) for name in names])
    assert sorted(one.name for one in held_out) == sorted(provenance["held_out"])
    assert sorted(one.name for one in development) == sorted(provenance["fitted_on"])


def test_the_document_has_the_figures_of_the_file() -> None:
    """Fails when a figure in the documentation was typed, or one of the two files is older than the other."""
    root = Path(judged.__file__).parents[2]
    figures = json.loads((root / "benchmarks/nab/figures.json").read_text())
    document = (root / "docs/anomaly-detector.md").read_text()
    assert tables.insert(document, tables.render(figures)) == document


def test_a_document_without_its_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the figures"):
        tables.insert("# Nothing here", "| a |")
