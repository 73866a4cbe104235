"""The route watch's benchmark: gaps, events, the scorer by hand, the split, and the tables in the document."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from benchmarks.route_watch import __main__ as program
from benchmarks.route_watch import candidates, corpus, drawn, score
from benchmarks.route_watch.corpus import Series
from payonce.routing.watch.neighbours import UNUSUAL_RATIO
from payonce.routing.watch.route_watch import Watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR_MS = 3_600_000


class Given:
    """Scores that a test gives."""

    def __init__(self, scores: dict[int, float]) -> None:
        self.scores = scores

    def score(self, _log: float, at_ms: int) -> float:
        return self.scores.get(at_ms // HOUR_MS, 0.0)

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """Learn nothing."""


def given(scores: dict[int, float]) -> Callable[[Series, float], score.Detector]:
    return lambda *_: Given(scores)


def series(events: list[tuple[int, int]], ignored: frozenset[int] = frozenset(), name: str = "a") -> Series:
    return Series(name, [i * HOUR_MS for i in range(340)], [0.0] * 340, events, 100, ignored)


def test_events_found_false_alarms_and_delay_are_counted() -> None:
    """By hand: one event found in its second hour, one not; one alarm elsewhere, one within a gap, over ten days."""
    one = series([(120, 125), (200, 210)], frozenset({300, 301}))
    found = score.measure([one], given({98: 9.0, 121: 9.0, 122: 9.0, 250: 9.0, 300: 9.0}), 5.0)
    assert (found.events, found.found, found.false_alarms, found.delay_hours) == (2, 1, 1, 1.0)
    assert found.days == pytest.approx(239 / 24)
    assert found.per_day == pytest.approx(24 / 239)


def test_the_threshold_finds_most_within_the_limit_of_false_alarms() -> None:
    """Fails when a threshold that finds more, and cries too often, is taken. Of equals, the highest is."""
    one = series([(120, 125), (200, 210)])
    scores = given({120: 9.0, 201: 4.0, 150: 5.0, 260: 5.0, 300: 5.0})
    assert score.fit([one], scores, (3.0, 6.0, 8.0, 9.5)).threshold == 8.0


def test_hours_labelled_at_a_gap_are_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the gap's label is an event, when the event right behind it is lost, or the gap has a value."""
    labelled = {110, 111, 112, 114, 115, 118, 130, 131}
    start = corpus._epoch_ms("2018-06-17T00:00:00")
    rows = [
        f'"{corpus.datetime.fromtimestamp(start / 1000 + i * 3600, corpus.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}",'
        f"{0 if i == 111 else 50},{int(i in labelled)}"
        for i in range(140)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["TimeStamp,Value,Label", *rows]))
    monkeypatch.setenv("PAYONCE_LATENCY_DATA", str(tmp_path))
    (without,) = corpus.read_latencies()
    (left_in,) = corpus.read_latencies(gaps=True)
    assert (len(without.logs), len(left_in.logs)) == (139, 140)
    assert without.events == [(113, 116), (117, 119), (129, 132)]  # one sample earlier, and two hours of grace
    assert left_in.events == [(110, 117), (118, 120), (130, 133)]
    assert set(without.logs) == {math.log(50)}


