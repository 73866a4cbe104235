"""``sidecar``: runs the idempotency sidecar in front of a service."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from payonce.cli.output import Exit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``sidecar``."""
    command = commands.add_parser("sidecar")
    command.add_argument("--config", required=True, metavar="FILE", help="TOML or JSON file, see docs/proxy.md")


def run(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Serve until stopped. Raises ``PayonceError`` for a configuration that can't be served."""
    try:
        from payonce.wiring.sidecar import run as serve
    except ImportError as error:
        sys.stderr.write(
            f"The sidecar's packages are not installed ({error}).\nnext: pip install 'payonce[sidecar]', or "
            "requirements/sidecar.txt in a checkout\n"
        )
        return Exit.NOT_REACHED
    return serve(options.config)
