"""The commands: ``run`` runs scenarios and writes a report, ``summary`` prints the page of figures."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from laboratory import summary, targets
from laboratory.figures import run_seed
from laboratory.report import render
from laboratory.split import REPORT, REPORT_SEEDS, TUNING, TUNING_SEEDS, WEEK_SEEDS, WEEKS

GROUPS = {"report": (REPORT, REPORT_SEEDS), "tuning": (TUNING, TUNING_SEEDS)}
NICE = 10
WRITE_EVERY = 50  # trials
Task = tuple[str, str, int]  # group, scenario, seed


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if every promise is kept, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m laboratory", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "summary"), default="run")
    parser.add_argument("--group", choices=sorted(GROUPS), default="report")
    parser.add_argument("--seeds", type=int, default=30, help="per scenario, the first so many (default: 30)")
    parser.add_argument("--week-seeds", type=int, default=WEEK_SEEDS, help="of weeks (default: %(default)s)")
    parser.add_argument("--scenario", action="append", help="only this one; may be repeated")
    parser.add_argument("--out", type=Path, default=Path(".local/laboratory"))
    parser.add_argument("--minutes", type=float, default=120, help="stop after so long and report what there is")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--figures", type=Path, action="append", help="for the summary: a figures.json; may be repeated"
    )
    chosen = parser.parse_args(arguments)
    if chosen.what == "summary":
        print(summary.render(read(chosen.figures or [chosen.out / "figures.json"])), end="")
        return 0
    tasks = plan(chosen.group, chosen.scenario, chosen.seeds, chosen.week_seeds)
    results = run(tasks, chosen.processes, chosen.minutes, chosen.out)
    found = targets.verdicts(results)
    for verdict in found:
        print(
            f"{'kept    ' if verdict.met else 'NOT KEPT'}  {verdict.scenario:15} {verdict.promise}: {verdict.measured}"
        )
    print(f"{sum(verdict.met for verdict in found)} of {len(found)} promises kept; {chosen.out}/report.html")
    return 0 if all(verdict.met for verdict in found) else 1


def plan(group: str, names: list[str] | None, seeds: int, week_seeds: int) -> list[Task]:
    """Return the trials of the scenarios: the first so many seeds of each, weeks first because they take longest.

    Raises ``SystemExit`` for a name that is no scenario.
    """
    ranges, all_seeds = GROUPS[group]
    unknown = set(names or ()) - ranges.keys()
    if unknown:
        raise SystemExit(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(ranges)}")
    wanted = sorted((name for name in ranges if not names or name in names), key=lambda name: name not in WEEKS)
    counts = {name: week_seeds if name in WEEKS else seeds for name in wanted}
    return [
        (group, name, seed)
        for number, seed in enumerate(all_seeds[: max(counts.values())])
        for name in wanted
        if number < counts[name]
    ]


def run(tasks: list[Task], processes: int, minutes: float, out: Path) -> dict[str, targets.Seeds]:
    """Run the trials with every policy in parallel, as many as fit into ``minutes``. Returns the figures.

    The results so far are written now and then, so that an interrupted run keeps them.
    """
    group = tasks[0][0]
    chosen = {name for _, name, _ in tasks}
    results: dict[str, targets.Seeds] = {name: [] for name in GROUPS[group][0] if name in chosen}
    began = time.monotonic()
    with Pool(processes, initializer=os.nice, initargs=(NICE,)) as pool:  # leaving the block ends trials still running
        for done, (name, figures) in enumerate(pool.imap_unordered(_trial, tasks), 1):
            results[name] = sorted([*results[name], figures], key=lambda one: one["seed"])
            print(f"\r{done} of {len(tasks)} trials, {time.monotonic() - began:.0f} s", end="", file=sys.stderr)
            over = time.monotonic() - began > minutes * 60
            if over or done % WRITE_EVERY == 0 or done == len(tasks):
                write(out, group, results)
            if over:
                break
    print(file=sys.stderr)
    return results


def _trial(task: Task) -> tuple[str, dict[str, Any]]:
    group, name, seed = task
    ranges, all_seeds = GROUPS[group]
    return name, run_seed(ranges, name, seed, series=seed == all_seeds[0])


def read(files: list[Path]) -> dict[str, targets.Seeds]:
    """Return the merged results of runs of the report group. Raises ``SystemExit`` for another group's."""
    results: dict[str, targets.Seeds] = {}
    for file in files:
        stored = json.loads(file.read_text("utf-8"))
        if stored["group"] != "report":
            raise SystemExit(f"{file} holds figures of the group {stored['group']}, which constants were tuned on")
        results |= {name: seeds for name, seeds in stored["results"].items() if seeds}
    return {name: results[name] for name in REPORT if name in results}


def write(out: Path, group: str, results: dict[str, targets.Seeds]) -> None:
    """Write the report and its figures to ``report.html`` and ``figures.json``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(render(group, results), "utf-8")
    figures: dict[str, Any] = {
        "group": group,
        "verdicts": [[v.scenario, v.promise, v.measured, v.met] for v in targets.verdicts(results)],
        "results": results,
    }
    (out / "figures.json").write_text(json.dumps(figures, sort_keys=True), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
