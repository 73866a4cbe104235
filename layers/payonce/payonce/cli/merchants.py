"""``merchants`` and ``keys``: creates and lists merchants, and the API keys with which they call; revokes keys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, listed, tell
from payonce.cli.stack import USAGE_PLAN_VARIABLE
from payonce.cli.support import add_table_options, application_of, shown
from payonce.domain.errors import BodyMalformed, NotFound, StoreUnavailable, WriteConflict
from payonce.extras import needs
from payonce.merchants.api_keys import SCOPES, hash_api_key
from payonce.merchants.directory import list_keys, list_merchants
from payonce.ports import Table
from payonce.wiring.aws_clients import client_config

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.merchants.api_keys import Merchants
    from payonce.merchants.directory import ApiKeyView, Listed, MerchantView
    from payonce.wiring.application import Application

TABLES = (Table.MERCHANTS,)
DEFAULT_LIMIT = 50
REVOKED = "revoked; the authorizer's cache forgets it within a minute"


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
    revoke = keys.add_parser("revoke", help="revoke an API key: by its id, or the key itself from standard input")
    revoke.add_argument("key_id", nargs="?", metavar="KEY", help="key_..., as listed; needs --merchant")
    revoke.add_argument("--merchant", dest="merchant_id", metavar="MERCHANT", help="whose key it is, with KEY")
    merchants_list = merchants.add_parser("list", help="list merchants, oldest first")
    keys_list = keys.add_parser("list", help="list a merchant's API keys, without the keys themselves")
    keys_list.add_argument("merchant_id", metavar="MERCHANT")
    for command in (merchants_list, keys_list):
        command.add_argument(
            "--limit", type=int, default=DEFAULT_LIMIT, help=f"at most so many (default {DEFAULT_LIMIT}, at most 100)"
        )
        command.add_argument("--after", metavar="ID", help="begin after this one: the next page")
    for command in (merchant, key, revoke, merchants_list, keys_list):
        add_table_options(command, TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    application = application_of(options, environment, TABLES)
    merchants = application.merchants
    if options.action == "list":
        return _list(application, options)
    if options.action == "revoke":
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


def _list(application: Application, options: argparse.Namespace) -> int:
    page: Listed[MerchantView] | Listed[ApiKeyView]
    if options.command == "merchants":
        merchants = page = list_merchants(application.database, limit=options.limit, after=options.after)
        lines = [
            f"{each.merchant_id}  {shown(each.created_at_ms)}  {each.gateway or 'default'}  {each.name}"
            for each in merchants.data
        ]
        following = "payonce merchants list"
    else:
        keys = page = list_keys(application.database, options.merchant_id, limit=options.limit, after=options.after)
        lines = [_key_line(each) for each in keys.data]
        following = f"payonce keys list {options.merchant_id}"
    if page.next_after is not None:
        lines.append(f"there are more: {following} --limit {options.limit} --after {page.next_after}")
    tell(options, listed(page.data, next_after=page.next_after), "\n".join(lines) or "none")
    return Exit.DONE


def _key_line(key: ApiKeyView) -> str:
    standing = "in force" if key.enabled else f"revoked {shown(key.revoked_at_ms)}"
    scopes = "all scopes" if set(key.scopes) == set(SCOPES) else ",".join(key.scopes)
    return f"{key.key_id}  {shown(key.created_at_ms)}  {standing}  {key.holder or '-'}  {scopes}"


def _revoke(merchants: Merchants, options: argparse.Namespace) -> int:
    if bool(options.key_id) != bool(options.merchant_id):
        raise BodyMalformed("Name the key's id and its --merchant, or neither and write the key to standard input.")
    if options.key_id:
        merchants.revoke_key_of(options.merchant_id, options.key_id)
        tell(options, {"revoked": True}, REVOKED)
        return Exit.DONE
    try:
        merchants.revoke_api_key(hash_api_key(sys.stdin.readline().strip()))
    except WriteConflict:
        raise NotFound("There is no such API key. It is read from standard input, as it was shown: po_...") from None
    tell(options, {"revoked": True}, REVOKED)
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
