"""``webhooks listen`` and ``webhooks verify``: webhooks on this machine, checked as a consumer has to check them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from payonce.cli import http_api
from payonce.cli.http_api import add_api_option
from payonce.cli.output import Exit, tell
from payonce.domain.errors import BodyMalformed, MisconfiguredError
from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.verify import DEFAULT_TOLERANCE_SECONDS, MAX_KEYS, Verifier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

SECRET_VARIABLE: Final = "PAYONCE_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
DEFAULT_PORT: Final = 4810
STANDARD_INPUT: Final = (None, Path("-"))


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``webhooks``."""
    webhooks = commands.add_parser("webhooks").add_subparsers(dest="action", required=True, metavar="COMMAND")
    listen = webhooks.add_parser("listen", help="receive on loopback, verify, print, and forward to a local port")
    listen.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"to listen on (default {DEFAULT_PORT}; 0: any)")
    listen.add_argument(
        "--forward-to", metavar="PORT_OR_URL", help="a service of yours, such as 3000/hooks; it answers"
    )
    listen.add_argument(
        "--register", action="store_true", help="create an endpoint on the stack for this, and delete it at the end"
    )
    listen.add_argument("--url", help="with --register: how the stack reaches this machine (default: its loopback)")
    listen.add_argument(
        "--type", action="append", metavar="TYPE", help="with --register: such as payment.* (default: *)"
    )
    listen.add_argument("--count", type=int, metavar="N", help="end after so many")
    add_api_option(listen)
    verify = webhooks.add_parser("verify", help="check one webhook; the body is read from a file or standard input")
    verify.add_argument("body", nargs="?", type=Path, metavar="FILE", help="the bytes as they came")
    verify.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="repeat for all three")
    for command in (listen, verify):
        command.add_argument(
            "--secret-file",
            type=Path,
            metavar="FILE",
            help=f"whsec_... or whpk_..., one a line (or ${SECRET_VARIABLE})",
        )
        command.add_argument(
            "--tolerance",
            type=int,
            default=DEFAULT_TOLERANCE_SECONDS,
            metavar="SECONDS",
            help=f"how old a webhook may be (default {DEFAULT_TOLERANCE_SECONDS})",
        )


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    if options.action == "verify":
        return _verify(options)
    from payonce.cli.webhook_listener import listen

    return listen(options, environment, None if options.register else verifier_of(options, secrets_of(options)))


def needs_stack(options: argparse.Namespace) -> bool:
    """Return whether the stack has to be asked: only to register an endpoint there."""
    return options.action == "listen" and options.register and http_api.needs_stack(options)


def secrets_of(options: argparse.Namespace) -> list[str]:
    """Return the secrets to verify with. Raises ``MisconfiguredError`` without any.

    Not from an argument: every process of the machine can read those.
    """
    text = os.environ.get(SECRET_VARIABLE, "")
    if options.secret_file is not None:
        try:
            text = options.secret_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BodyMalformed(f"{options.secret_file} can't be read: {error}") from None
    if not text.split():
        more = "; or let --register make an endpoint with one" if options.action == "listen" else ""
        raise MisconfiguredError(f"Name the endpoint's secret in {SECRET_VARIABLE} or with --secret-file{more}.")
    secrets = text.split()
    if len(secrets) > MAX_KEYS:
        where = options.secret_file or SECRET_VARIABLE
        raise MisconfiguredError(f"{where} has to hold 1 to {MAX_KEYS} secrets, whsec_... or whpk_..., one a line.")
    return secrets


def verifier_of(options: argparse.Namespace, secrets: list[str]) -> Verifier:
    """Return the verifier of these secrets. Raises ``MisconfiguredError``."""
    return Verifier(secrets, options.tolerance)


def _verify(options: argparse.Namespace) -> int:
    verifier = verifier_of(options, secrets_of(options))
    headers = [tuple(part.strip() for part in text.split(":", 1)) for text in options.header]
    if any(len(pair) != 2 for pair in headers):
        raise BodyMalformed("A header is 'NAME: VALUE', such as 'webhook-id: msg_1'.")
    try:
        body = sys.stdin.buffer.read() if options.body in STANDARD_INPUT else options.body.read_bytes()
    except OSError as error:
        raise BodyMalformed(f"{options.body} can't be read: {error.strerror}") from None
    try:
        webhook = verifier.verify(headers, body)
    except WebhookRejected as refused:
        tell(options, {"valid": False, "reason": type(refused).__name__, "detail": str(refused)}, "")
        sys.stderr.write(f"{type(refused).__name__}: {refused}\n")
        return Exit.FOUND
    document: dict[str, Any] = {"valid": True, "id": webhook.id, "timestamp": webhook.timestamp, "event": webhook.event}
    tell(options, document, f"valid: {webhook.id} {webhook.event.get('type', '')}".rstrip())
    return Exit.DONE
