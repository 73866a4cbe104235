"""Takes out each mechanism in turn and shows the test that fails without it: ``make mechanisms``.

Exits with 1 when a fault survives its tests, when a test fails otherwise than by an assertion, and when the text to
patch is gone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from tools.mechanisms.page import PAGE, rendered, written
from tools.mechanisms.table import ROOT, TableError, patched, read_table
from tools.mechanisms.trial import check_unpatched, copy_sources, try_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.mechanisms.table import Mechanism
    from tools.mechanisms.trial import Tried


def try_all(mechanisms: Sequence[Mechanism], processes: int) -> list[Tried]:
    """Return the outcomes in the order of ``mechanisms``. Raises ``TableError`` before anything is patched, if any."""
    for mechanism in mechanisms:
        patched(mechanism, (ROOT / mechanism.path).read_text())
    copies: SimpleQueue[Path] = SimpleQueue()

    def one(mechanism: Mechanism) -> Tried:
        copy = copies.get()
        try:
            return try_fault(copy, mechanism)
        finally:
            copies.put(copy)

    with ExitStack() as stack:
        for _ in range(processes):
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mechanisms-")))
            copy_sources(copy)
            copies.put(copy)
        copy = copies.get()
        check_unpatched(copy, mechanisms)
        copies.put(copy)
        pool = stack.enter_context(ThreadPoolExecutor(processes))  # each thread waits for a process of pytest
        console = Console(stderr=True)
        return list(track(pool.map(one, mechanisms), "taken out", len(mechanisms), console=console))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mechanisms whose names contain a given text, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.mechanisms", description=__doc__)
    parser.add_argument("named", nargs="*", help="only mechanisms whose names contain one of these texts")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write the rows of docs/mechanisms.md")
    chosen = parser.parse_args(arguments)
    try:
        table = read_table()
        mechanisms = [
            mechanism
            for mechanism in table
            if not chosen.named or any(text.casefold() in mechanism.name.casefold() for text in chosen.named)
        ]
        if not mechanisms:
            parser.error("no mechanism has such a name")
        tried = try_all(mechanisms, max(1, min(chosen.processes, len(mechanisms))))
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    survived = [outcome for outcome in tried if outcome.problem]
    for outcome in tried:
        print(f"{'SURVIVED' if outcome.problem else 'seen':8}  {outcome.seconds:5.1f} s  {outcome.mechanism.name}")
    for outcome in survived:
        print(f"\n{outcome.mechanism.name}: {outcome.problem}", file=sys.stderr)
    if chosen.write:
        page = PAGE.read_text("utf-8")
        PAGE.write_text(written(page, rendered(tried, table, page, on=f"{datetime.now(UTC):%Y-%m-%d}")), "utf-8")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
