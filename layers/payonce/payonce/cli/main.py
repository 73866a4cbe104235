"""The operator's command: ``payonce --help``.

It creates merchants and API keys, redrives dead letters, shows and releases idempotency keys, exports the audit trail
and the ledger, reconciles files, handles breaks and corrections, keeps merchants' accounts at gateways, shows gateways'
events, shows and overrides routing, and runs the sidecar.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from payonce.cli import (
    audit,
    breaks,
    corrections,
    gateway_credentials,
    gateway_events,
    keys,
    ledger,
    manifests,
    reconcile,
    reconcile_map,
    routing,
    stack,
)
from payonce.domain.errors import PayonceError, StoreUnavailable
from payonce.extras import needs
from payonce.merchants.api_keys import SCOPES, hash_api_key
from payonce.ports import Table
from payonce.wiring.application import Application
from payonce.wiring.aws_clients import client_config
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.merchants.api_keys import Merchants


# The families with a module of their own; they need no merchants table.
FAMILIES: Mapping[str, Callable[[argparse.Namespace, Mapping[str, str]], int]] = {
    "key": keys.run,
    "audit": audit.run,
    "breaks": breaks.run,
    "corrections": corrections.run,
    "gateway-credentials": gateway_credentials.run,
    "gateway-events": gateway_events.run,
    "ledger": ledger.run,
    "reconcile": reconcile.run,
    reconcile_map.COMMAND: reconcile_map.run,
    "routing": routing.run,
    "verify-manifests": manifests.run,
}
WITHOUT_A_STACK = {
    "sidecar",
    "reconcile",
    reconcile_map.COMMAND,
    "verify-manifests",
}  # they work on files, with no credentials


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="payonce", description="Operate payonce.")
    parser.add_argument(
        "--stack",
        default=os.environ.get("PAYONCE_STACK"),
        help="the deployed stack whose tables and settings are meant, before the command (default: $PAYONCE_STACK)",
    )
    parser.add_argument("--table", help="the merchants table (default: $PAYONCE_MERCHANTS_TABLE)")
    commands = parser.add_subparsers(dest="command", required=True)
    merchant = commands.add_parser("create-merchant", help="create a merchant and a first API key")
    merchant.add_argument("name")
    merchant.add_argument("--gateway", default="", help="route its payments to this gateway, not the default")
    key = commands.add_parser("create-key", help="create a further API key of a merchant")
    key.add_argument("merchant_id")
    for command in (merchant, key):
        command.add_argument(
            "--holder",
            default="",
            help="whose key it is: where two persons have to decide, both keys must name theirs, and two of them",
        )
        command.add_argument("--scope", action="append", choices=SCOPES, help="repeat for several (default: all)")
    revoke = commands.add_parser("revoke-key", help="revoke an API key, read from standard input")
    revoke.set_defaults(scope=None)
    dead = commands.add_parser("redrive", help="bring the messages of a dead-letter queue back to their queue")
    dead.add_argument("--from", dest="source", required=True, help="URL of the dead-letter queue (a stack output)")
    dead.add_argument("--to", dest="target", required=True, help="URL of the queue (a stack output)")
    dead.add_argument("--at-most", type=int, help="stop after so many (default: as many as are there now)")
    sidecar = commands.add_parser("sidecar", help="run the idempotency sidecar in front of a service")
    sidecar.add_argument("--config", required=True, help="TOML or JSON file, see docs/proxy.md")
    keys.add_commands(commands)
    audit.add_commands(commands)
    breaks.add_commands(commands)
    corrections.add_commands(commands)
    gateway_credentials.add_commands(commands)
    gateway_events.add_commands(commands)
    ledger.add_commands(commands)
    reconcile.add_commands(commands)
    reconcile_map.add_commands(commands)
    routing.add_commands(commands)
    manifests.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 breaks or a difference found, 2 refused, with the reason."""
    options = _parser().parse_args(reconcile_map.joined(sys.argv[1:] if arguments is None else arguments))
    try:
        environment = dict(os.environ)
        on_files = options.command in WITHOUT_A_STACK or getattr(options, "decisions", None) is not None
        if options.stack and not on_files:
            environment = stack.environment_of_stack(options.stack, environment)
        if options.command == "sidecar":
            return _sidecar(options.config)
        if options.command in FAMILIES:
            return FAMILIES[options.command](options, environment)
        return _operate(options, environment)
    except PayonceError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2


def _operate(options: argparse.Namespace, environment: dict[str, str]) -> int:
    if options.table:
        environment["PAYONCE_MERCHANTS_TABLE"] = options.table
    settings = load_settings(environment)
    if options.command == "redrive":
        return _redrive(Application(settings), options)
    if Table.MERCHANTS not in settings.table_names:
        sys.stderr.write(
            "Name the stack with --stack or PAYONCE_STACK, or its merchants table with --table or "
            "PAYONCE_MERCHANTS_TABLE.\n"
        )
        return 2
    merchants = Application(settings).merchants
    if options.command == "revoke-key":
        merchants.revoke_api_key(hash_api_key(sys.stdin.readline().strip()))
        sys.stdout.write("revoked; the authorizer's cache forgets it within a minute\n")
        return 0
    merchant_id = (
        merchants.create_merchant(options.name, gateway=options.gateway)
        if options.command == "create-merchant"
        else options.merchant_id
    )
    if environment.get(stack.USAGE_PLAN_VARIABLE):
        _share_requests(merchants, merchant_id, environment[stack.USAGE_PLAN_VARIABLE], settings.endpoint_url)
    key_id, api_key = merchants.create_api_key(merchant_id, options.scope or SCOPES, holder=options.holder)
    sys.stdout.write(f"merchant_id {merchant_id}\nkey_id {key_id}\napi_key {api_key}\n")
    sys.stderr.write("Keep the API key safe: it is stored as a hash and can't be shown again.\n")
    return 0


def _share_requests(merchants: Merchants, merchant_id: str, plan_id: str, endpoint_url: str | None) -> None:
    """Give the merchant its own bucket in the usage plan, unless it has one. A failure is only reported."""
    with needs("dynamodb"):
        import boto3
        from botocore.exceptions import BotoCoreError

    from payonce.aws.usage_plan import UsagePlan

    if merchants.usage_key(merchant_id):
        return
    try:
        client = boto3.client("apigateway", config=client_config(), endpoint_url=endpoint_url)
        merchants.set_usage_key(merchant_id, UsagePlan(client, plan_id).add(merchant_id))
    except (StoreUnavailable, BotoCoreError) as error:
        sys.stderr.write(
            f"{error}\nIts requests are taken from the bucket that such merchants share. What create-key makes once "
            "this is mended uses its own.\n"
        )


def _sidecar(config_file: str) -> int:
    with needs("sidecar"):
        from payonce.wiring.sidecar import run
    return run(config_file)


def _redrive(application: Application, options: argparse.Namespace) -> int:
    from payonce.aws.redrive import dead_letters, redrive

    def moved(count: int) -> None:
        sys.stderr.write(f"\r{count} of about {at_most}")
        sys.stderr.flush()

    try:
        client = application.sqs_client
        at_most = options.at_most if options.at_most is not None else dead_letters(client, options.source)
        count = redrive(client, options.source, options.target, at_most=at_most, moved=moved)
    except PayonceError:
        sys.stderr.write("\n")
        raise
    sys.stderr.write("\n" if count else "")
    sys.stdout.write(f"{count} message{'' if count == 1 else 's'} redriven\n")
    return 0
