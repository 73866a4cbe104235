"""Latency as a heat map over time: a column for each minute, a row for each band, darker the more payments."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.plots.drawing import (
    NOTHING,
    WIDTH,
    Box,
    Plot,
    clock,
    duration_ms,
    framed,
    line,
    number,
    path,
    rect,
    shape,
    text,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from payonce.routing.signals.sketch import LatencySketch

# The lower ends of the bands in milliseconds: each is about 1.4 times the one before, so that a factor is a height.
BANDS = (0, 25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1_100, 1_600, 2_300, 3_200, 4_500, 6_400, 9_000, 15_000)
LEVELS = 6  # of colour, from heat-1 to heat-6; a cell without payments has none
ROW = 11.0
LABELLED = (25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 15_000)


@dataclass(frozen=True, slots=True)
class Column:
    """A minute: how many payments in each of ``BANDS``, and the latency that 95 % of them were within (0: none)."""

    counts: tuple[int, ...]
    p50_ms: float
    p95_ms: float


def column_of(sketch: LatencySketch) -> Column:
    """Return the column of a minute's latencies."""
    counts = [0] * len(BANDS)
    for bucket, count in sketch.counts.items():
        counts[_band(type(sketch)({bucket: 1}).quantile_ms(0))] += count
    return Column(tuple(counts), sketch.quantile_ms(0.5), sketch.quantile_ms(0.95))


def heat_map(name: str, title: str, columns: Mapping[int, Column], first: int, last: int, slo_ms: float) -> Plot:
    """Return the plot of the minutes from ``first`` to ``last`` (since 1970); a minute without a column is empty.

    The line is the 95th percentile, the dashed line the SLO.
    """
    used = [band for column in columns.values() for band, count in enumerate(column.counts) if count]
    lowest = max(0, min(used, default=4) - 1)
    highest = min(len(BANDS) - 1, max([*used, _band(slo_ms)]) + 1)
    rows = highest - lowest + 1
    box = Box(62, 12, WIDTH - 12, 12 + rows * ROW)
    most = max((count for column in columns.values() for count in column.counts), default=0)
    width = box.width / (last - first + 1)
    shapes: defaultdict[int, list[str]] = defaultdict(list)
    for minute, column in columns.items():
        x = box.left + (minute - first) * width
        for band, count in enumerate(column.counts):
            if count:
                y = box.bottom - (band - lowest + 1) * ROW
                corner = f"M{number(x + 0.4)} {number(y + 0.4)}"
                shapes[level_of(count, most)].append(
                    f"{corner}h{number(width - 0.8)}v{number(ROW - 0.8)}h-{number(width - 0.8)}z"
                )
    parts = [rect(box.left, box.top, box.width, box.height, "ground")]
    parts += [shape("".join(found), f"h{level}") for level, found in sorted(shapes.items())]
    for band in range(lowest, highest + 1):
        if BANDS[band] in LABELLED:
            y = box.bottom - (band - lowest) * ROW
            parts += [line(box.left - 4, y, box.left, y, "axis")]
            parts += [text(box.left - 8, y + 4, duration_ms(BANDS[band]), "tick", "end")]
    slo_y = _height(box, lowest, slo_ms)
    parts += [line(box.left, slo_y, box.right, slo_y, "halo"), line(box.left, slo_y, box.right, slo_y, "slo")]
    points = [
        None
        if minute not in columns or not columns[minute].p95_ms
        else (box.left + (minute - first + 0.5) * width, _height(box, lowest, columns[minute].p95_ms))
        for minute in range(first, last + 1)
    ]
    parts += [path(points, "halo"), path(points, "p95")]
    parts += times(box, first, last)
    parts += _legend(box.bottom + 44, most)
    total = sum(sum(column.counts) for column in columns.values())
    slowest = max(columns, key=lambda minute: columns[minute].p95_ms, default=None)
    description = f"{total} payments from {clock(first)} to {clock(last)} UTC. " + (
        "None ended."
        if slowest is None
        else f"The slowest minute was {clock(slowest)}, when 95 % were within {duration_ms(columns[slowest].p95_ms)}. "
        f"The objective is {duration_ms(slo_ms)}."
    )
    table = tuple(
        (
            f"{clock(minute)} UTC",
            str(sum(column.counts)),
            duration_ms(column.p50_ms) if column.p50_ms else NOTHING,
            duration_ms(column.p95_ms) if column.p95_ms else NOTHING,
        )
        for minute, column in sorted(columns.items(), reverse=True)
    )
    svg = framed(name, title, description, box.bottom + 58, parts)
    return Plot(svg, ("Minute", "Payments", "Half within", "95 % within"), table, title)


def level_of(count: int, most: int) -> int:
    """Return the colour, 1 to ``LEVELS``, of a count. On a logarithmic scale, so that single slow payments are seen."""
    if most <= 1:
        return LEVELS
    return 1 + min(LEVELS - 1, int(math.log(count) / math.log(most) * LEVELS))


def _band(latency_ms: float) -> int:
    return max(band for band, start in enumerate(BANDS) if latency_ms >= start)


def _height(box: Box, lowest: int, latency_ms: float) -> float:
    """Return where a latency lies on the scale, between the ends of its band by its logarithm."""
    band = _band(latency_ms)
    start = BANDS[band] or BANDS[1] / 2
    end = BANDS[band + 1] if band + 1 < len(BANDS) else start * 2
    within = math.log(max(start, min(latency_ms, end)) / start) / math.log(end / start)
    return min(box.bottom, max(box.top, box.bottom - (band - lowest + within) * ROW))


def _legend(y: float, most: int) -> list[Markup]:
    parts = [text(62, y, "Payments a minute and band", "tick")]
    x = 246.0
    for level in range(1, LEVELS + 1):
        parts.append(rect(x, y - 10, 16, 12, f"h{level}"))
        x += 17
    parts.append(text(240, y, "1", "tick", "end"))
    parts.append(text(x + 4, y, f"{most}", "tick"))
    parts += [line(450, y - 4, 476, y - 4, "p95"), text(482, y, "95 % within", "tick")]
    parts += [line(570, y - 4, 596, y - 4, "slo"), text(602, y, "objective", "tick")]
    return parts
