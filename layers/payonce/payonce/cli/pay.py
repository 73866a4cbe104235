"""``pay`` and ``refund``: one payment or refund with the HTTP API, repeated with one key until it is answered."""

from __future__ import annotations

import re
import sys
import uuid
from typing import TYPE_CHECKING, Any, Final

from payonce.cli.http_api import (
    KEY_VARIABLE,
    Answer,
    Api,
    Patience,
    add_api_option,
    api_of,
    call,
    call_until_answered,
    needs_stack,
)
from payonce.cli.output import Exit, tell
from payonce.domain.errors import OutcomeUnknown, UpstreamUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

__all__ = ["add_commands", "needs_stack", "run"]

DEFAULT_PATIENCE_SECONDS: Final = 60
ACCEPTED, UNAUTHENTICATED, DECLINED, TOO_MANY = 202, 401, 402, 429
IN_DOUBT: Final = "in_doubt"
_KEY_HINT: Final = f"set {KEY_VARIABLE} to a key of this API; `payonce merchants create NAME` makes one"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``pay`` and ``refund``."""
    pay = commands.add_parser("pay")
    pay.add_argument("amount_minor", type=minor_units, metavar="AMOUNT", help="in minor units: 1050 is 10.50 EUR")
    pay.add_argument("currency", metavar="CURRENCY", help="such as EUR")
    pay.add_argument("--method", default="pm_sandbox_visa", metavar="TOKEN", help="default: pm_sandbox_visa")
    pay.add_argument("--capture", choices=("automatic", "manual"), help="default: automatic")
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
            help=f"how long to go on with the same key (default {DEFAULT_PATIENCE_SECONDS})",
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


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Pay or refund: 0 done, 1 declined, 2 refused, 3 not sent, 4 not known. Raises ``PayonceError``."""
    api = api_of(options, environment)
    key = options.key or str(uuid.uuid4())
    # Before anything is sent, so that it is known whatever happens next.
    sys.stderr.write(f"idempotency key {key}\n")
    patience = Patience(options.patience)
    try:
        answer = call_until_answered(api, "POST", *_request(options), key, patience)
        if answer.status == ACCEPTED:
            answer = _settled(api, answer, patience)
    except (UpstreamUnavailable, OutcomeUnknown) as error:
        nothing = isinstance(error, UpstreamUnavailable)
        code = Exit.NOT_REACHED if nothing else Exit.UNKNOWN
        document = {"idempotency_key": key, "status": None, "problem": error.detail, "next": _again(options, key)}
        tell(options, document, "")
        sys.stderr.write(f"{error.detail}\nnext: {_again(options, key)}\n")
        return code
    return _told(options, answer, key)


def _request(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    if options.command == "refund":
        amount = {} if options.amount_minor is None else {"amount_minor": options.amount_minor}
        return f"/payments/{options.payment_id}/refunds", amount
    named = {name: getattr(options, name) for name in ("capture", "reference", "description")}
    body = {"amount_minor": options.amount_minor, "currency": options.currency, "payment_method": options.method}
    return "/payments", body | {name: value for name, value in named.items() if value}


def _settled(api: Api, answer: Answer, patience: Patience) -> Answer:
    """Ask for a payment in doubt until recovery has settled it, or the time is over."""
    location, wait = answer.headers.get("location", ""), patience.pauses()
    if not location.startswith("/"):
        return answer
    sys.stderr.write("in doubt: recovery asks the gateway\n")
    while wait(None):
        try:
            read = call(api, "GET", location)
        except (UpstreamUnavailable, OutcomeUnknown):
            continue
        if read.status == 200 and read.document.get("status") != IN_DOUBT:
            return read
    return answer


def _told(options: argparse.Namespace, answer: Answer, key: str) -> int:
    made = answer.document if isinstance(answer.document, dict) else {}
    replayed = answer.headers.get("idempotency-replayed")
    document = {"idempotency_key": key, "http_status": answer.status, "replayed": replayed == "true", "answer": made}
    code = _code(answer)
    if code is Exit.DONE:
        amount = f"{made.get('amount_minor', '')} {made.get('currency', '')}".strip()
        text = f"{made.get('id', '')}  {made.get('status', '')}  {amount}"
        tell(options, document, f"{text}{'  (replayed)' if replayed == 'true' else ''}")
        return code
    following = _KEY_HINT if answer.status == UNAUTHENTICATED else ""
    following = _again(options, key) if code in {Exit.UNKNOWN, Exit.NOT_REACHED} or answer.is_retryable else following
    tell(options, {**document, "next": following or None}, "")
    said = made.get("detail") or made.get("title") or f"{made.get('id', '')} {made.get('status', '')}".strip()
    sys.stderr.write(f"{answer.status}: {said or 'no answer of payonce'}\n")
    sys.stderr.write(f"next: {following}\n" if following else "")
    return code


def _code(answer: Answer) -> Exit:
    status = answer.document.get("status") if isinstance(answer.document, dict) else None
    if answer.status == ACCEPTED or status == IN_DOUBT or answer.status >= 500:
        return Exit.UNKNOWN
    if answer.status == DECLINED or status == "failed":
        return Exit.FOUND
    if answer.status == TOO_MANY:
        return Exit.NOT_REACHED
    return Exit.DONE if answer.status < 300 else Exit.REFUSED


def _again(options: argparse.Namespace, key: str) -> str:
    """Return the same command with the key, so that it is the same request."""
    words = ["payonce", "pay", str(options.amount_minor), options.currency] if options.command == "pay" else []
    words = words or ["payonce", "refund", options.payment_id]
    if options.command == "pay":
        named = {"--method": options.method, "--capture": options.capture}
        named |= {"--reference": options.reference, "--description": options.description}
    else:
        named = {"--amount": options.amount_minor}
    named |= {"--api": options.api, "--stack": None if options.api else options.stack, "--key": key}
    for name, value in named.items():
        if value is not None:
            words += [name, _quoted(str(value))]
    return " ".join(words)


def _quoted(word: str) -> str:
    import shlex

    return word if _PLAIN.fullmatch(word) else shlex.quote(word)
