"""Dataclasses of plain numbers to and from JSON, strictly: anything else is refused."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(value: DataclassInstance) -> dict[str, Any]:
    """Field by field, not deep: for dataclasses of numbers, booleans, None and lists of numbers, all with defaults."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def from_json[T: DataclassInstance](kind: type[T], stored: Any) -> T:
    """The inverse of ``to_json``. Raises ``ValueError`` when ``stored`` is not what ``to_json`` makes of a ``kind``."""
    wanted = {field.name for field in fields(kind)}
    if not isinstance(stored, dict) or set(stored) != wanted:
        raise ValueError(f"not a stored {kind.__name__}")
    usual = kind()
    for name, item in stored.items():
        default = getattr(usual, name)
        if isinstance(item, list) != isinstance(default, list) or (item is None and default is not None):
            raise ValueError(f"{kind.__name__}.{name} is of another kind")
        for number in item if isinstance(item, list) else (item,):
            if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
                raise ValueError(f"{kind.__name__}.{name} is not a finite number")
    return kind(**stored)
