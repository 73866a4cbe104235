"""``up``, ``down``, ``demo`` and ``status``: the local cloud of a checkout, and how a stack stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from payonce.cli import local_stack
from payonce.cli.output import Exit, tell, wants_json
from payonce.domain.errors import MisconfiguredError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

LOOKS_ITSELF = True  # `status` says itself what of a stack can't be read
MAKE_INTERRUPTED = -2
WITHOUT_CHECKOUT = (
    "The local cloud runs from a checkout: it builds and deploys template.yaml. Clone the repository, and run this "
    "inside it. To operate a stack on AWS, name it with --stack; `payonce doctor` says what is missing."
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of ``up``, ``down``, ``status`` and ``demo``."""
    for name in ("up", "down", "status", "demo"):
        commands.add_parser(name)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    if options.command == "status":
        return _status(options, environment)
    checkout = local_stack.checkout()
    if checkout is None:
        raise MisconfiguredError(WITHOUT_CHECKOUT)
    if shutil.which("make") is None:
        raise MisconfiguredError("make is not installed. Install it, as with `apt-get install make`.")
    # What make prints is for people: with --json it goes to standard error.
    output = sys.stderr if wants_json(options) else None
    sys.stdout.flush()
    command = ["make", "--no-print-directory", "-C", str(checkout), options.command]
    code = subprocess.run(command, stdout=output, check=False, env=_clean(environment)).returncode  # noqa: S603
    if code in {MAKE_INTERRUPTED, Exit.INTERRUPTED}:
        return Exit.INTERRUPTED
    if code == 0 and wants_json(options):
        tell(options, local_document(environment), "")
    return Exit.DONE if code == 0 else Exit.NOT_REACHED


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables of an outer make, which would share its job slots."""
    return {name: value for name, value in environment.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}


def running(folder: Path | None) -> list[str]:
    """Return the names of the local cloud's processes that run: those of its pid files that live."""
    names = []
    for file in sorted(folder.glob("*.pid")) if folder else []:
        pid = file.read_text().partition(" ")[0]
        if pid.isdecimal() and _lives(int(pid)):
            names.append(file.stem)
    return names


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def local_document(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what runs of the local cloud on the environment's port."""
    checkout = local_stack.checkout()
    return {
        "checkout": str(checkout) if checkout else None,
        "endpoint": local_stack.endpoint_url(environment),
        "running": running(local_stack.folder_of(environment)),
        "stack": local_stack.STACK,
    }


def _status(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    local = local_document(environment)
    what = f"runs: {', '.join(local['running'])}" if local["running"] else "is not running; payonce up starts it"
    lines = [f"local cloud  {local['endpoint']} {what}"]
    if not options.stack:
        lines.append("stack        none is named: --stack NAME or PAYONCE_STACK")
        tell(options, {"local": local, "stack": None}, "\n".join(lines))
        return Exit.DONE if local["running"] else Exit.FOUND
    from payonce.cli import stack

    described = stack.describe(options.stack)
    found = stack.found_in(described, environment)
    serving = described["StackStatus"] in stack.SERVING
    document = {
        "name": options.stack,
        "status": described["StackStatus"],
        "serving": serving,
        "api_url": found.get(stack.API_VARIABLE),
        "routing_mode": found.get("PAYONCE_ROUTING_MODE"),
        "default_gateway": found.get("PAYONCE_DEFAULT_GATEWAY"),
        "outputs": {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])},
    }
    lines += [
        f"stack        {options.stack} {described['StackStatus']}{'' if serving else ': payonce doctor'}",
        f"API          {document['api_url'] or '-'}",
        f"gateway      {document['default_gateway'] or '-'}; routing {document['routing_mode'] or '-'}",
    ]
    tell(options, {"local": local, "stack": document}, "\n".join(lines))
    return Exit.DONE if serving else Exit.FOUND
