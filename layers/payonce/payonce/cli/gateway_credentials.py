"""``gateway-credentials set``, ``list``, ``rotate`` and ``remove``: whose account a merchant's payments are made with.

Secrets are read from standard input or a file, as a JSON object ``{"api_key": "…", "events_secrets": ["…"]}``: never
from the arguments, which every process of the machine can read. None is ever written anywhere but sealed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_table_options, application_of, audited_act, shown
from payonce.domain.errors import CredentialsRejected, MisconfiguredError, NotFound
from payonce.domain.principals import operator_of
from payonce.gateways.account_forms import check_account, check_api_key, check_events_secrets
from payonce.merchants.credential_cache import CREDENTIALS_LIFE_SECONDS
from payonce.merchants.credentials_desk import CredentialsDesk
from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets
from payonce.ports import Deadline, Table, TellsAccount
from payonce.wiring.notices import reader_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.ports import Write
    from payonce.wiring.application import Application

READING_TABLES = (Table.CREDENTIALS,)
TABLES = (Table.CREDENTIALS, Table.MERCHANTS, Table.AUDIT)  # each act is audited in its own transaction
MAX_DOCUMENT_BYTES = 16 * 1024
ASK_TIMEOUT_MS = 15_000
_MEMBERS = frozenset({"api_key", "events_secrets"})


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``gateway-credentials``."""
    credentials = commands.add_parser("gateway-credentials")
    actions = credentials.add_subparsers(dest="credentials_command", required=True, metavar="COMMAND")
    setting = actions.add_parser("set", help="put an account into use for a merchant's new payments")
    setting.add_argument("--account", required=True, help="the account's id at the gateway, such as acct_…")
    setting.add_argument("--connected", action="store_true", help="it is used by the platform's key (Stripe Connect)")
    rotating = actions.add_parser("rotate", help="replace an account's key or the secrets of its events")
    rotating.add_argument("--account", default="", help="default: the one in use")
    listing = actions.add_parser("list", help="show the accounts, a fingerprint of each key, and since when")
    removing = actions.add_parser("remove", help="let new payments go to the platform's account again")
    removing.add_argument("--forget", metavar="ACCOUNT", help="delete the secrets of an account that was retired")
    for action in (setting, rotating, listing, removing):
        action.add_argument("merchant_id", metavar="MERCHANT")
        action.add_argument("gateway", metavar="GATEWAY", help="the gateway's name in the setting Gateways")
        add_table_options(action, READING_TABLES if action is listing else TABLES)
    for action in (setting, rotating):
        action.add_argument("--from", dest="source", help="a file with the secrets (default: standard input)")
    for action in (setting, rotating, removing):
        action.add_argument("--operator", required=True, help="who you are")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    reading = options.credentials_command == "list"
    application = application_of(options, environment, READING_TABLES if reading else TABLES)
    if options.gateway not in application.settings.gateways:
        raise MisconfiguredError(f"The gateway {options.gateway!r} is not configured.")
    desk = CredentialsDesk(database=application.database, cipher=lambda: application.cipher, clock=application.clock)
    match options.credentials_command:
        case "list":
            return _list(desk, options)
        case "set":
            return _set(application, desk, options)
        case "rotate":
            return _rotate(application, desk, options)
        case _:
            return _remove(application, desk, options)


def _list(desk: CredentialsDesk, options: argparse.Namespace) -> int:
    held, text, data = desk.accounts(options.merchant_id, options.gateway), "", []
    for name, stored in sorted(held.accounts.items(), key=lambda entry: entry[1].created_at_ms):
        standing = "in use" if name == held.current else f"retired {shown(stored.retired_at_ms)}"
        text += (
            f"{name}  {stored.kind.value}  version {stored.version}  key {stored.fingerprint or '-'}  "
            f"events secrets {stored.events_secret_count}  since {shown(stored.created_at_ms)}  "
            f"changed {shown(stored.changed_at_ms)}  {standing}\n"
        )
        data.append(
            {
                "account": name,
                "kind": stored.kind.value,
                "version": stored.version,
                "fingerprint": stored.fingerprint,
                "events_secret_count": stored.events_secret_count,
                "created_at_ms": stored.created_at_ms,
                "changed_at_ms": stored.changed_at_ms,
                "retired_at_ms": stored.retired_at_ms,
                "in_use": name == held.current,
            }
        )
    text += "" if held.current else "new payments go to the platform's account\n"
    tell(options, listed(data), text)
    return Exit.DONE


