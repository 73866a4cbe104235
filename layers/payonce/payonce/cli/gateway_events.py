"""``gateway-events list``, ``show`` and ``retry``: what became of the events that gateways posted."""

from __future__ import annotations

import sys
from itertools import product
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_table_options, application_of, shown
from payonce.domain.errors import MisconfiguredError, NotFound
from payonce.notices.kept import LISTED, NoticeState, find_notice, key_of, listed_notices, notice_of
from payonce.notices.message import ApplyMessage
from payonce.paging import every_item
from payonce.ports import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from payonce.notices.kept import KeptNotice
    from payonce.wiring.application import Application

TABLES = (Table.NOTICES,)
PAGE_SIZE = 100


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``gateway-events``."""
    events = commands.add_parser("gateway-events")
    actions = events.add_subparsers(dest="gateway_events_command", required=True, metavar="COMMAND")
    listing = actions.add_parser("list", help="list those about nothing we know, or that could not be applied")
    listing.add_argument("--state", choices=sorted(LISTED), help="only these (default: both)")
    listing.add_argument("--gateway", help="only this gateway's (default: of every one that is configured)")
    show = actions.add_parser("show", help="show an event: what it names, and what has become of it")
    show.add_argument("--body", action="store_true", help="write the bytes as they came, and nothing else")
    retry = actions.add_parser("retry", help="apply an event again, which changes nothing twice")
    for action in (show, retry):
        action.add_argument("gateway", metavar="GATEWAY", help="the name in the setting Gateways, or NAME@MERCHANT")
        action.add_argument("event_id", metavar="ID", help="the gateway's id of the event")
    for action in (listing, show, retry):
        add_table_options(action, TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    application = application_of(options, environment, TABLES)
    if options.gateway_events_command == "list":
        return _list(application, options)
    kept = find_notice(application.database, key_of(options.gateway, options.event_id))
    if kept is None:
        raise NotFound("There is no such event. Events are kept for 90 days.")
    if options.gateway_events_command == "show":
        return _show(kept, options)
    return _retry(application, kept, options)


def _list(application: Application, options: argparse.Namespace) -> int:
    gateways = [options.gateway] if options.gateway else sorted(application.settings.gateways)
    if not gateways:
        raise MisconfiguredError("Name a gateway with --gateway, or set PAYONCE_GATEWAYS.")
    states = sorted(LISTED) if options.state is None else [NoticeState(options.state)]
    kept = [each for gateway, state in product(gateways, states) for each in _listed(application, gateway, state)]
    lines = [
        f"{shown(each.received_at_ms)}  {each.state:<7}  {each.posted_to}  {each.notice.notice_id}  "
        f"{each.notice.type}  {each.reason}\n"
        for each in kept
    ]
    tell(options, listed(kept), "".join(lines))
    sys.stderr.write(f"{len(kept)} event{'' if len(kept) == 1 else 's'}\n")
    return Exit.DONE


def _listed(application: Application, gateway: str, state: NoticeState) -> Iterator[KeptNotice]:
    return map(
        notice_of,
        every_item(lambda start: listed_notices(application.database, gateway, state, limit=PAGE_SIZE, start=start)),
    )


def _show(kept: KeptNotice, options: argparse.Namespace) -> int:
    if options.body:
        sys.stdout.buffer.write(kept.body)
        return Exit.DONE
    notice = kept.notice
    lines = [
        f"gateway    {kept.posted_to}",
        f"account    {notice.account or '-'}",
        f"event      {notice.notice_id}",
        f"type       {notice.type}",
        f"created    {shown(notice.created_at_ms)}",
        f"received   {shown(kept.received_at_ms)}",
        f"state      {kept.state}",
        f"since      {shown(kept.ended_at_ms)}",
        f"reason     {kept.reason or '-'}",
        f"reference  {notice.gateway_reference or '-'}",
        f"payment    {notice.payment_id or '-'}",
        f"charge     {notice.gateway_charge_id or '-'}",
        f"bytes      {len(kept.body)}",
    ]
    tell(options, kept, "\n".join(lines))
    return Exit.DONE


def _retry(application: Application, kept: KeptNotice, options: argparse.Namespace) -> int:
    url = application.settings.notice_queue_url
    if not url:
        raise MisconfiguredError(
            "Name the stack with --stack or PAYONCE_STACK, or its queue with PAYONCE_GATEWAY_EVENT_QUEUE_URL."
        )
    from payonce.aws.sqs import SqsQueue

    SqsQueue(application.sqs_client, url).send([ApplyMessage(kept.notice_key).to_queue()])
    tell(options, {"event": kept.notice.notice_id, "queued": True}, f"{kept.notice.notice_id} is queued")
    return Exit.DONE
