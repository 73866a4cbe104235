"""``merchants create``, ``keys create`` and ``keys revoke``: merchants, and the API keys with which they call."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, tell
from payonce.cli.stack import USAGE_PLAN_VARIABLE
from payonce.cli.support import add_table_options, application_of
from payonce.domain.errors import NotFound, StoreUnavailable, WriteConflict
from payonce.extras import needs
from payonce.merchants.api_keys import SCOPES, hash_api_key
from payonce.ports import Table
from payonce.wiring.aws_clients import client_config

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.merchants.api_keys import Merchants

TABLES = (Table.MERCHANTS,)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``merchants`` and ``keys``."""
    merchants = commands.add_parser("merchants").add_subparsers(dest="action", required=True, metavar="COMMAND")
    keys = commands.add_parser("keys").add_subparsers(dest="action", required=True, metavar="COMMAND")
    merchant = merchants.add_parser("create", help="create a merchant and a first API key")
    merchant.add_argument("name", metavar="NAME")
    merchant.add_argument(
        "--gateway", metavar="GATEWAY", default="", help="route its payments to this gateway, not the default"
    )
    key = keys.add_parser("create", help="create a further API key of a merchant")
    key.add_argument("merchant_id", metavar="MERCHANT")
    for command in (merchant, key):
        command.add_argument(
            "--holder",
            metavar="PERSON",
            default="",
            help="whose key it is: where two persons have to decide, both keys must name theirs, and two of them",
        )
        command.add_argument(
            "--scope", action="append", choices=SCOPES, metavar="SCOPE", help=f"of {', '.join(SCOPES)} (default: all)"
        )
    revoke = keys.add_parser("revoke", help="revoke an API key, read from standard input")
    for command in (merchant, key, revoke):
        add_table_options(command, TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    application = application_of(options, environment, TABLES)
    merchants = application.merchants
    if (options.command, options.action) == ("keys", "revoke"):
        return _revoke(merchants, options)
    merchant_id = (
        merchants.create_merchant(options.name, gateway=options.gateway)
        if options.command == "merchants"
        else options.merchant_id
    )
    if environment.get(USAGE_PLAN_VARIABLE):
        _share_requests(merchants, merchant_id, environment[USAGE_PLAN_VARIABLE], application.settings.endpoint_url)
    key_id, api_key = merchants.create_api_key(merchant_id, options.scope or SCOPES, holder=options.holder)
    made = {"merchant_id": merchant_id, "key_id": key_id, "api_key": api_key}
    tell(options, made, "".join(f"{name} {value}\n" for name, value in made.items()))
    sys.stderr.write("Keep the API key safe: it is stored as a hash and can't be shown again.\n")
    return Exit.DONE


def _revoke(merchants: Merchants, options: argparse.Namespace) -> int:
    try:
        merchants.revoke_api_key(hash_api_key(sys.stdin.readline().strip()))
    except WriteConflict:
        raise NotFound("There is no such API key. It is read from standard input, as it was shown: po_...") from None
    tell(options, {"revoked": True}, "revoked; the authorizer's cache forgets it within a minute")
    return Exit.DONE


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
            f"{error}\nIts requests are taken from the bucket that such merchants share. What `keys create` makes once "
            "this is mended uses its own.\n"
        )
