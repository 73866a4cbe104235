"""Months of many seeds, reconciled by the command and scored: python -m tests.outside_month.seeds --seeds 20

Precision and recall of each class over all seeds, beside the least and the median of a seed; then each false alarm and
each miss with its rows. Ends with 1 if a class is below the goal.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.outside_month.month import Size, build, command
from tests.outside_month.score import HEAD, Score, Tally, line, percent, read

GOAL = 0.99
MONTHS = (  # the clocks go forward; Easter; 1 May; they go back; Christmas; the shortest
    date(2026, 3, 1),
    date(2026, 4, 1),
    date(2026, 5, 1),
    date(2026, 10, 1),
    date(2026, 12, 1),
    date(2027, 2, 1),
)
RUN = "import sys; from payonce.cli.main import main; sys.exit(main())"


def month(folder: Path, seed: int, payments: int) -> Score:
    """Make a month, reconcile it as a user would, and score what is told. Seeds differ in month and form, too."""
    form = {"charge_ids": seed % 4 == 0, "payout_rows": seed % 3 == 0, "rates": seed % 2 == 1}
    size = Size(payments, MONTHS[seed % len(MONTHS)], **form)
    shutil.rmtree(folder, ignore_errors=True)
    build(folder, seed, size)
    words = [*command(folder)[1:], "--json", "out.json"]
    done = subprocess.run([sys.executable, "-c", RUN, *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"seed {seed}: the command ended with {done.returncode}: {done.stderr[-2000:]}")
    return read(folder, folder / "out.json")


def together(scores: dict[int, Score]) -> dict[str, list[Tally]]:
    """Give the tallies of each class, seed by seed."""
    classes: dict[str, list[Tally]] = defaultdict(list)
    for score in scores.values():
        for name, tally in score.tallies.items():
            classes[name].append(tally)
    return dict(sorted(classes.items()))


def below(classes: dict[str, list[Tally]], goal: float = GOAL) -> list[str]:
    """Name the classes whose precision or recall over all seeds is below the goal."""
    sums = {name: sum(tallies, Tally()) for name, tallies in classes.items()}
    return [
        name
        for name, tally in sums.items()
        if any(value is not None and value < goal for value in (tally.recall, tally.precision))
    ]


def rows(classes: dict[str, list[Tally]]) -> Iterator[list[str]]:
    """Give the table's lines: sums over all seeds, and the least and the median of a seed."""
    for name, tallies in classes.items():
        cells = line(name, sum(tallies, Tally()))
        for values in ([t.recall for t in tallies], [t.precision for t in tallies]):
            known = [value for value in values if value is not None]
            cells += [percent(min(known, default=None)), percent(median(known) if known else None)]
        yield cells
    yield [*line("ALL", sum((t for tallies in classes.values() for t in tallies), Tally())), "", "", "", ""]


def told(scores: dict[int, Score], console: Console) -> None:
    """Print the table, the ambiguous rows, and what was wrong."""
    classes = together(scores)
    table = Table(*HEAD, "recall min", "median", "precision min", "median", title=f"{len(scores)} seeds")
    for cells in rows(classes):
        table.add_row(*cells)
    console.print(table)
    shares = [score.ambiguous_share for score in scores.values()]
    console.print(f"Rows that are ambiguous: at most {max(shares):.3%} of a seed's, median {median(shares):.3%}")
    for title, lists in (
        ("False alarms", {seed: score.alarms for seed, score in scores.items()}),
        ("Missed", {seed: score.misses for seed, score in scores.items()}),
    ):
        console.print(f"\n{title}")
        for seed, lines in lists.items():
            for one in lines:
                console.print(one if one.startswith(" ") else f"seed {seed}: {one}", markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds one after another, and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside_month.seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--payments", type=int, default=3000)
    parser.add_argument("--keep", type=Path, help="keep the months in this folder")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch)
        seeds = range(given.first, given.first + given.seeds)
        scores = {
            seed: month(root / str(seed), seed, given.payments) for seed in track(seeds, "months", console=console)
        }
    told(scores, console)
    failing = below(together(scores))
    console.print(f"\nBelow {GOAL:.0%}: {', '.join(failing) or 'no class'}")
    return 1 if failing else 0


if __name__ == "__main__":
    raise SystemExit(main())
