"""The generated tables of docs/capacity.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.generated import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = Path(__file__).resolve().parents[2] / "docs" / "capacity.md"


def markers(name: str, command: str) -> tuple[str, str]:
    """Return the two markers of the table ``name``, which ``command`` writes."""
    return f"<!-- {name}: {command} -->", f"<!-- end of {name} -->"


def write(marked: tuple[str, str], head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table between its markers."""
    lines = (f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
    PAGE.write_text(replaced(PAGE.read_text(), *marked, "\n".join(lines)))


def read(marked: tuple[str, str]) -> list[list[str]]:
    """Return the cells of a table of the page, without its head. Raises ``ValueError`` if it is not there."""
    begin, end = marked
    _, found, rest = PAGE.read_text().partition(begin)
    table, closed, _ = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin}")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
