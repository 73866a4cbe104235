"""How old what is open is: a bar for each class of age, with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.plots.drawing import Box, Plot, framed, line, rect, text

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR = 20
GAP = 8
WIDTH = 400
LABEL_WIDTH = 104


@dataclass(frozen=True, slots=True)
class AgeClass:
    """A class of age: its name, how many are in it, and how it is shown (``good``, ``warn`` or ``bad``)."""

    label: str
    count: int
    tone: str


def ageing_plot(name: str, title: str, what: str, classes: Sequence[AgeClass]) -> Plot:
    """Return the plot of how many of ``what`` (a plural noun) are in each class, the youngest first."""
    most = max((one.count for one in classes), default=0) or 1
    box = Box(LABEL_WIDTH, 6, WIDTH - 56, 6 + len(classes) * (BAR + GAP))
    parts = []
    for place, one in enumerate(classes):
        y = box.top + place * (BAR + GAP)
        parts.append(text(box.left - 10, y + BAR / 2 + 4, one.label, "", "end"))
        width = box.width * one.count / most
        parts.append(rect(box.left, y, max(width, 2 if one.count else 0), BAR, f"tone-{one.tone}"))
        parts.append(text(box.left + width + 8, y + BAR / 2 + 4, f"{one.count:,}".replace(",", "\u202f"), "value"))
    parts.append(line(box.left, box.top - 2, box.left, box.bottom - GAP + 2, "axis"))
    total = sum(one.count for one in classes)
    found = [f"{one.count} {one.label}" for one in classes if one.count]
    description = f"{total} {what}" + (f": {', '.join(found)}." if found else ".")
    rows = tuple((one.label, str(one.count)) for one in classes)
    return Plot(framed(name, title, description, box.bottom + 2, parts, WIDTH), ("Age", what.capitalize()), rows, title)
