"""``breaks list``, ``show``, ``comment``, ``assign``, ``dismiss``, and of ``cli.matches``: commands for breaks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from payonce.cli import matches
from payonce.cli.break_views import document_of, line_of, show_lines
from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_table_options, application_of, audited_act, names_tables
from payonce.domain.errors import CorrectionStateConflict
from payonce.domain.principals import operator_of
from payonce.ports import Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_items import Visibility
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.merchant import OPERATOR, break_path
from payonce.reconciliation.cases.why import EXPLAINED
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from payonce.ports import Write
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application

TABLES = (Table.RECONCILIATION,)
ACTING_TABLES = (*TABLES, Table.AUDIT)  # each act is audited in its own transaction
READING_COMMANDS = frozenset({"list", "show"})
# The tables in which to look up why a break arose, if its run did not.
WHY_TABLES = (Table.IDEMPOTENCY, Table.AUDIT, Table.PAYMENTS, Table.OUTBOX)
DEFAULT_LIMIT = 50


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``breaks``."""
    breaks = commands.add_parser("breaks")
    actions = breaks.add_subparsers(dest="breaks_command", required=True, metavar="COMMAND")
    listing = actions.add_parser("list", help="list breaks, most urgent first")
    listing.add_argument(
        "--status",
        choices=[status.value for status in CaseStatus],
        default=CaseStatus.OPEN.value,
        help=f"default: {CaseStatus.OPEN.value}",
    )
    listing.add_argument(
        "--class",
        dest="break_class",
        metavar="CLASS",
        choices=[each.value for each in BreakClass],
        help="only this class, of docs/reconciliation.md",
    )
    listing.add_argument("--merchant", help="only this merchant's")
    listing.add_argument("--limit", type=int, default=DEFAULT_LIMIT, help=f"at most so many (default {DEFAULT_LIMIT})")
    show = actions.add_parser("show", help="show one with its evidence, history and comments")
    comment = actions.add_parser("comment", help="add a comment")
    assign = actions.add_parser("assign", help="hand it to somebody, or with '' to nobody")
    for action in (show, comment, assign):
        action.add_argument("break_id", metavar="BREAK", help="brk_..., as listed")
    comment.add_argument("text")
    comment.add_argument("--for-merchant", action="store_true", help="the merchant reads it too")
    assign.add_argument("assignee")
    dismiss = actions.add_parser("dismiss", help="decide that a probable break is none, such as a double charge")
    dismiss.add_argument("break_id", metavar="BREAK", help="brk_..., as listed")
    dismiss.add_argument("reason", help="why: it stays in the history")
    for action in (comment, assign, dismiss):
        action.add_argument("--operator", required=True, help="who you are")
    for action in (listing, show):
        add_table_options(action, TABLES)
    for action in (comment, assign, dismiss):
        add_table_options(action, ACTING_TABLES)
    add_table_options(show, WHY_TABLES)
    matches.add_actions(actions)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    if options.breaks_command in matches.COMMANDS:
        return matches.run(options, environment)
    explaining = options.breaks_command == "show" and names_tables(options, environment, WHY_TABLES)
    tables = TABLES if options.breaks_command in READING_COMMANDS else ACTING_TABLES
    application = application_of(options, environment, (*TABLES, *WHY_TABLES) if explaining else tables)
    store = CaseStore(application.database)
    match options.breaks_command:
        case "list":
            return _list(store, options, application.clock.now_ms())
        case "show":
            return _show(application, store, options, explaining=explaining)
        case "comment":
            return _comment(application, store, options)
        case "dismiss":
            return _dismiss(application, store, options)
        case _:
            return _assign(application, store, options)


def _list(store: CaseStore, options: argparse.Namespace, now_ms: int) -> int:
    found = list(islice(_chosen(store, options), options.limit + 1))
    cases, more = found[: options.limit], len(found) > options.limit
    text = "".join(f"{line_of(case, now_ms)}\n" for case in cases)
    text += f"there are more: --limit {2 * options.limit}\n" if more else ""
    document = listed((document_of(case, now_ms) for case in cases), has_more=more)
    tell(options, document, text or f"no break is {options.status}")
    return Exit.DONE


