"""The command: runs histories on every front and store, and says whether they are linearizable."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from histories.findings import judge
from histories.history import read_history
from histories.report import render, write_page
from histories.run import CLIENTS, SETTLE_SECONDS, run
from histories.worlds import WORLDS, running_world
from tests.support.aws import FAKE_CREDENTIALS

DEFAULT_SECONDS = 30
FOLDER = Path(".local/histories")
PAGE = Path("docs/histories.md")


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every history is linearizable, 1 if one is not."""
    parser = argparse.ArgumentParser(prog="python -m histories", description=__doc__)
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="of faults, in each world")
    parser.add_argument("--only", default="", help="part of a world's name, such as 'sidecar on valkey'")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="seconds after the last fault, at most")
    parser.add_argument("--before", default="", help="MODULE:FUNCTION to call in each worker: plants a fault")
    parser.add_argument("--forgetful-store", action="store_true", help="Valkey keeps nothing on its disk")
    parser.add_argument("--check", type=Path, help="judge this recorded history again, and run nothing")
    parser.add_argument("--write", action="store_true", help=f"write the figures into {PAGE}")
    chosen = parser.parse_args(arguments)
    if chosen.check is not None:
        return _check(chosen.check)
    os.environ.update(FAKE_CREDENTIALS)
    runs = []
    for front, store in WORLDS:
        if chosen.only not in f"{front} on {store}":
            continue
        with tempfile.TemporaryDirectory(prefix="payonce-histories-") as folder:
            world = running_world(
                front, store, Path(folder), before=chosen.before, is_durable=not chosen.forgetful_store
            )
            with world as running:
                done = run(
                    running,
                    chosen.seconds,
                    seed=chosen.seed,
                    clients=chosen.clients,
                    settle_seconds=chosen.settle,
                )
        done.history.write(FOLDER / f"{front}-{store}.jsonl")
        print(render(done), flush=True)
        runs.append(done)
    if chosen.write:
        write_page(PAGE, runs)
    return 1 if any(done.findings.problems for done in runs) else 0


def _check(path: Path) -> int:
    with path.open(encoding="utf-8") as lines:
        findings = judge(read_history(lines))
    for problem in findings.problems.values():
        print(problem)
    verdict = "NOT linearizable" if findings.problems else "linearizable"
    print(f"{findings.keys:,} keys, {sum(findings.outcomes.values()):,} requests: {verdict}")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
