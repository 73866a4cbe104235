"""The common drawing of the report's plots: style, size, and reproducible SVG (equal plots give equal bytes)."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from payonce.reconciliation.readers.values import EPOCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 9.0
ROW_INCHES = 0.34
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "payonce",  # ids are derived from the content, not from a random number
    "svg.fonttype": "none",  # text stays text, for screen readers and for searching
    "text.parse_math": False,  # a gateway's name may contain a dollar sign
    "font.family": ["sans-serif"],
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: ``svg`` is its markup, ``title`` its heading and ``says`` its text alternative."""

    name: str
    title: str
    says: str
    svg: str


def label(axes: Axes, length: float, place: int, text: str) -> None:
    """Write ``text`` next to the end of a horizontal bar."""
    axes.annotate(text, (length, place), xytext=(4, 0), textcoords="offset points", va="center")


def day_text(number: int) -> str:
    """Return the date of a day since 1970-01-01."""
    return (EPOCH + timedelta(days=number)).date().isoformat()


def words(name: str) -> str:
    """Return the name with spaces for underscores."""
    return name.replace("_", " ")


def svg_of(figure: Figure, name: str) -> str:
    """Return the figure's SVG element. Its ids begin with ``name``, so that they are unique within an HTML file."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    # The page has one style, which its policy names; it says for all pictures what each of them would say for the page.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\sid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title {name}-says" ', 1)
