"""What the plots share: scales, ticks, escaped text, and the frame with title and description.

A plot is SVG text with classes alone (no style, no script), so that it lives under the console's content policy and
follows both themes. Its numbers are also a table (``table_of``), for those who read rather than look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from payonce.extras import needs

with needs("console"):
    from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 720
HALF_WIDTH = 560  # of those that stand beside one another
NARROW = 500  # less wide plots fit a small screen, and need not be scrolled there
MOST_COLOURS = 6  # classes c1 to c6; more can't be told apart
NOTHING = "–"
FRAME = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" class="plot{narrow}" viewBox="0 0 {width} {height}" '
    'width="{width}" height="{height}" role="img" aria-labelledby="{name}-title {name}-desc">'
    '<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>{parts}</svg>'
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: its SVG, and the head and rows of the table that says the same."""

    svg: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Box:
    """The area that data is drawn in, in the SVG's units. ``bottom`` is below ``top``, as SVG counts."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Return the width."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Return the height."""
        return self.bottom - self.top

    def y(self, share: float) -> float:
        """Return the height of a share (0: bottom, 1: top) of the area."""
        return self.bottom - min(1.0, max(0.0, share)) * self.height


def number(value: float) -> str:
    """Return a coordinate with at most one decimal: a tenth of a pixel is not seen, and it is a third of the bytes."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def framed(
    name: str, title: str, description: str, height: float, parts: Iterable[Markup], width: float = WIDTH
) -> Markup:
    """Return the SVG. ``name`` makes the ids of its texts unique in the page."""
    return FRAME.format(
        narrow=" narrow" if width < NARROW else "",
        width=number(width),
        height=number(height),
        name=name,
        title=title,
        description=description,
        parts=Markup("").join(parts),
    )


def text(x: float, y: float, said: str, classes: str = "", anchor: str = "start") -> Markup:
    """Return a text, escaped."""
    named = Markup(' class="{}"').format(classes) if classes else ""
    placed = "" if anchor == "start" else Markup(' text-anchor="{}"').format(anchor)
    return Markup('<text x="{}" y="{}"{}{}>{}</text>').format(number(x), number(y), named, placed, said)


def rect(x: float, y: float, width: float, height: float, classes: str) -> Markup:
    """Return a rectangle."""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        number(x), number(y), number(max(0.0, width)), number(max(0.0, height)), classes
    )


def line(x1: float, y1: float, x2: float, y2: float, classes: str) -> Markup:
    """Return a straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        number(x1), number(y1), number(x2), number(y2), classes
    )


def shape(commands: str, classes: str) -> Markup:
    """Return what SVG's path commands draw; nothing without any."""
    return Markup('<path d="{}" class="{}"/>').format(commands, classes) if commands else Markup("")


def path(points: Sequence[tuple[float, float] | None], classes: str) -> Markup:
    """Return a line through the points; ``None`` is a gap. A point between two gaps is a short dash."""
    parts, lifted = [], True
    for place, point in enumerate(points):
        if point is None:
            lifted = True
            continue
        parts.append(f"{'M' if lifted else 'L'}{number(point[0])} {number(point[1])}")
        alone = lifted and (place + 1 == len(points) or points[place + 1] is None)
        if alone:
            parts.append("h1.5")
        lifted = False
    return shape("".join(parts), classes)


def nice_ceiling(value: float) -> float:
    """Return the least of 1, 2, 4, 8 times a power of ten not below ``value``, whose quarters are short; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value * 0.999999)


def levels(box: Box, top: float, said: Sequence[str], count: int = 4) -> list[Markup]:
    """Return the horizontal lines of the scale with their texts: ``said`` are those of 0 to ``top``, ``count`` + 1."""
    parts = []
    for step, label in enumerate(said):
        y = box.y(step / count)
        parts.append(line(box.left, y, box.right, y, "grid" if step else "axis"))
        parts.append(text(box.left - 8, y + 4, label, "tick", "end"))
    return parts if top > 0 else []


def clock(minute: int) -> str:
    """Return a minute since 1970 as UTC time of day."""
    return f"{datetime.fromtimestamp(minute * 60, UTC):%H:%M}"


def times(box: Box, first: int, last: int) -> list[Markup]:
    """Return the ticks of a time axis in minutes since 1970, about eight of them, at round times of the day (UTC)."""
    span = max(1, last - first)
    step = next((step for step in (1, 2, 5, 10, 15, 30, 60, 120, 240, 360) if span / step <= 8), 720)
    parts = []
    for minute in range(-(-first // step) * step, last + 1, step):
        x = box.left + (minute - first + 0.5) / (span + 1) * box.width
        parts.append(line(x, box.bottom, x, box.bottom + 4, "axis"))
        parts.append(text(x, box.bottom + 17, clock(minute), "tick", "middle"))
    parts.append(text(box.right, box.bottom + 32, "UTC", "tick", "end"))
    return parts


def percent(share: float | None) -> str:
    """Return a share (0..1) for people: whole percents from 10, and as many decimals as tell something below."""
    if share is None:
        return NOTHING
    per_hundred = share * 100
    if per_hundred == 0 or per_hundred >= 9.95:
        return f"{per_hundred:.0f} %"
    return f"{per_hundred:.1f} %" if per_hundred >= 0.095 else f"{per_hundred:.2f} %"


def duration_ms(milliseconds: float) -> str:
    """Return a latency for people: 85 ms, 1.2 s."""
    if milliseconds < 995:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 9_950 else f"{milliseconds / 1000:.0f} s"
