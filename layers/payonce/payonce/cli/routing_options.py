"""The options of the operator's commands for routing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.cli.support import add_table_options
from payonce.domain.durations import MINUTE_MS
from payonce.ports import Table
from payonce.routing.control.override import MAX_LIFE_MS, USUAL_LIFE_MS
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.history import SEARCHED_HOURS

if TYPE_CHECKING:
    import argparse

TABLES = (Table.ROUTING,)
DEFAULT_LAST = 20


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``routing``."""
    routing = commands.add_parser("routing")
    actions = routing.add_subparsers(dest="routing_command", required=True, metavar="COMMAND")
    show = actions.add_parser("show", help="what is in force now, and why")
    drain = actions.add_parser("drain", help="take new payments off a gateway for a while, or most of them")
    drain.add_argument("gateway", metavar="GATEWAY")
    drain.add_argument("--share", type=float, default=0.0, help="of its weight that it keeps, 0 to 1 (default 0)")
    weights = actions.add_parser("weights", help="the same for several gateways at once")
    weights.add_argument("shares", metavar="GATEWAY=SHARE", nargs="+", help="share of its weight that it keeps, 0 to 1")
    mode = actions.add_parser("mode", help="force a mode for a while, whatever is configured")
    mode.add_argument("mode", choices=[each.value for each in Mode])
    release = actions.add_parser("release", help="end the override now")
    history = actions.add_parser("history", help="who overrode what, when and why; newest first")
    decisions = actions.add_parser("decisions", help=f"the decisions of the last {SEARCHED_HOURS} hours, newest first")
    for action in (history, decisions):
        action.add_argument("--last", type=_count, default=DEFAULT_LAST, help=f"so many (default {DEFAULT_LAST})")
    again = actions.add_parser("replay", help="make a decision again from its record: the same bytes, or exit code 1")
    explain = actions.add_parser("explain", help="the forecasts behind a decision")
    for action in (again, explain):
        action.add_argument("epoch", metavar="EPOCH", type=int, help="as listed by decisions, and in the log")
        action.add_argument("--hour", help=f"yyyymmddThh, UTC, if it is over {SEARCHED_HOURS} hours ago")
    for action in (drain, weights, mode):
        action.add_argument(
            "--minutes",
            type=int,
            default=USUAL_LIFE_MS // MINUTE_MS,
            help=f"until it ends by itself (default {USUAL_LIFE_MS // MINUTE_MS}, at most {MAX_LIFE_MS // MINUTE_MS})",
        )
    for action in (drain, weights, mode, release):
        action.add_argument("--operator", required=True, help="who you are")
        action.add_argument("--reason", required=True, help="why: it stays in the history")
        add_table_options(action, (*TABLES, Table.AUDIT))
    for action in (show, history, decisions, again, explain):
        add_table_options(action, TABLES)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("counted from 1")  # argparse adds the option's name
    return int(text)
