"""``ledger export``: exports the stack's journal of a period as the ledger CSV that ``reconcile`` reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, tell
from payonce.cli.support import add_table_options, application_of, shown, time_of
from payonce.domain.durations import SECOND_MS
from payonce.domain.errors import BodyMalformed
from payonce.extras import needs
from payonce.ports import Table
from payonce.reconciliation.runs.ledger_export import export_ledger

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

TABLES = (Table.OUTBOX,)  # an entry lies in the item of its change


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``ledger export``."""
    ledger = commands.add_parser("ledger")
    export = ledger.add_subparsers(dest="ledger_command", required=True, metavar="COMMAND").add_parser(
        "export", help="write what was booked in a time to a ledger CSV, for reconcile"
    )
    export.add_argument("--from", dest="since", required=True, help="ISO 8601 date or time, included; UTC")
    export.add_argument("--to", dest="until", required=True, help="ISO 8601 date or time, not included; UTC")
    export.add_argument("--merchant", help="only this merchant (default: all)")
    export.add_argument("--gateway", help="only what was moved at this gateway (default: all)")
    export.add_argument("--output", type=Path, required=True, metavar="LEDGER.csv", help="a new file")
    add_table_options(export, TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the export and return the exit code. Raises ``PayonceError``, and then writes no file."""
    with needs("reconcile"):
        from rich.console import Console
        from rich.progress import Progress
    since_ms, until_ms = time_of(options.since), time_of(options.until)
    if since_ms >= until_ms:
        raise BodyMalformed("--to must be later than --from.")
    application = application_of(options, environment, TABLES)
    # An entry becomes visible up to a second after its commit, so that a period not yet over would be incomplete.
    if until_ms > application.clock.now_ms() - SECOND_MS:
        raise BodyMalformed("--to must be over: the journal of a time that goes on is never complete.")
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("Reading the journal", total=until_ms - since_ms)

        def passed(rows: int, at_ms: int) -> None:
            progress.update(bar, completed=at_ms - since_ms, description=f"Reading the journal: {rows:,} entries")

        count = export_ledger(
            application.database,
            options.output,
            from_ms=since_ms,
            until_ms=until_ms,
            merchant_id=options.merchant,
            gateway=options.gateway,
            progress=passed,
        )
        progress.update(bar, completed=until_ms - since_ms)
    entries = "entry" if count == 1 else "entries"
    sys.stderr.write(f"{count:,} {entries}, from {shown(since_ms)} to {shown(until_ms)}, in {options.output}\n")
    tell(options, {"entries": count, "output": options.output}, "")
    return Exit.DONE
