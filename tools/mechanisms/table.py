"""The table of mechanisms as data: ``table.toml``, parsed strictly, and the patch that plants a mechanism's fault."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = Path(__file__).with_name("table.toml")
SOURCES: Final = Path("layers/payonce/payonce")  # what ``file`` is relative to
PROMISES: Final = frozenset(f"P{number}" for number in range(1, 11))


class TableError(Exception):
    """The table no longer fits the code, or was never right: a defect of the table, not of the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """A mechanism, and the fault that takes it out: ``before`` becomes ``after`` in ``file``.

    ``fault`` says in words what is then missing. Each of ``tests`` (node ids) passes with the mechanism, and fails
    without it.
    """

    name: str
    promise: str
    file: str
    fault: str
    before: str
    after: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The patched file, relative to the root of the project."""
        return SOURCES / self.file


def read_table(path: Path = TABLE) -> list[Mechanism]:
    """Return the mechanisms in the file's order. Raises ``TableError`` for a malformed or a repeated entry."""
    entries = tomllib.loads(path.read_text())["mechanism"]
    wanted = {field.name for field in fields(Mechanism)}
    mechanisms = []
    for entry in entries:
        name = entry.get("name", "?")
        if set(entry) != wanted:
            raise TableError(f"{name}: an entry has exactly the members {', '.join(sorted(wanted))}")
        mechanism = Mechanism(**{**entry, "tests": tuple(entry["tests"])})
        if mechanism.promise not in PROMISES or not mechanism.tests or mechanism.before == mechanism.after:
            raise TableError(f"{name}: it needs a promise from P1 to P10, a test, and a fault that changes something")
        mechanisms.append(mechanism)
    if len({mechanism.name for mechanism in mechanisms}) != len(mechanisms):
        raise TableError("two mechanisms have the same name")
    return mechanisms


def patched(mechanism: Mechanism, source: str) -> str:
    """Return the source with the fault planted.

    Raises ``TableError`` unless ``before`` occurs exactly once and the result compiles.
    """
    found = source.count(mechanism.before)
    if found != 1:
        raise TableError(
            f"{mechanism.name}: the text to replace occurs {found} times in {mechanism.path}, not once. "
            "Follow the change of the code in table.toml."
        )
    result = source.replace(mechanism.before, mechanism.after)
    try:
        compile(result, str(mechanism.path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise TableError(f"{mechanism.name}: the planted fault does not compile: {error}") from error
    return result
