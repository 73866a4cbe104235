"""``idempotency-keys show`` and ``release``: show the state of an idempotency key, and release its claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.cli.output import Exit, listed, tell
from payonce.cli.support import add_config_option, add_table_options, application_of, desk_of_config, shown
from payonce.domain.errors import NotFound
from payonce.idempotency.inspect import IdempotencyRecordView, KeyState, inspect_keys
from payonce.idempotency.keys import record_id
from payonce.idempotency.release import ReleaseOrder
from payonce.payments.operations import REFERENCES
from payonce.ports import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from payonce.wiring.application import Application
    from payonce.wiring.proxy import SidecarDesk

SHOW_TABLES = (Table.IDEMPOTENCY, Table.AUDIT)
# A release undoes the claim's reservations, and writes the payment, its event and the audit trail.
RELEASE_TABLES = (*SHOW_TABLES, Table.PAYMENTS, Table.OUTBOX)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``idempotency-keys``."""
    key = commands.add_parser("idempotency-keys")
    actions = key.add_subparsers(dest="key_command", required=True, metavar="COMMAND")
    show = actions.add_parser("show", help="show state, owner, lease, times and history, and what to do next")
    release = actions.add_parser("release", help="give an open claim back, so that its key may be used again")
    for action in (show, release):
        action.add_argument("key", metavar="KEY", help="the idempotency key, as the merchant sent it")
        action.add_argument("--merchant", required=True, help="the merchant's id, or the scope at a sidecar")
        add_config_option(action)
    show.add_argument("--operation", help="such as create_payment (default: every operation of the API)")
    add_table_options(show, SHOW_TABLES)
    release.add_argument("--operation", required=True, help="such as create_payment")
    release.add_argument("--claim-id", required=True, help="as shown: a newer claim is not released")
    release.add_argument("--fence", required=True, type=int, help="as shown: a newer owner is not released")
    release.add_argument("--operator", required=True, help="who you are, for the audit trail")
    release.add_argument("--reason", required=True, help="why, for the audit trail")
    release.add_argument("--force", action="store_true", help="although the lease runs: its process is certainly gone")
    release.add_argument("--checked-at-gateway", default="", metavar="FINDING", help="what you found there: nothing")
    add_table_options(release, RELEASE_TABLES)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    if not options.key.isascii():
        raise NotFound("An idempotency key is ASCII; there is no such key.")
    if options.config:
        desk = desk_of_config(options.config, environment)
        return _show(desk, options, desk.operations) if options.key_command == "show" else _release(desk, options)
    if options.key_command == "show":
        # Imported here: the routes need packages that only this command does.
        from payonce.entrypoints.routes import KEYED_OPERATIONS

        return _show(application_of(options, environment, SHOW_TABLES), options, KEYED_OPERATIONS)
    return _release(application_of(options, environment, RELEASE_TABLES), options)


def _show(application: Application | SidecarDesk, options: argparse.Namespace, known: Sequence[str]) -> int:
    now_ms = application.clock.now_ms()
    operations = [options.operation] if options.operation else known
    views = inspect_keys(
        application.store, application.audit_trail, options.merchant, operations, [options.key], now_ms=now_ms
    )
    if not views:
        raise NotFound("This merchant has not used this key, or its records were deleted.")
    text, data = "", []
    for view in views:
        stored_id = record_id(options.merchant, view["operation"], options.key)
        record = application.store.get(stored_id)
        reference = "" if record is None else ", ".join(record.plan.get(REFERENCES, ()))
        text += "\n".join(lines_of(view, reference, now_ms)) + "\n"
        history = list(application.audit_trail.history(stored_id))
        for entry in history:
            why = f": {entry.reason}" if entry.reason else ""
            text += (
                f"  {shown(entry.at_ms)}  {entry.transition.value:<10}  fence {entry.fence}  {entry.principal}{why}\n"
            )
        text += "\n"
        data.append({**view, "gateway_reference": reference, "next": next_step(view, now_ms), "history": history})
    tell(options, listed(data), text)
    return Exit.DONE


def lines_of(view: IdempotencyRecordView, reference: str, now_ms: int) -> list[str]:
    """Return the lines that show a key. ``reference`` is the reference to look up at the gateway, "" if none."""
    doubtful = view["state"] is KeyState.IN_DOUBT
    status = "-" if view["response_status"] is None else str(view["response_status"])
    return [
        f"operation      {view['operation']}",
        f"state          {view['state']}",
        f"claim id       {view['claim_id']}",
        f"fence          {view['fence']} (owners so far: {view['attempts']})",
        f"{'asked again    ' if doubtful else 'lease ends     '}{shown(view['lease_expires_at_ms'])}",
        f"resource       {view['resource'] or '-'}",
        *([f"at gateway     {reference}"] if reference else []),
        f"response       {status}{' (provisional)' if doubtful else ''}",
        f"created        {shown(view['created_at_ms'])}",
        f"replays until  {shown(view['expires_at_ms'])}",
        f"deleted        {shown(view['purge_at_ms'])}",
        f"fingerprint    {view['fingerprint'] or '-'}",
        f"next           {next_step(view, now_ms)}",
    ]


def next_step(view: IdempotencyRecordView, now_ms: int) -> str:
    """Return what happens next automatically, and what a person can do."""
    until = shown(view["lease_expires_at_ms"])
    lease_over = (view["lease_expires_at_ms"] or 0) < now_ms
    match view["state"]:
        case KeyState.IN_PROGRESS if not lease_over:
            return f"its owner works until {until}; copies of the request wait for it"
        case KeyState.IN_PROGRESS:
            return f"its owner is gone since {until}; the next retry, or recovery within a minute, takes over and asks"
        case KeyState.IN_DOUBT if not lease_over:
            return f"in doubt: recovery asks the gateway again at {until}"
        case KeyState.IN_DOUBT:
            return f"in doubt: was to be asked about at {until}; recovery does it within a minute, or is failing"
        case KeyState.COMPLETED:
            return f"executed: replayed until {shown(view['expires_at_ms'])}; never released"
        case KeyState.EXPIRED if view["expires_at_ms"] is None:
            return "executed long ago and forgotten: a request with this key would be a new one"
        case KeyState.EXPIRED:
            return f"executed: answers 409 until {shown(view['purge_at_ms'])}; a new operation needs a new key"
        case KeyState.RELEASED:
            return "given back, nothing was executed: the key may be used again"


def _release(application: Application | SidecarDesk, options: argparse.Namespace) -> int:
    order = ReleaseOrder(
        record_id=record_id(options.merchant, options.operation, options.key),
        claim_id=options.claim_id,
        fence=options.fence,
        operator=options.operator,
        reason=options.reason,
        finding=options.checked_at_gateway,
        force=options.force,
    )
    by = application.release_desk.release(order)
    document = {"released": True, "operator": by.operator, "at_ms": by.at_ms}
    tell(options, document, f"released by {by.operator} at {shown(by.at_ms)}; the key may be used again")
    return Exit.DONE
