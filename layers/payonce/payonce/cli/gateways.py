"""``gateways list``: the gateways that a stack is configured with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.cli.output import Exit, listed, tell
from payonce.domain.errors import MisconfiguredError
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``gateways``."""
    gateways = commands.add_parser("gateways").add_subparsers(dest="action", required=True, metavar="COMMAND")
    gateways.add_parser("list", help="each one's adapter, address, methods and static weight; no credentials")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """List them and return the exit code. Raises ``MisconfiguredError`` if no gateways are known here."""
    if not environment.get("PAYONCE_GATEWAYS"):
        raise MisconfiguredError("Name the stack with --stack or PAYONCE_STACK, or set PAYONCE_GATEWAYS.")
    settings = load_settings(environment)
    data: list[dict[str, Any]] = [
        {
            "name": each.name,
            "kind": each.kind,
            "default": each.name == settings.default_gateway,
            "static_weight": settings.routing.neutral.get(each.name, 0.0),
            "payment_method_types": sorted(each.payment_method_types),
            "recovery_requests_per_second": each.recovery_requests_per_second,
            "options": dict(each.options),
        }
        for each in settings.gateways.values()
    ]
    lines = [
        f"{each['name']:<20}  {each['kind']:<14}  weight {each['static_weight']:.2f}  "
        f"{', '.join(each['payment_method_types'])}{'  (default)' if each['default'] else ''}\n"
        for each in data
    ]
    tell(options, listed(data), "".join(lines) or "no gateway is configured: docs/operations.md#gateways")
    return Exit.DONE
