"""Values over time as lines: forecasts against what came, weights, limits. And the small ones beside a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.plots.drawing import (
    HALF_WIDTH,
    MOST_COLOURS,
    NOTHING,
    Box,
    Plot,
    clock,
    framed,
    levels,
    line,
    nice_ceiling,
    path,
    rect,
    shape,
    text,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from markupsafe import Markup

LABEL_WIDTH = 108  # at the right end of the lines
LABEL_HEIGHT = 15
HEIGHT = 190
SPARK_WIDTH, SPARK_HEIGHT = 160, 36


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its label, and its value by minute since 1970. ``dashed``: what was expected rather than seen.

    ``filled``: the area under it, too. ``colour`` is 1 to ``MOST_COLOURS``. ``stepped``: a value holds until the next.
    """

    label: str
    values: Mapping[int, float]
    colour: int = 1
    dashed: bool = False
    filled: bool = False
    stepped: bool = False


def lines_plot(
    name: str,
    title: str,
    series: Sequence[Series],
    first: int,
    last: int,
    said: Callable[[float | None], str],
    top: float = 0.0,
) -> Plot:
    """Return the plot of the minutes from ``first`` to ``last``. ``said`` writes a value; ``top``: the scale's end.

    Without ``top`` the scale ends at a round number above all values. A minute without a value is a gap.
    """
    highest = max((value for one in series for value in one.values.values()), default=0.0)
    ceiling = top or nice_ceiling(highest)
    box = Box(54, 12, HALF_WIDTH - LABEL_WIDTH, HEIGHT - 40)
    width = box.width / (last - first + 1)
    parts = levels(box, ceiling, [said(ceiling * step / 4) for step in range(5)])
    ends: list[tuple[float, Series]] = []
    for one in series:
        points = _points(one, box, width, first, last, ceiling)
        colour = (one.colour - 1) % MOST_COLOURS + 1
        if one.filled:
            parts += [_area(points, box, f"c{colour} soft")]
        parts.append(path(points, f"l{colour}{' dashed' if one.dashed else ''}"))
        newest = next((point for point in reversed(points) if point is not None), None)
        if newest is not None:
            ends.append((newest[1], one))
    parts += times(box, first, last)
    parts += _labels(ends, box)
    newest_said = [
        f"{one.label}: {said(one.values[max(one.values)])} at {clock(max(one.values))}" for one in series if one.values
    ]
    description = f"From {clock(first)} to {clock(last)} UTC. " + ("; ".join(newest_said) or "No values") + "."
    minutes = sorted({minute for one in series for minute in one.values}, reverse=True)
    rows = tuple((f"{clock(minute)} UTC", *(said(one.values.get(minute)) for one in series)) for minute in minutes)
    svg = framed(name, title, description, HEIGHT, parts, HALF_WIDTH)
    return Plot(svg, ("Minute", *(one.label for one in series)), rows, title)


def _points(
    one: Series, box: Box, width: float, first: int, last: int, ceiling: float
) -> list[tuple[float, float] | None]:
    points: list[tuple[float, float] | None] = []
    for minute in range(first, last + 1):
        value = one.values.get(minute)
        x = box.left + (minute - first) * width
        if value is None:
            points.append(None)
        elif one.stepped:
            points += [(x, box.y(value / ceiling)), (x + width, box.y(value / ceiling))]
        else:
            points.append((x + width / 2, box.y(value / ceiling)))
    return points


def _area(points: Sequence[tuple[float, float] | None], box: Box, classes: str) -> Markup:
    """Return the areas under a line, one for each run without a gap."""
    parts, run = [], []
    for point in [*points, None]:
        if point is not None:
            run.append(point)
            continue
        if len(run) > 1:
            along = "L".join(f"{x:.1f} {y:.1f}" for x, y in run)
            parts.append(f"M{run[0][0]:.1f} {box.bottom:.1f}L{along}L{run[-1][0]:.1f} {box.bottom:.1f}z")
        run = []
    return shape("".join(parts), classes)


def _labels(ends: Sequence[tuple[float, Series]], box: Box) -> list[Markup]:
    """Return the labels at the right ends of the lines, moved apart where they would cover one another."""
    parts, free = [], box.top
    for y, one in sorted(ends, key=lambda end: end[0]):
        at = max(y, free)
        free = at + LABEL_HEIGHT
        colour = (one.colour - 1) % MOST_COLOURS + 1
        parts.append(line(box.right + 4, at, box.right + 16, at, f"l{colour}{' dashed' if one.dashed else ''}"))
        label = one.label if len(one.label) <= 12 else one.label[:11] + "…"
        parts.append(text(box.right + 20, at + 4, label))
    return parts


def sparkline(name: str, title: str, values: Sequence[float | None], said: Callable[[float | None], str]) -> Markup:
    """Return a small plot without scale; its description says the first, the last, the least and the greatest."""
    known = [value for value in values if value is not None]
    ceiling = max(known, default=0.0) or 1.0
    box = Box(2, 4, SPARK_WIDTH - 4, SPARK_HEIGHT - 3)
    width = box.width / max(1, len(values) - 1)
    points = [
        None if value is None else (box.left + place * width, box.y(value / ceiling))
        for place, value in enumerate(values)
    ]
    parts = [line(box.left, box.bottom, box.right, box.bottom, "axis")]
    parts += [_area(points, box, "c1 soft"), path(points, "l1")]
    newest = next((point for point in reversed(points) if point is not None), None)
    if newest is not None:
        parts.append(rect(newest[0] - 2, newest[1] - 2, 4, 4, "c1"))
    described = (
        f"{len(values)} minutes: least {said(min(known))}, greatest {said(max(known))}, now {said(known[-1])}."
        if known
        else f"No values: {NOTHING}"
    )
    return framed(name, title, described, SPARK_HEIGHT, parts, SPARK_WIDTH)
