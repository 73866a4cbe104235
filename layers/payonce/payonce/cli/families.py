"""The tree of commands: one row a family, and a parser that imports only the family it is asked for.

``payonce --help`` and a mistyped word load no family at all, so they answer in a twentieth of a second
(docs/adr/0048-the-command.md). The whole tree is built for the reference page, the shells' completions and the tests.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

REFUSED: Final = 2  # argparse's own code for a wrong word
SHELLS: Final = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Family:
    """A first word of the command: what it is for, and its module in ``payonce.cli``.

    The module has ``add_commands(commands)`` and ``run(options, environment)``. ``stack``: whether ``--stack`` means
    something to it. ``json``: whether ``--json`` does, in which case it is added to each command without an own one.
    """

    name: str
    module: str
    help: str
    stack: bool = True
    json: bool = True

    def load(self) -> ModuleType:
        """Import the module. Raises ``ModuleNotFoundError`` if a package that it needs is not installed."""
        return import_module(f"payonce.cli.{self.module}")


FAMILIES: Final = (
    Family("up", "local", "start the local cloud and deploy to it, from a checkout", stack=False),
    Family("down", "local", "stop the local cloud", stack=False),
    Family("status", "local", "say what runs on this machine, and how the stack stands"),
    Family("demo", "local", "deploy to the local cloud and show the main job", stack=False),
    Family("doctor", "doctor", "say what is missing and how to mend it"),
    Family("merchants", "merchants", "create and list merchants"),
    Family("keys", "merchants", "create, list and revoke merchants' API keys"),
    Family("console", "console", "say who may sign in at the console"),
    Family("pay", "pay", "make a payment with the API, safe to repeat"),
    Family("refund", "pay", "refund a payment with the API, safe to repeat"),
    Family("events", "events", "follow a merchant's events"),
    Family("webhooks", "webhooks", "receive, verify and forward webhooks on this machine"),
    Family("gateways", "gateways", "list the configured gateways"),
    Family("gateway-credentials", "gateway_credentials", "merchants' own accounts at gateways"),
    Family("gateway-events", "gateway_events", "the events that gateways posted"),
    Family("idempotency-keys", "idempotency_keys", "show an idempotency key, or release its claim"),
    Family("audit", "audit", "the audit trail of idempotency keys"),
    Family("reconcile", "reconcile", "compare the ledger with gateway reports and bank statements", stack=False),
    Family("reconcile-map", "reconcile_map", "`reconcile map FILE`: propose a bank's column mapping", stack=False),
    Family("breaks", "breaks", "list, read, comment on and assign what reconciliation found"),
    Family("corrections", "corrections", "list, show, propose, approve and reject corrections"),
    Family("ledger", "ledger", "the journal of bookings"),
    Family("verify-manifests", "manifests", "check the chain of reconciliation runs; needs no cloud", stack=False),
    Family("routing", "routing", "show, override and explain which gateway payments go to"),
    Family("redrive", "redrive", "bring the messages of a dead-letter queue back to their queue"),
    Family("sidecar", "sidecar", "run the idempotency sidecar in front of a service", stack=False, json=False),
    Family("completion", "completion", "write the completion of a shell", stack=False, json=False),
)
BY_NAME: Final = {family.name: family for family in FAMILIES}
# How commands were spelled before version 1.0, and two words that are one command of the parser.
SPELLINGS: Final = {
    ("create-merchant",): ("merchants", "create"),
    ("create-key",): ("keys", "create"),
    ("revoke-key",): ("keys", "revoke"),
    ("key",): ("idempotency-keys",),
    ("reconcile", "map"): ("reconcile-map",),
}
_WITH_VALUE: Final = ("--stack", "--table")  # the options that may stand before the command


def spelled(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with an older spelling of the command replaced by the present one."""
    words = list(arguments)
    at = _at(words)
    for before, now in SPELLINGS.items():
        if tuple(words[at : at + len(before)]) == before:
            return [*words[:at], *now, *words[at + len(before) :]]
    return words


def family_of(arguments: Sequence[str]) -> Family | None:
    """Return the family that the arguments name, or ``None``."""
    at = _at(arguments)
    return BY_NAME.get(arguments[at]) if at < len(arguments) else None


def _at(words: Sequence[str]) -> int:
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _WITH_VALUE else 1
    return at


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options, and says which word was probably meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "allow_abbrev": False})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the words; those that nobody knows are refused by the command that they were given to."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            _chosen(self, options).error(f"unrecognized arguments: {' '.join(unknown)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words and leave with 2; as a JSON document if ``--json`` is among them."""
        if "invalid choice: " in message:
            wrong, _, known = message.partition("invalid choice: ")[2].partition(" (choose from ")
            near = difflib.get_close_matches(wrong.strip("'"), known.rstrip(")").replace("'", "").split(", "), n=1)
            message = f"{message}. Did you mean {near[0]}?" if near else message
        if "--json" in sys.argv:
            problem = {"problem": "usage", "detail": message, "next": f"{self.prog} --help", "exit_code": REFUSED}
            sys.stderr.write(json.dumps({"error": problem}) + "\n")
            sys.exit(REFUSED)
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"{self.prog}: {message}\nnext: {self.prog} --help\n")


def _chosen(parser: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.ArgumentParser:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            child = action.choices.get(str(getattr(options, action.dest, "")))
            return _chosen(child, options) if child is not None else parser
    return parser


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The first words: each has the help of its row, whether its module is loaded or not."""

    def add_parser(self, name: str, **options: Any) -> Any:
        if name in BY_NAME:
            options["help"] = BY_NAME[name].help
            options.setdefault("description", f"{options['help'][0].upper()}{options['help'][1:]}.")
        return super().add_parser(name, **options)


def make_parser(chosen: Family | None = None, *, whole: bool = False) -> Parser:
    """Return the parser of the command, with the commands of the ``chosen`` family, or with those of all.

    Raises ``ModuleNotFoundError`` if a package that the family needs is not installed.
    """
    parser = Parser(prog="payonce", description="Take payments once, and operate what takes them.", epilog=_EPILOG)
    parser.add_argument("--version", action="store_true", dest="tell_version", help="print the version")
    parser.add_argument(
        "--stack", metavar="STACK", help="the deployed stack (default: $PAYONCE_STACK); also after the command"
    )
    parser.add_argument("--table", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", action=_Commands, parser_class=Parser, title="commands"
    )
    modules: set[str] = set()
    for family in FAMILIES:
        if family.name in commands.choices:
            continue
        if whole or (chosen and chosen.module == family.module and family.module not in modules):
            modules.add(family.module)
            family.load().add_commands(commands)
        else:
            commands.add_parser(family.name)
    for path, leaf in leaves(parser):
        _common_options(BY_NAME[path[0]], leaf)
    return parser


_EPILOG: Final = (
    "Exit codes: 0 done; 1 done, and there is something to look at; 2 refused, nothing was changed; 3 something that "
    "the command needs is missing or can't be reached; 4 the outcome is unknown; 130 interrupted. docs/command.md has "
    "every command."
)


def _common_options(family: Family, leaf: argparse.ArgumentParser) -> None:
    known = leaf._option_string_actions
    if family.stack and "--stack" not in known:
        leaf.add_argument(
            "--stack", metavar="STACK", default=argparse.SUPPRESS, help="the deployed stack (default: $PAYONCE_STACK)"
        )
    if family.json and "--json" not in known:
        leaf.add_argument("--json", action="store_true", help="write one JSON document instead of text")


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield each command's words and its parser: what has no commands below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below and path:
        yield path, parser
    for action in below:
        for name, child in action.choices.items():
            yield from leaves(child, (*path, name))
