"""What a command writes: text for people, or with ``--json`` one document for programs; and its exit codes."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

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


class OutputLost(Exception):
    """What a command found or did could not be written: the reader knows nothing of it."""


def tell(options: argparse.Namespace, document: Any, text: str) -> None:
    """Write ``document`` if the command was given ``--json``, else ``text``. Both end with a new line.

    A reader that has gone does not end the command: its exit code and what it writes to standard error still count.
    """
    with flushed():
        if wants_json(options):
            sys.stdout.write(json_text(document, sys.stdout) + "\n")
        elif text:
            sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


@contextmanager
def flushed() -> Iterator[None]:
    """Flush standard output at the end: here, and not when Python ends, whose complaint would be the last word.

    A reader that has gone has seen enough. Raises ``OutputLost`` when the output can't be kept, as on a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`
        stop_writing()
    except OSError as error:
        stop_writing()
        raise OutputLost(f"Standard output can't be written: {error.strerror}.") from error


def stop_writing() -> None:
    """Write nothing more to standard output, which nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def json_text(document: Any, stream: TextIO, *, indent: int | None = None) -> str:
    """Return ``document`` as JSON; letters that the encoding of ``stream`` may lack as JSON escapes them."""
    letters = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(as_json(document), ensure_ascii=not letters, indent=indent)


def open_what_is_closed() -> None:
    """Give a command that was started without standard output or standard error one that keeps nothing."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the command
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the command


def escape_what_it_lacks(stream: TextIO) -> None:
    """Let ``stream`` write letters that its encoding lacks as escapes, as standard error does.

    They would be an error after the payment was made, of which the exit code has to tell.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


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
