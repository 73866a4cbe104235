"""The common part of the operator's commands: table names by option or environment, times for people, audited acts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, MisconfiguredError
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from payonce.ports import Table, Write
    from payonce.wiring.proxy import SidecarDesk


def add_table_options(parser: argparse.ArgumentParser, tables: Iterable[Table]) -> None:
    """Add an option ``--<table>-table`` per table; the defaults are the functions' environment variables."""
    for table in tables:
        parser.add_argument(
            f"--{table.value}-table",
            metavar="TABLE",
            help=f"default: $PAYONCE_{table.name}_TABLE (an output of the stack)",
        )


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``, which selects the records of a sidecar."""
    parser.add_argument("--config", metavar="FILE", help="the records of the sidecar with this configuration instead")


def desk_of_config(file: str, environment: Mapping[str, str]) -> SidecarDesk:
    """Return the desk of the sidecar with this configuration file. Raises ``MisconfiguredError``."""
    from payonce.proxy.config_load import load_file
    from payonce.wiring.proxy import desk_of

    return desk_of(load_file(file, environment))


def application_of(options: argparse.Namespace, environment: Mapping[str, str], tables: Iterable[Table]) -> Application:
    """Return the application over the named tables. Raises ``MisconfiguredError`` if a table is not named."""
    named = dict(environment)
    for table in tables:
        variable = f"PAYONCE_{table.name}_TABLE"
        named[variable] = getattr(options, f"{table.value}_table", None) or named.get(variable, "")
        if not named[variable]:
            raise MisconfiguredError(
                f"Name the stack with --stack or PAYONCE_STACK, or its {table.value} table with "
                f"--{table.value}-table or {variable}."
            )
    return Application(load_settings(named))


def names_tables(options: argparse.Namespace, environment: Mapping[str, str], tables: Iterable[Table]) -> bool:
    """Return whether the options or the environment name each of the tables."""
    return all(
        getattr(options, f"{table.value}_table", None) or environment.get(f"PAYONCE_{table.name}_TABLE")
        for table in tables
    )


def time_of(text: str) -> int:
    """Return the epoch milliseconds of an ISO 8601 date or time, UTC by default. Raises ``BodyMalformed``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BodyMalformed(f"{text!r} is no time. Write 2026-11-01 or 2026-11-01T12:00:00Z.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown(at_ms: int | None) -> str:
    """Return a time for people in UTC: a dash for none, "a time out of range" beyond the calendar."""
    if not at_ms:
        return "-"
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time out of range"


def audited_act(
    application: Application,
    *,
    scope: str,
    operation: str,
    resource: str,
    principal: str,
    reason: str,
    refused: bool = False,
) -> list[Write]:
    """Return the write of an audit trail entry for an operator's act, for the transaction of that act."""
    from payonce.idempotency.audit import act_entry

    entry = act_entry(
        scope=scope,
        operation=operation,
        resource=resource,
        principal=principal,
        at_ms=application.clock.now_ms(),
        act_id=application.ids.new("act"),
        reason=reason,
        refused=refused,
    )
    return [application.audit_trail.write_of(entry)]