def _set(application: Application, desk: CredentialsDesk, options: argparse.Namespace) -> int:
    kind = application.settings.gateways[options.gateway].kind
    check_account(kind, options.account, connected=options.connected)
    secrets = None
    if not options.connected:
        given = _secrets_of(options, kind)
        if given.get("api_key") is None:
            raise CredentialsRejected("The secrets have no api_key.")
        secrets = AccountSecrets(given["api_key"], given.get("events_secrets") or ())
    _check_whose(application, options.gateway, options.account, None if secrets is None else secrets.api_key)
    stored = desk.set(
        options.merchant_id,
        options.gateway,
        options.account,
        AccountKind.CONNECTED if options.connected else AccountKind.OWN,
        secrets,
        beside=_audited(application, options, options.account),
    )
    return _done(
        options,
        stored.account,
        f"{stored.account} is in use, version {stored.version}, key {stored.fingerprint or '-'}",
    )


def _rotate(application: Application, desk: CredentialsDesk, options: argparse.Namespace) -> int:
    kind = application.settings.gateways[options.gateway].kind
    account = options.account or desk.accounts(options.merchant_id, options.gateway).current
    given = _secrets_of(options, kind)
    if not given:
        raise CredentialsRejected("Neither an api_key nor events_secrets are given.")
    if given.get("api_key") is not None:
        _check_whose(application, options.gateway, account, given["api_key"])
    stored = desk.rotate(
        options.merchant_id,
        options.gateway,
        account,
        api_key=given.get("api_key"),
        events_secrets=given.get("events_secrets"),
        beside=_audited(application, options, account),
    )
    return _done(options, stored.account, f"{stored.account} has version {stored.version}, key {stored.fingerprint}")


def _remove(application: Application, desk: CredentialsDesk, options: argparse.Namespace) -> int:
    where = options.merchant_id, options.gateway
    if options.forget:
        desk.forget(*where, options.forget, beside=_audited(application, options, options.forget))
        text = f"the secrets of {options.forget} are deleted; what was sent to it can't be asked about any more"
        return _done(options, options.forget, text)
    account = desk.accounts(*where).current
    stored = desk.retire(*where, beside=_audited(application, options, account))
    return _done(
        options,
        stored.account,
        f"{stored.account} is retired: what was sent to it is still asked about and refunded there",
    )


def _done(options: argparse.Namespace, account: str, text: str) -> int:
    document = {"account": account, "done": options.credentials_command, "in_force_seconds": CREDENTIALS_LIFE_SECONDS}
    tell(options, document, f"{text}; in force within {CREDENTIALS_LIFE_SECONDS} s")
    return Exit.DONE


def _audited(application: Application, options: argparse.Namespace, account: str) -> list[Write]:
    command = f"gateway_credentials.{options.credentials_command}"
    return audited_act(
        application,
        scope=options.merchant_id,
        operation=command,
        resource=f"/gateways/{options.gateway}/accounts/{account}",
        principal=operator_of(options.operator),
        reason=command,
    )


def _check_whose(application: Application, gateway: str, account: str, api_key: str | None) -> None:
    """Ask the gateway whose its key is, where no request names the account. Raises ``CredentialsRejected``.

    A key of another account would be asked about what was sent to this one, and find nothing.
    """
    adapter = application.merchant_gateways.candidate(gateway, account, api_key)
    if not isinstance(adapter, TellsAccount):
        return
    found = adapter.account_of_key(Deadline(application.clock.now_ms() + ASK_TIMEOUT_MS))
    if found != account:
        raise CredentialsRejected(f"The gateway says that this key is of {found}, not of {account}.")


def _secrets_of(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Return the given secrets, checked. Raises ``CredentialsRejected``, which never quotes them."""
    try:
        raw = Path(options.source).read_bytes() if options.source else sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise NotFound(f"The file can't be read: {error.strerror}.") from None
    try:
        document = json.loads(raw) if len(raw) <= MAX_DOCUMENT_BYTES else None
    except (ValueError, RecursionError):
        document = None  # the parser's message would quote it
    if not isinstance(document, dict) or not document.keys() <= _MEMBERS:
        raise CredentialsRejected('The secrets are a JSON object {"api_key": "…", "events_secrets": ["…"]}.')
    given: dict[str, Any] = {}
    if (api_key := document.get("api_key")) is not None:
        if not isinstance(api_key, str):
            raise CredentialsRejected("The api_key is no text.")
        check_api_key(kind, api_key)
        given["api_key"] = api_key
    if (events := document.get("events_secrets")) is not None:
        if not isinstance(events, list) or not all(isinstance(each, str) for each in events):
            raise CredentialsRejected("The events_secrets are no list of texts.")
        check_events_secrets(kind, events)
        given["events_secrets"] = tuple(events)
        _check_by_reader(kind, events)
    return given


def _check_by_reader(kind: str, events: list[str]) -> None:
    try:
        if events:
            reader_of(kind, events)
    except MisconfiguredError as error:
        raise CredentialsRejected(error.detail) from None
