"""The command: runs seeds, reports what they reached, and shows the smallest history of what they found."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from simulation.plan import draw_plan
from simulation.report import render_summary, write_page
from simulation.run import run
from simulation.seeds import Progress, Summary, run_seeds
from simulation.shrink import shrink, size_of

DEFAULT_SEEDS = 200
PAGE = Path("docs/simulation.md")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if every promise was kept and every goal reached, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=DEFAULT_SEEDS, help=f"how many (default: {DEFAULT_SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="run this seed alone, and print its history")
    parser.add_argument("--whole", action="store_true", help="with --seed: do not make a failing history smaller")
    parser.add_argument("--write", action="store_true", help=f"write the figures into {PAGE}")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return show(chosen.seed, whole=chosen.whole)
    summary = run_seeds(range(chosen.first, chosen.first + chosen.seeds), chosen.processes, Progress(sys.stderr))
    print(render_summary(summary), end="")
    if chosen.write:
        write_page(PAGE, summary)
    for seed in list(summary.violations)[:1]:
        show(seed)
    return 0 if _is_good(summary) else 1


def show(seed: int, *, whole: bool = False) -> int:
    """Run one seed, print its history, made smaller if it fails, and return 1 if it fails."""
    outcome = run(draw_plan(seed))
    if outcome.violated is not None and not whole:
        before = size_of(outcome.plan)
        outcome = shrink(outcome)
        print(f"seed {seed}: {before} requests and faults, made {size_of(outcome.plan)}\n")
    print(outcome.history.render())
    print(f"\nseed {seed}, history {outcome.history.digest()[:16]}: {outcome.violated or 'every promise is kept'}")
    return 0 if outcome.violated is None else 1


def _is_good(summary: Summary) -> bool:
    return not summary.violations and not summary.unreached


if __name__ == "__main__":
    sys.exit(main())
