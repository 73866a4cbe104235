"""``pay`` and ``refund``: one payment or refund with the HTTP API, repeated with one key until it is answered."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from payonce.cli.http_api import KEY_VARIABLE, add_api_option, api_of, client_of, needs_stack
from payonce.cli.output import Exit, tell
from payonce.cli.support import shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.client import Answer, Client
    from payonce.client.errors import KeyedError
    from payonce.client.intents import IntentKey

__all__ = ["add_commands", "needs_stack", "run"]

DEFAULT_PATIENCE_SECONDS: Final = 60
UNAUTHENTICATED: Final = 401
# What a payment or refund is when nothing is left to wait for, and money is held or has moved as it was asked for.
SETTLED: Final = frozenset(
    {"authorized", "partially_captured", "captured", "partially_refunded", "refunded", "succeeded"}
)
_KEY_HINT: Final = f"set {KEY_VARIABLE} to a key of this API; `payonce merchants create NAME` makes one"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
# By the type of next_action: docs/payments.md has what each asks for.
_OF_THE_PAYER: Final = {
    "redirect": "send the payer to {url}",
    "display": "show the payer {url}",
    "gateway_sdk": "give next_action.client_secret (--json has it) to the gateway's own SDK, for the payer",
    "confirm": "post the payment_result that the payer came back with to /payments/{id}/confirmations",
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``pay`` and ``refund``."""
    pay = commands.add_parser("pay")
    pay.add_argument("amount_minor", type=minor_units, metavar="AMOUNT", help="in minor units: 1050 is 10.50 EUR")
    pay.add_argument("currency", metavar="CURRENCY", help="such as EUR")
    pay.add_argument("--method", default="pm_sandbox_visa", metavar="TOKEN", help="default: pm_sandbox_visa")
    pay.add_argument("--capture", choices=("automatic", "manual"), help="default: automatic")
    pay.add_argument("--return-url", metavar="URL", help="where a payer who has to authenticate comes back to")
    pay.add_argument("--reference", help="your order's number")
    pay.add_argument("--description", metavar="TEXT", help="what it is for, for you to read")
    refund = commands.add_parser("refund")
    refund.add_argument("payment_id", metavar="PAYMENT", help="pay_...")
    refund.add_argument(
        "--amount", type=minor_units, dest="amount_minor", metavar="MINOR", help="default: all that is left"
    )
    for command in (pay, refund):
        command.add_argument("--key", help="the idempotency key of an earlier try (default: a new one)")
        command.add_argument(
            "--patience",
            type=float,
            default=DEFAULT_PATIENCE_SECONDS,
            metavar="SECONDS",
            help=f"how long to go on with the same key (default {DEFAULT_PATIENCE_SECONDS}, at least 1)",
        )
        add_api_option(command)


def minor_units(text: str) -> int:
    """Return the amount. Raises ``ArgumentTypeError`` for one that is not in minor units, such as 10.50."""
    try:
        return int(text)
    except ValueError:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(
            f"{text!r} is not in minor units: write 1050 for 10.50 EUR, and 1050 for 1050 JPY"
        ) from None


