"""``console operators add``, ``list`` and ``disable``: who may sign in at the console, and what each may do there."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_table_options, application_of, shown
from payonce.console.operators import Role
from payonce.console.parts import Parts
from payonce.domain.principals import operator_of
from payonce.ports import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from payonce.ports import Write

READING_TABLES = (Table.CONSOLE,)
TABLES = (Table.CONSOLE, Table.MERCHANTS, Table.AUDIT)  # each act is audited in its own transaction


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``console``."""
    console = commands.add_parser("console").add_subparsers(dest="subject", required=True, metavar="COMMAND")
    operators = console.add_parser("operators", help="who may sign in at the console")
    actions = operators.add_subparsers(dest="action", required=True, metavar="COMMAND")
    adding = actions.add_parser("add", help="add an operator, or give a new key to one who was disabled")
    listing = actions.add_parser("list", help="list the operators")
    disabling = actions.add_parser("disable", help="end an operator's key and sessions")
    for action in (adding, disabling):
        action.add_argument("name", metavar="NAME", help="the person's name")
    adding.add_argument(
        "--role",
        required=True,
        choices=[role.value for role in Role],
        metavar="ROLE",
        help=f"of {', '.join(role.value for role in Role)}: each may do what those before it may",
    )
    adding.add_argument(
        "--merchant", metavar="MERCHANT", help="the one merchant that is shown (default: all, and the platform)"
    )
    for action in (adding, listing, disabling):
        add_table_options(action, READING_TABLES if action is listing else TABLES)
    for action in (adding, disabling):
        action.add_argument("--operator", metavar="WHO", help="who you are (default: your login name)")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    tables = READING_TABLES if options.action == "list" else TABLES
    parts = Parts(application_of(options, environment, tables))
    match options.action:
        case "add":
            return _add(parts, options)
        case "disable":
            return _disable(parts, options)
        case _:
            return _list(parts, options)


def _add(parts: Parts, options: argparse.Namespace) -> int:
    said = f"{options.name}: {options.role}, of {options.merchant or 'the whole platform'}"
    audited = _audited(parts, options, "add", said)
    key = parts.operators.add(options.name, Role(options.role), options.merchant, audited=audited)
    made = {"name": options.name, "role": options.role, "merchant_id": options.merchant, "key": key}
    tell(options, made, f"{key}\n")
    sys.stderr.write("Keep the key safe: it is stored as a hash and can't be shown again.\n")
    return Exit.DONE


def _disable(parts: Parts, options: argparse.Namespace) -> int:
    operator = parts.operators.disable(options.name, audited=_audited(parts, options, "disable", options.name))
    tell(options, {"disabled": operator.name}, f"{operator.name} is disabled, and every session has ended")
    return Exit.DONE


def _list(parts: Parts, options: argparse.Namespace) -> int:
    operators = parts.operators.list()
    data = [
        {
            "name": operator.name,
            "role": operator.role.value,
            "merchant_id": operator.merchant_id,
            "created_at_ms": operator.created_at_ms,
            "disabled_at_ms": operator.disabled_at_ms,
        }
        for operator in operators
    ]
    text = "".join(
        f"{operator.name}  {operator.role.value}  {operator.merchant_id or 'the whole platform'}  since "
        f"{shown(operator.created_at_ms)}"
        f"{f'  disabled {shown(operator.disabled_at_ms)}' if operator.disabled_at_ms else ''}\n"
        for operator in operators
    )
    tell(options, listed(data), text or "there is no operator: payonce console operators add NAME --role ROLE")
    return Exit.DONE


def _audited(parts: Parts, options: argparse.Namespace, act: str, result: str) -> Sequence[Write]:
    return parts.acts.writes(
        principal=operator_of(options.operator or getpass.getuser()),
        operation=f"operators {act}",
        on=f"operators {act}",
        merchant_id=getattr(options, "merchant", None),
        result=result,
    )
