"""The matrix of faults end to end: ``python -m histories.deployed``.

The stack is deployed to a local cloud of its own, with a proxy between its functions and their services. Each cell is
one payment over real HTTP, of which one request to one service meets one fault.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from histories.deployed.matrix import all_cells, read_rows, run_cells, table, write_rows
from histories.deployed.world import behind_proxy
from histories.report import write_part
from local.cloud import LocalCloud
from local.stack import Ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histories.deployed.wire import Seen

PAGE = Path("docs/histories.md")
RESULTS = Path(".local/results/faults-end-to-end.json")
PART = "faults"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if no promise was broken, 1 if one was."""
    parser = argparse.ArgumentParser(prog="python -m histories.deployed", description=__doc__)
    parser.add_argument("--only", default="", help="part of a cell's name, such as 'commit: dynamodb'")
    parser.add_argument("--lasting", action="store_true", help="strike all such requests for some seconds, not one")
    parser.add_argument("--trace", action="store_true", help="print every request")
    parser.add_argument("--show", action="store_true", help=f"run nothing: the table of {RESULTS}")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")
    chosen = parser.parse_args(arguments)
    if chosen.show:
        rows = read_rows(RESULTS)
    else:
        cells = [cell for cell in all_cells(is_lasting=chosen.lasting) if chosen.only in cell.name]
        with TemporaryDirectory(prefix="payonce-faults-") as folder:
            cloud = LocalCloud(Path(folder), Ports(_free_port(), _free_port(), _free_port()))
            try:
                cloud.start()
                with behind_proxy(cloud.deploy()) as world:
                    if chosen.trace:
                        world.proxy.watch = _print
                    rows = run_cells(world, cells)
            finally:
                cloud.stop()
        write_rows(RESULTS, rows)
    print("\n".join(table(rows)))
    if chosen.write:
        write_part(PAGE, PART, table(rows))
    return 1 if any(row.broken for row in rows) else 0


def _print(seen: Seen) -> None:
    print(f"{seen.door:9} {seen.service:15} {seen.action:40} {seen.text[:120]}", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
