"""What a command writes: text for people, or with ``--json`` one document for programs; and its exit codes."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


class Exit(IntEnum):
    """The exit codes of every command; docs/command.md has them for people.

    The kinds are those of the AWS CLI (https://docs.aws.amazon.com/cli/latest/topic/return-codes.html), which tells a
    wrong word from a missing environment, with small numbers as of gh
    (https://cli.github.com/manual/gh_help_exit-codes), and one more for what only payments have: not known.
    """

    DONE = 0
    FOUND = 1
    REFUSED = 2
    NOT_REACHED = 3
    UNKNOWN = 4
    INTERRUPTED = 130


def tell(options: argparse.Namespace, document: Any, text: str) -> None:
    """Write ``document`` if the command was given ``--json``, else ``text``. Both end with a new line."""
    if wants_json(options):
        sys.stdout.write(json.dumps(as_json(document), ensure_ascii=False) + "\n")
    elif text:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def wants_json(options: argparse.Namespace) -> bool:
    """Return whether ``--json`` was given. ``reconcile --json FILE`` is another option: it names a file."""
    return getattr(options, "json", False) is True


def listed(items: Iterable[Any], **more: Any) -> dict[str, Any]:
    """Return the document of a list: its items are in ``data``, as in the API's lists."""
    return {"data": list(items), **more}


def as_json(value: Any) -> Any:
    """Return ``value`` with the types of JSON: a record becomes an object of its fields, bytes become base64."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(as_json(name)): as_json(each) for name, each in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(map(as_json, value))
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Path) else value
