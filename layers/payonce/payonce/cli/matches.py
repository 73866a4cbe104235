"""``breaks match``, ``unmatch``, ``matches``: a person says which rows belong together, in a file or on the stack."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_table_options, application_of, shown
from payonce.clock import SystemClock
from payonce.domain.errors import BodyMalformed
from payonce.domain.principals import operator_of
from payonce.ports import Table
from payonce.reconciliation.cases.manual_match import new_match, row_ref, rows_of_break
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from payonce.reconciliation.manual import Match, RowRef

COMMANDS: Final = frozenset({"match", "unmatch", "matches"})
TABLES: Final = (Table.RECONCILIATION, Table.AUDIT, Table.PAYMENTS)  # a correction lies with its payment
MAX_RUN_BYTES: Final = 2**30  # the JSON of a run with a million breaks


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers to those of ``breaks``."""
    match = actions.add_parser("match", help="say that rows belong together; every later run goes by it")
    match.add_argument(
        "rows",
        nargs="+",
        metavar="BREAK_OR_ROW",
        help="brk_..., or a row as ledger:KEY, gateway:KEY, bank:KEY with the key that evidence and open items show",
    )
    match.add_argument("--reason", required=True, help="why: it stands in every report")
    match.add_argument("--accept-difference", action="store_true", help="accept what the amounts differ by, too")
    match.add_argument("--run", type=Path, metavar="out.json", help="the JSON of the run that shows them; with a file")
    unmatch = actions.add_parser("unmatch", help="take a match back; the next run finds its rows again")
    unmatch.add_argument("match_id", metavar="MATCH", help="mat_..., as listed")
    unmatch.add_argument("--reason", required=True, help="why: it stays in the history")
    listing = actions.add_parser("matches", help="list the matches in force, with who made them and why")
    for action in (match, unmatch):
        action.add_argument(
            "--by", "--operator", dest="operator", help="who you are (default: the user of this machine)"
        )
    for action in (match, unmatch, listing):
        action.add_argument(
            "--decisions", type=Path, metavar="FILE", help="the file of decisions, instead of the stack's"
        )
        add_table_options(action, TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    if options.breaks_command != "matches":
        options.operator = operator_of(options.operator or getpass.getuser())
    if options.decisions is not None:
        _in_file[options.breaks_command](options)
    else:
        _on_stack[options.breaks_command](options, environment)
    return Exit.DONE


# The log of matches is imported where a command needs it: it needs the packages of reconcile.
def _match_in_file(options: argparse.Namespace) -> None:
    from payonce.reconciliation.runs.match_log import add_to_match_log, match_line, read_match_log

    log = read_match_log(options.decisions, may_lack=True)
    rows_of = _of_no_run if options.run is None else _Run(options.run).rows_of
    rows: list[RowRef] = []
    for text in options.rows:
        rows += rows_of(text) if (known := row_ref(text)) is None else (known,)
    made = new_match(
        rows,
        reason=options.reason,
        by=options.operator,
        at_ms=SystemClock().now_ms(),
        accept_difference=options.accept_difference,
        matched=log.rows,
    )
    add_to_match_log(options.decisions, match_line(made))
    after = f"next: payonce reconcile ... --decisions {options.decisions}"
    tell(options, made, f"matched {len(made.rows)} rows: {made.match_id}\n{after}")


def _unmatch_in_file(options: argparse.Namespace) -> None:
    from payonce.reconciliation.runs.match_log import add_to_match_log, read_match_log, unmatch_line

    log = read_match_log(options.decisions)
    at_ms = SystemClock().now_ms()
    line = unmatch_line(log, options.match_id, reason=options.reason, by=options.operator, at_ms=at_ms)
    add_to_match_log(options.decisions, line)
    _taken_back(options)


def _taken_back(options: argparse.Namespace) -> None:
    document = {"match_id": options.match_id, "in_force": False}
    tell(options, document, "taken back: the next run finds its rows again")


def _list_file(options: argparse.Namespace) -> None:
    from payonce.reconciliation.runs.match_log import read_match_log

    _list(options, read_match_log(options.decisions).in_force)


def _list(options: argparse.Namespace, in_force: Sequence[Match]) -> None:
    text = "".join(f"{line_of(match)}\n" for match in in_force)
    tell(options, listed(in_force), text or "no match is in force")


def line_of(match: Match) -> str:
    """Return the lines of a match in the list."""
    accepts = ", difference accepted" if match.accept_difference else ""
    rows = "".join(f"\n  {plain(str(row))}" for row in match.rows)
    return f"{match.match_id}  {shown(match.at_ms)}  {plain(match.by)}{accepts}  {plain(match.reason)}{rows}"


def _of_no_run(text: str) -> tuple[RowRef, ...]:
    raise BodyMalformed(
        f"{text} is no row such as ledger:KEY, gateway:KEY or bank:KEY. For breaks, and for keys alone, name the run "
        "that shows them: --run out.json, which payonce reconcile --json writes."
    )


class _Run:
    """The breaks and rows of a run's JSON."""

    def __init__(self, file: Path) -> None:
        try:
            with file.open("rb") as opened:
                document = json.loads(opened.read(MAX_RUN_BYTES))
            self._breaks: dict[str, dict[str, Any]] = {one["break_id"]: one for one in document["breaks"]}
            shown_rows = [row for one in document["breaks"] for row in one["evidence"]] + document["open_items"]
            self._rows: dict[str, set[RowRef]] = {}
            for row in shown_rows:
                if (known := row_ref(f"{row['source']}:{row['row_key']}")) is not None:
                    self._rows.setdefault(known.row_key, set()).add(known)
        except OSError as error:
            raise BodyMalformed(f"{file}: the file can't be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BodyMalformed(f"{file}: it is not what payonce reconcile --json writes") from None
        self._file = file

    def rows_of(self, text: str) -> tuple[RowRef, ...]:
        """Return the rows of a break, or the row of this key. Raises ``BodyMalformed``."""
        if (found := self._breaks.get(text)) is not None:
            evidence = [(str(row["source"]), str(row["row_key"])) for row in found["evidence"]]
            return rows_of_break(text, BreakClass(found["break_class"]), found["subject"], evidence)
        rows = self._rows.get(text, set())
        if len(rows) != 1:
            names = ", ".join(str(row) for row in sorted(rows))
            raise BodyMalformed(
                f"{text} is several rows: {names}. Name one."
                if rows
                else f"{self._file} has no break and no row {text} among its breaks and open items."
            )
        return tuple(rows)


def _match_on_stack(options: argparse.Namespace, environment: Mapping[str, str]) -> None:
    desk = application_of(options, environment, TABLES).matches
    made = desk.match(
        options.rows, reason=options.reason, by=options.operator, accept_difference=options.accept_difference
    )
    tell(
        options,
        made,
        f"matched {len(made.rows)} rows: {made.match_id}\nnext: the next run closes what it no longer finds",
    )


def _unmatch_on_stack(options: argparse.Namespace, environment: Mapping[str, str]) -> None:
    desk = application_of(options, environment, TABLES).matches
    desk.unmatch(options.match_id, reason=options.reason, by=options.operator)
    _taken_back(options)


def _list_stack(options: argparse.Namespace, environment: Mapping[str, str]) -> None:
    _list(options, application_of(options, environment, TABLES).matches.in_force())


_in_file: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "match": _match_in_file,
    "unmatch": _unmatch_in_file,
    "matches": _list_file,
}
_on_stack: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, str]], None]]] = {
    "match": _match_on_stack,
    "unmatch": _unmatch_on_stack,
    "matches": _list_stack,
}