@pytest.mark.parametrize("read", [corpus.read_nab, corpus.read_latencies])
def test_missing_data_is_said(
    read: Callable[[], list[Series]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for directory in ("", str(tmp_path / "none"), str(tmp_path)):
        for variable in ("PAYONCE_NAB_DATA", "PAYONCE_LATENCY_DATA"):
            monkeypatch.setenv(variable, directory)
        with pytest.raises(corpus.DataMissing, match=r"PAYONCE_\w+ name.*https://github\.com"):
            read()


def test_a_window_at_missing_samples_is_neither_event_nor_false_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows, the second where an hour of samples is missing. Fails when it counts."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "group").mkdir(parents=True)
    names = {
        "group/a.csv": [["2014-04-03 00:00:00", "2014-04-03 03:00:00"], ["2014-04-05 00:00:00", "2014-04-05 03:00:00"]]
    }
    moments = {"group/a.csv": ["2014-04-03 01:00:00", "2014-04-05 01:00:00"]}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(names))
    (tmp_path / "labels" / "combined_labels.json").write_text(json.dumps(moments))
    rows = [
        f"2014-04-{day:02} {hour:02}:{minute:02}:00,{minute}"
        for day in range(1, 7)
        for hour in range(24)
        for minute in range(0, 60, 5)
        if not (day == 5 and hour == 1 and minute > 20)
    ]
    (tmp_path / "data" / "group" / "a.csv").write_text("\n".join(["timestamp,value", *rows]))
    monkeypatch.setenv("PAYONCE_NAB_DATA", str(tmp_path))
    (one,) = corpus.read_nab()
    assert one.events == [(2 * 96, 2 * 96 + 12)]
    assert len(one.ignored) == 11
    assert one.logs[0] == pytest.approx(math.log1p(5))
    assert len(corpus.read_nab(gaps=True)[0].events) == 2


def test_the_split_goes_by_names_only() -> None:
    names = [
        "artificialNoAnomaly/a",
        "artificialNoAnomaly/b",
        *(f"other/{i}" for i in range(3)),
        *(f"real/{i}" for i in range(4)),
    ]
    fitted, apart = corpus.nab_split([series([], name=name) for name in names])
    assert {one.name for one in apart} == {"real/1"}
    assert len(fitted) + len(apart) == len(names)
    assert [one.name for one in corpus.latencies_split([series([], name=name) for name in "abcd"])[1]] == ["b", "d"]


def test_scores_of_what_learns_everything_are_made_once() -> None:
    """Fails when the short cut says something else than the detector."""
    one = Series("a", [i * HOUR_MS for i in range(200)], [math.sin(i) for i in range(199)] + [9.0], [], 100)
    detector, said = candidates.PlainNeighbours(), []
    for log, at_ms in zip(one.logs, one.at_ms, strict=True):
        said.append(detector.score(log, at_ms))
        detector.add(log, at_ms, usual=True)
    replayed = candidates.once(candidates.PlainNeighbours)(one, 1.0)
    assert [replayed.score(log, at_ms) for log, at_ms in zip(one.logs, one.at_ms, strict=True)] == said
    assert said[-1] > 10


def test_every_candidate_sees_a_jump() -> None:
    """Fails when one of those compared does not work: beside it everything would look good."""
    logs = [math.sin(i / 4) + (0.07 * (i * 7919 % 13)) for i in range(20 * 24)]
    logs[-3:] = [9.0] * 3
    one = Series("a", [i * HOUR_MS for i in range(len(logs))], logs, [], 100)
    for name, (make, _) in program.DETECTORS.items():
        detector, said = make(one, 19.0), list[float]()
        for log, at_ms in zip(one.logs, one.at_ms, strict=True):
            said.append(detector.score(log, at_ms))
            detector.add(log, at_ms, usual=True)
        assert max(said[-3:]) > max(said[200:-3]), name


def test_a_drawn_route_alarms_in_its_incidents() -> None:
    """Fails when the incidents are drawn elsewhere than they are said to be. One route, of the report's ranges."""
    alarms, begins = drawn.watch_route(drawn.REPORTED, 1)
    for watched in (Watched.APPROVAL, Watched.TECHNICAL):
        assert any(at <= i < at + drawn.INCIDENT for i in alarms[watched] for at in begins[watched])
    assert not set(drawn.FITTED.seeds) & set(drawn.REPORTED.seeds)


def test_the_watch_ships_the_threshold_of_the_fit() -> None:
    """Fails when the constant and the figures are not of the same fit."""
    figures = json.loads(program.FIGURES.read_text())
    assert round(figures["latencies"]["payonce's watch"]["fitted"]["threshold"], 1) == UNUSUAL_RATIO


def test_the_document_has_the_figures_of_the_file() -> None:
    """Fails when a figure in the documentation was typed, or one of the two files is older than the other."""
    document = program.DOCUMENT.read_text()
    assert program.insert(document, program.render(json.loads(program.FIGURES.read_text()))) == document


def test_a_document_without_its_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the figures"):
        program.insert("# Nothing here", "| a |")
