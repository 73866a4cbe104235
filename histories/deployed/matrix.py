"""Plays cells of the matrix at the same time, keeps what became of them in a file, and makes the page's table of it."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from histories.deployed.cell import Cell, Played, play
from histories.deployed.points import POINTS
from histories.deployed.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from histories.deployed.world import Deployed

WORKERS = 6  # the local cloud runs ten environments at once, and a payment needs two at a time
BAR = 30  # characters


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of a cell."""

    point: str
    fault: str
    is_lasting: bool
    answers: list[str]
    copies: int
    seconds: float
    broken: list[str]

    def text(self) -> str:
        """Return the statuses that the client was told, without repeats, and how often the webhook came if not once."""
        statuses = [answer.partition(" ")[0] if answer[0].isdigit() else answer for answer in self.answers]
        told = [one for place, one in enumerate(statuses) if place == 0 or one != statuses[place - 1]]
        copies = f" ({self.copies} webhooks)" if self.copies > 1 else ""
        return ("**BROKEN** " if self.broken else "") + ", ".join(told) + copies


def all_cells(*, is_lasting: bool) -> list[Cell]:
    """Return every cell: each point with each fault."""
    return [Cell(point, fault, is_lasting) for point in POINTS for fault in Fault]


def run_cells(world: Deployed, cells: Sequence[Cell], *, workers: int = WORKERS) -> list[Row]:
    """Play the cells and return what became of them, in their order. Says on standard error how far it is.

    First come those that can be struck at the same time, last those for which an environment has to be made anew.
    """
    alone = threading.Lock()
    rows: dict[str, Row] = {}
    together = [cell for cell in cells if not cell.is_apart]
    apart = sorted((cell for cell in cells if cell.is_apart), key=lambda cell: cell.point.is_cold)
    for some in (together, apart):
        with ThreadPoolExecutor(workers) as pool:
            running = {pool.submit(play, world, cell, alone): cell for cell in some}
            for done in as_completed(running):
                row = row_of(done.result())
                rows[running[done].name] = row
                for broken in row.broken:
                    print(f"\n{running[done].name}: {broken}", file=sys.stderr)
                _show_progress(len(rows), len(cells))
    return [rows[cell.name] for cell in cells]


def row_of(played: Played) -> Row:
    """Return what is kept of a cell."""
    cell = played.cell
    return Row(
        cell.point.name,
        cell.fault.value,
        cell.is_lasting,
        played.answers,
        played.copies,
        round(played.seconds, 1),
        played.broken,
    )


def _show_progress(done: int, total: int) -> None:
    full = BAR * done // total
    end = "\n" if done == total else ""
    print(f"\r[{'#' * full}{'.' * (BAR - full)}] {done} of {total} payments", end=end, file=sys.stderr, flush=True)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Keep the rows in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as a Markdown table: a line for each request that was struck, a column for each fault."""
    lines = []
    for is_lasting in sorted({row.is_lasting for row in rows}):
        mine = [row for row in rows if row.is_lasting is is_lasting]
        broken = sum(bool(row.broken) for row in mine)
        how = "every such request for 6 s" if is_lasting else "one request"
        lines += [f"{len(mine)} payments, {how} struck in each; {broken} broke a promise.", ""]
        faults = [fault.value for fault in Fault if any(row.fault == fault.value for row in mine)]
        lines += ["| struck | " + " | ".join(faults) + " |", "|---|" + "---|" * len(faults)]
        for point in dict.fromkeys(row.point for row in mine):
            texts = {row.fault: row.text() for row in mine if row.point == point}
            lines.append(f"| {point} | " + " | ".join(texts.get(fault, "") for fault in faults) + " |")
        lines.append("")
    return lines
