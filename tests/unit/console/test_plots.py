"""Plots: each shows its numbers where they belong, says them as text, and holds whatever it is given."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from payonce.console.plots.ageing import AgeClass, ageing_plot
from payonce.console.plots.drawing import Plot, nice_ceiling, percent
from payonce.console.plots.heat_map import BANDS, LEVELS, column_of, heat_map, level_of
from payonce.console.plots.lines import Series, lines_plot, sparkline
from payonce.console.plots.shares import OTHERS, shares_plot
from payonce.routing.signals.sketch import LatencySketch

FIRST, LAST = 29_925_400, 29_925_459
XSS = "</title><script>alert(1)</script>&\"'"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(plot: Plot) -> ElementTree.Element:
    root = ElementTree.fromstring(str(plot.svg))  # noqa: S314 - our own
    for one in root.iter():
        assert one.tag.removeprefix(SVG) in {"svg", "title", "desc", "path", "rect", "line", "text"}
        assert not one.attrib.keys() & {"style", "onload", "onclick", "href"}
    return root


def sketch(*latencies_ms: float) -> LatencySketch:
    made = LatencySketch()
    for latency_ms in latencies_ms:
        made.add(latency_ms)
    return made


def test_each_payment_is_in_its_band() -> None:
    column = column_of(sketch(10, 30, 30, 150, 3_300, 99_000))
    found = {BANDS[band]: count for band, count in enumerate(column.counts) if count}
    assert found == {0: 1, 25: 2, 140: 1, 3_200: 1, 15_000: 1}


def test_a_slow_minute_stands_higher() -> None:
    columns = {FIRST: column_of(sketch(*[200.0] * 50)), FIRST + 1: column_of(sketch(*[2_000.0] * 50))}
    plot = heat_map("heat", "Latency", columns, FIRST, LAST, 3_000)
    root = parsed(plot)
    (cells,) = [one.attrib["d"] for one in root.iter(f"{SVG}path") if one.attrib["class"] == f"h{LEVELS}"]
    (x0, y0), (x1, y1) = [tuple(map(float, pair)) for pair in re.findall(r"M([\d.]+) ([\d.]+)", cells)]
    assert x0 < x1
    assert y0 > y1  # SVG counts downwards
    described = root.find(f"{SVG}desc")
    assert described is not None
    assert "100 payments" in (described.text or "")
    assert [row[1:] for row in plot.rows] == [("50", "2.0 s", "2.0 s"), ("50", "200 ms", "200 ms")]


@pytest.mark.parametrize(
    ("count", "most", "level"), [(1, 1, LEVELS), (1, 1_000, 1), (1_000, 1_000, LEVELS), (31, 1_000, 3)]
)
def test_single_slow_payments_are_seen_beside_many(count: int, most: int, level: int) -> None:
    assert level_of(count, most) == level


def test_shares_add_up_and_the_many_are_one() -> None:
    names = [f"gateway {number}" for number in range(9)]
    plot = shares_plot("shares", "Shares", {FIRST: dict.fromkeys(names, 10), LAST: {names[0]: 3}}, names, FIRST, LAST)
    root = parsed(plot)
    columns = [one for one in root.iter(f"{SVG}rect") if float(one.attrib["width"]) != 10]
    assert sum(float(one.attrib["height"]) + 1 for one in columns) == pytest.approx(2 * (210 - 40 - 12), abs=1)
    assert plot.head[-1] == OTHERS
    assert plot.rows[-1][-1] == "44 %"


def test_a_gap_is_no_zero() -> None:
    """Fails when a minute without payments is drawn as one in which none was bad."""
    values = {FIRST: 0.5, FIRST + 1: 0.5, FIRST + 4: 0.1, FIRST + 5: 0.2}
    plot = lines_plot("bad", "Bad", [Series("came", values, filled=True)], FIRST, LAST, percent)
    root = parsed(plot)
    (line,) = [one.attrib["d"] for one in root.iter(f"{SVG}path") if one.attrib["class"] == "l1"]
    assert line.count("M") == 2
    assert len(plot.rows) == 4


def test_a_value_stands_at_its_height() -> None:
    plot = lines_plot("bad", "Bad", [Series("came", {FIRST: 0.0, LAST: 0.4})], FIRST, LAST, percent)
    (line,) = [one.attrib["d"] for one in parsed(plot).iter(f"{SVG}path")]
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line)]
    assert heights == [150, 12]  # the bottom and, at 40 % of a scale up to 40 %, the top


def test_an_age_is_a_bar_with_its_number() -> None:
    classes = [AgeClass("today", 8, "good"), AgeClass("older", 2, "bad"), AgeClass("oldest", 0, "bad")]
    root = parsed(ageing_plot("ages", "Ages", "breaks", classes))
    widths = [float(one.attrib["width"]) for one in root.iter(f"{SVG}rect")]
    assert widths[0] == pytest.approx(4 * widths[1])
    assert widths[2] == 0
    assert "10 breaks: 8 today, 2 older." in "".join(root.itertext())


@pytest.mark.parametrize(
    "plot",
    [
        heat_map("n", XSS, {}, FIRST, LAST, 3_000),
        heat_map("n", "One", {FIRST: column_of(sketch(0.1)), LAST: column_of(sketch(10**6))}, FIRST, LAST, 10**6),
        lines_plot("n", "None", [], FIRST, LAST, percent),
        lines_plot("n", XSS, [Series(XSS, {FIRST: 0.0}, 9)], FIRST, FIRST, percent),
        shares_plot("n", XSS, {FIRST: {XSS: 1}, LAST + 9: {XSS: 1}}, [XSS], FIRST, LAST),
        shares_plot("n", "None", {FIRST: {}}, [], FIRST, LAST),
        ageing_plot("n", XSS, XSS, [AgeClass(XSS, 10**9, "good")]),
        ageing_plot("n", "None", "things", []),
    ],
    ids=str,
)
def test_whatever_it_is_given_it_is_well_formed(plot: Plot) -> None:
    assert "<script" not in str(plot.svg)
    parsed(plot)
    numbers = [float(text) for text in re.findall(r'(?:x|y|x1|x2|y1|y2)="(-?[\d.]+)"', str(plot.svg))]
    assert all(-1 <= value <= 720 for value in numbers)


def test_a_sparkline_says_what_it_shows() -> None:
    said = str(sparkline("s", "Payments", [3.0, None, 9.0, 5.0], lambda value: f"{value:g}"))
    assert "least 3, greatest 9, now 5" in said
    assert "No values" in str(sparkline("s", "Payments", [None, None], str))
    ElementTree.fromstring(said)  # noqa: S314 - our own


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.3, 0.4), (1, 1), (41, 80), (0.021, 0.04), (99, 100)])
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)
