"""Plants one fault after the other, and says what finds it: ``python -m histories.planted``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from histories.plants import PLANTS
from histories.report import write_part
from histories.run import run
from histories.worlds import running_world
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from histories.plants import Plant
    from histories.run import Run

DEFAULT_SECONDS = 12
PAGE = Path("docs/histories.md")


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every planted fault is found, 1 if one is not."""
    parser = argparse.ArgumentParser(prog="python -m histories.planted", description=__doc__)
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="of faults, for each plant")
    parser.add_argument("--only", default="", help="part of what is planted")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")
    chosen = parser.parse_args(arguments)
    os.environ.update(FAKE_CREDENTIALS)
    rows = ["| planted | front and store | keys | wrong | what the first one shows |", "|---|---|---:|---:|---|"]
    missed = 0
    for plant in PLANTS:
        if chosen.only in plant.what:
            done = look_for(plant, chosen.seconds)
            rows.append(_row(plant, done))
            missed += not done.findings.problems
            print(rows[-1], *list(done.findings.problems.values())[:1], "", sep="\n", flush=True)
    if chosen.write:
        write_part(PAGE, "histories-planted", rows)
    return 1 if missed else 0


def look_for(plant: Plant, seconds: float, *, settle_seconds: float = 45) -> Run:
    """Run the plant's world with the fault in it."""
    front, store = plant.world
    with (
        tempfile.TemporaryDirectory(prefix="payonce-histories-") as folder,
        running_world(front, store, Path(folder), before=plant.before, is_durable=plant.is_durable) as world,
    ):
        return run(world, seconds, seed=1, settle_seconds=settle_seconds, faults=plant.faults)


def _row(plant: Plant, done: Run) -> str:
    problems = done.findings.problems
    first = next(iter(problems.values()), "nothing").partition("\n")[0].partition(": ")
    shows = first[2] or first[0]
    return f"| {plant.what} | {done.name} | {done.findings.keys:,} | {len(problems):,} | {shows} |"


if __name__ == "__main__":
    sys.exit(main())