def _chosen(store: CaseStore, options: argparse.Namespace) -> Iterator[Case]:
    status = CaseStatus(options.status)
    for case in store.with_status(status):
        fits = options.break_class in (None, case.break_class.value)
        if fits and options.merchant in (None, case.merchant_id):
            yield case


def _show(application: Application, store: CaseStore, options: argparse.Namespace, *, explaining: bool) -> int:
    case, now_ms = store.get(options.break_id), application.clock.now_ms()
    why = _why(application, case, explaining=explaining)
    history, comments = list(store.history(case.break_id)), list(store.comments(case.break_id))
    document = {**document_of(case, now_ms), "explanation": why, "history": history, "comments": comments}
    tell(options, document, "\n".join(line.rstrip() for line in show_lines(case, why, history, comments, now_ms)))
    return Exit.DONE


def _why(application: Application, case: Case, *, explaining: bool) -> str:
    if case.why is not None:
        return f"{case.why_reason}: {case.why}" if case.why_reason else case.why
    if case.break_class not in EXPLAINED:
        return "-"
    if not explaining:
        return f"not looked up; name the tables {', '.join(WHY_TABLES)} to do it now"
    why = application.explainer.explain(case)
    return "-" if why is None else f"{why.reason.value}: {why.text}"


def _assign(application: Application, store: CaseStore, options: argparse.Namespace) -> int:
    assignee = options.assignee or None
    acts = _Acts(application, store, options, f"to {assignee or 'nobody'}")
    case = store.assign(options.break_id, assignee, by=acts.by, at_ms=acts.at_ms, beside=acts.audited())
    document = {"break_id": case.break_id, "assignee": case.assignee}
    tell(options, document, f"assigned to {case.assignee or 'nobody'}")
    return Exit.DONE


def _dismiss(application: Application, store: CaseStore, options: argparse.Namespace) -> int:
    acts = _Acts(application, store, options, options.reason)
    try:
        store.dismiss(options.break_id, reason=options.reason, by=acts.by, at_ms=acts.at_ms, beside=acts.audited())
    except CorrectionStateConflict as refused:
        refusal = acts.audited(refused=refused.detail)
        note = f"dismiss: {refused.detail}"
        store.refused(options.break_id, by=acts.by, at_ms=acts.at_ms, note=note, beside=refusal)
        raise
    tell(options, {"break_id": options.break_id, "dismissed": True}, "dismissed: no run will open it again")
    return Exit.DONE


def _comment(application: Application, store: CaseStore, options: argparse.Namespace) -> int:
    # The audit trail records only that there is a comment; its text is in the case.
    acts = _Acts(application, store, options, "for the merchant" if options.for_merchant else "internal")
    comment_id = application.ids.new("com")
    store.comment(
        options.break_id,
        comment_id,
        text=options.text,
        by=acts.by,
        at_ms=acts.at_ms,
        visibility=Visibility.MERCHANT if options.for_merchant else Visibility.INTERNAL,
        beside=acts.audited(),
    )
    tell(options, {"break_id": options.break_id, "comment_id": comment_id}, "commented")
    return Exit.DONE


class _Acts:
    """An operator's act on a break, with its audit trail entries."""

    def __init__(self, application: Application, store: CaseStore, options: argparse.Namespace, text: str) -> None:
        self.by = operator_of(options.operator)
        self.at_ms = application.clock.now_ms()
        self._application = application
        self._options = options
        self._text = text
        self._merchant_id = store.get(options.break_id).merchant_id

    def audited(self, *, refused: str | None = None) -> list[Write]:
        """Return the write of the audit trail entry; ``refused`` is the reason of a refusal."""
        return audited_act(
            self._application,
            scope=self._merchant_id or OPERATOR,
            operation=f"{self._options.breaks_command}_break",
            resource=break_path(self._options.break_id),
            principal=self.by,
            reason=self._text if refused is None else refused,
            refused=refused is not None,
        )