class _ToldKey:
    """The key of the one call. The terminal is its journal: it is told before anything is sent."""

    def __init__(self, given: str | None) -> None:
        self._given = given
        self.key = ""

    def begin(self, operation: str, intent: str, digest: str) -> IntentKey:
        """Return the key, and tell it. Raises ``Misused`` for one that the API would refuse."""
        from payonce.client.intents import IntentKey, checked_key, random_key

        del operation, intent, digest
        self.key = random_key() if self._given is None else checked_key(self._given)
        sys.stderr.write(f"idempotency key {self.key}\n")
        # What an earlier command has done with a key that is given, nobody knows here.
        return IntentKey(self.key, may_be_executed=self._given is not None)

    def conclude(self, operation: str, intent: str, key: str, resource: str | None) -> None:
        """See ``IntentKeys``: there is nothing to record."""

    def without_effect(self, operation: str, intent: str, key: str) -> None:
        """See ``IntentKeys``: there is nothing to record."""


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Pay or refund: 0 done, 1 to be looked at, 2 refused, 3 nothing executed yet, 4 not known.

    Raises ``PayonceError``.
    """
    from payonce.client.errors import KeyedError

    api, key = api_of(options, environment), _ToldKey(options.key)
    with client_of(api, options.patience, key) as client:
        try:
            answer = _send(client, options)
        except KeyedError as error:
            return _not_done(options, error, key.key)
    return _done(options, answer)


def _send(client: Client, options: argparse.Namespace) -> Answer[Any]:
    if options.command == "refund":
        return client.refund_payment(options.payment_id, amount_minor=options.amount_minor, intent="refund")
    return client.create_payment(
        amount_minor=options.amount_minor,
        currency=options.currency,
        payment_method=options.method,
        capture=options.capture,
        return_url=options.return_url,
        reference=options.reference,
        description=options.description,
        intent="pay",
    )


def _done(options: argparse.Namespace, answer: Answer[Any]) -> int:
    made = answer.data
    status = answer.standing or made.get("status")  # a replay is from before the payment's end
    code = Exit.DONE if status in SETTLED else Exit.FOUND
    document = {"idempotency_key": answer.idempotency_key, "replayed": answer.replayed, "status": status}
    waits = status in {"requires_action", "processing"}
    payer = _of_the_payer(made) if status == "requires_action" else None
    following = _again(options, answer.idempotency_key) if waits else None
    tell(
        options,
        {**document, "answer": made, "payer": payer, "next": following},
        f"{made.get('id', '')}  {status}  {made.get('amount_minor', '')} {made.get('currency', '')}"
        f"{'  (replayed)' if answer.replayed else ''}",
    )
    if payer:
        sys.stderr.write(f"the payer has to act: {payer}\n")
    if following:
        sys.stderr.write(f"next: {following}\nwhich charges nothing again, and says what became of it\n")
    return code


def _of_the_payer(made: Mapping[str, Any]) -> str:
    action = made.get("next_action") or {}
    text = _OF_THE_PAYER.get(action.get("type", ""), "see docs/payments.md")
    until = f", until {shown(action['expires_at_ms'])}" if action.get("expires_at_ms") else ""
    return text.format(url=action.get("url", "what next_action says"), id=made.get("id", "ID")) + until


def _not_done(options: argparse.Namespace, error: KeyedError, key: str) -> int:
    code = _code(error)
    status = error.problem.get("status")
    following = _again(options, key) if code in {Exit.UNKNOWN, Exit.NOT_REACHED} else None
    if status == UNAUTHENTICATED:
        following = _KEY_HINT if code is Exit.REFUSED else f"{_KEY_HINT}; then {following}"
    said = {Exit.NOT_REACHED: "nothing was executed: ", Exit.UNKNOWN: "the outcome is unknown: "}.get(code, "")
    document = {"idempotency_key": key, "problem": error.problem or None, "resource": error.resource}
    tell(options, {**document, "detail": said + error.reason, "next": following}, "")
    sys.stderr.write(f"{f'{status}: ' if status else ''}{said}{error.reason}\n")
    sys.stderr.write(f"next: {following}\n" if following else "")
    return code


def _code(error: KeyedError) -> Exit:
    from payonce.client import errors

    match error:
        case errors.Declined() | errors.NotExecuted():
            return Exit.FOUND
        case errors.NotBegun():
            return Exit.NOT_REACHED
        case errors.OutcomeUnknown():
            return Exit.UNKNOWN
    return Exit.REFUSED


def _again(options: argparse.Namespace, key: str) -> str:
    """Return the same command with the key, so that it is the same request."""
    if options.command == "pay":
        words = ["payonce", "pay", str(options.amount_minor), options.currency]
        named = {"--method": options.method, "--capture": options.capture, "--return-url": options.return_url}
        named |= {"--reference": options.reference, "--description": options.description}
    else:
        words = ["payonce", "refund", options.payment_id]
        named = {"--amount": options.amount_minor}
    named |= {"--api": options.api, "--stack": None if options.api else options.stack, "--key": key}
    for name, value in named.items():
        if value is not None:
            words += [name, _quoted(str(value))]
    return " ".join(words)


def _quoted(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else shlex.quote(word)
