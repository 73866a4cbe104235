"""``audit export``: exports the audit trail of a period as JSON lines or CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, tell, wants_json
from payonce.cli.support import (
    add_config_option,
    add_table_options,
    application_of,
    desk_of_config,
    shown,
    time_of,
)
from payonce.domain.errors import BodyMalformed
from payonce.idempotency.audit_export import EXPORTS
from payonce.ports import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.idempotency.audit import AuditEntry

TABLES = (Table.AUDIT,)
PROGRESS_EVERY = 500  # entries, which is a page or two


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``audit export``."""
    audit = commands.add_parser("audit")
    export = audit.add_subparsers(dest="audit_command", required=True, metavar="COMMAND").add_parser(
        "export", help="write the transitions of a time to a file or to standard output"
    )
    export.add_argument("--from", dest="since", required=True, help="ISO 8601 date or time, included; UTC")
    export.add_argument("--to", dest="until", required=True, help="ISO 8601 date or time, not included; UTC")
    export.add_argument("--merchant", help="only this merchant (default: all)")
    export.add_argument("--format", choices=sorted(EXPORTS), default="jsonl", help="default: jsonl")
    export.add_argument(
        "--json", action="store_true", help="with --output: write how many entries it has, as one JSON document"
    )
    export.add_argument("--output", type=Path, help="a new file (default: standard output)")
    add_table_options(export, TABLES)
    add_config_option(export)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the export and return the exit code. Raises ``PayonceError``."""
    since_ms, until_ms = time_of(options.since), time_of(options.until)
    if since_ms >= until_ms:
        raise BodyMalformed("--to must be later than --from.")
    if wants_json(options) and options.output is None:
        raise BodyMalformed("The export itself is JSON lines. --json is about a file: name it with --output.")
    named = desk_of_config(options.config, environment) if options.config else None
    trail = (named or application_of(options, environment, TABLES)).audit_trail
    entries = trail.entries(from_ms=since_ms, until_ms=until_ms, scope=options.merchant)

    def progress(count: int, entry: AuditEntry) -> None:
        if count % PROGRESS_EVERY == 0:
            sys.stderr.write(f"\r{count} entries, at {shown(entry.at_ms)}")
            sys.stderr.flush()

    if options.output is None:
        count = EXPORTS[options.format](entries, sys.stdout, progress)
    else:
        try:
            with options.output.open("x", encoding="utf-8", newline="") as file:
                count = EXPORTS[options.format](entries, file, progress)
        except FileExistsError:
            raise BodyMalformed(f"{options.output} exists. Name a new file.") from None
    sys.stderr.write(f"\r{count} entries, from {shown(since_ms)} to {shown(until_ms)}\n")
    tell(options, {"entries": count, "output": options.output}, "")
    return Exit.DONE
