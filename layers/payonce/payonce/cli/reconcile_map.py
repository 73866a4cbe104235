"""``reconcile map``: a mapping proposed for a bank's table, and what its first rows are under it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, tell
from payonce.domain.errors import BodyMalformed, FileRejected
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.values import decimal_text, plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

COMMAND = "reconcile-map"  # `reconcile map` to people: `reconcile` itself takes files
SHOWN_LINES = 10
SHOWN_CHARACTERS = 60


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``reconcile map``."""
    command = commands.add_parser(
        COMMAND,
        prog="payonce reconcile map",
        description="Propose a column mapping for a bank's CSV, workbook or QIF file.",
    )
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--account", help="the account, where the table does not name it")
    command.add_argument("--currency", help="the currency, where the table does not name it")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Write the mapping to standard output and the rows beside it: 0 read, 2 no mapping reads it."""
    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.propose import propose

    try:
        with options.file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BodyMalformed(f"{options.file}: the file can't be read: {error.strerror}") from None
    currency = options.currency.upper() if options.currency else None
    proposal = propose(data, account=options.account, currency=currency)
    text = proposal.to_toml()
    try:
        read = read_file(data, mappings=[ColumnMapping.model_validate(tomllib.loads(text))])
    except (FileRejected, ValueError) as error:
        reason = error.detail if isinstance(error, FileRejected) else str(error)
        tell(options, {"mapping": text, "reads": False, "reason": plain(reason)}, text)
        sys.stderr.write(f"The proposal does not read it yet: {plain(reason)}\n")
        return Exit.REFUSED
    lines = [(statement, line) for statement in read.statements for line in statement.lines]
    tell(options, {"mapping": text, "reads": True, "lines": len(lines), "unproved": list(read.unproved)}, text)
    for statement, line in lines[:SHOWN_LINES]:
        amount = f"{decimal_text(line.amount_minor, line.currency)} {line.currency}"
        texts = plain(" ".join(filter(None, (*line.references, line.counterparty, line.description))))
        account = plain(statement.account)
        sys.stderr.write(f"{line.booking_date}  {amount:>18}  {account}  {texts[:SHOWN_CHARACTERS]}\n")
    sys.stderr.write(f"{len(lines)} lines\n" + "".join(f"unproved: {plain(why)}\n" for why in read.unproved))
    return Exit.DONE
