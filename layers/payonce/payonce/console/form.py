"""What a form of the console is made of: its fields, and how each is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from payonce.console.operators import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.wiring.application import Application

    type Choices = Sequence[tuple[str, str]]

_NUMBER: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_MINUTE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?", re.ASCII)


class Kind(StrEnum):
    """How a field is drawn. ``HIDDEN`` fields hold what the page knew, such as a version."""

    HIDDEN = "hidden"
    TEXT = "text"
    LONG = "long"
    NUMBER = "number"
    DECIMAL = "decimal"
    MINUTE = "minute"
    CHOICE = "choice"
    CHECK = "check"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field. ``most`` is the largest number, or the most characters. ``choices`` are (value, text) of a choice.

    ``role`` is the least that may fill it in; ``platform``: only operators of the whole platform may.
    """

    name: str
    label: str = ""
    kind: Kind = Kind.TEXT
    most: int | None = None
    least: int = 0
    required: bool = True
    hint: str = ""
    choices: Callable[[Application], Choices] | None = None
    role: Role = Role.OPERATOR
    platform: bool = False

    def input_type(self, value: str) -> str:
        """Return the type of the input that shows ``value``: one of a stricter type would show a wrong text empty."""
        if self.kind is Kind.NUMBER and (not value or _NUMBER.fullmatch(value)):
            return "number"
        if self.kind is Kind.MINUTE and (not value or _MINUTE.fullmatch(value)):
            return "datetime-local"
        return "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form. ``page`` is the path of the page it is on, with the names of its action's path. ``submit`` is its button.

    ``other`` is a second button: its name and text. ``is_grave``: the first one is drawn as dangerous.
    """

    title: str
    page: str
    submit: str
    fields: tuple[Field, ...] = ()
    other: tuple[str, str] | None = None
    is_grave: bool = False

    def field(self, name: str) -> Field:
        """Return the field. Raises ``KeyError`` for a name that the form has not."""
        return {field.name: field for field in self.fields}[name]

    @property
    def is_typed(self) -> bool:
        """Whether a person fills in anything."""
        return any(field.kind is not Kind.HIDDEN for field in self.fields)

    @property
    def has_file(self) -> bool:
        """Whether a file is sent with it."""
        return any(field.kind is Kind.FILE for field in self.fields)
