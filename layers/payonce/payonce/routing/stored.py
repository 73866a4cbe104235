"""Dataclasses of plain numbers to and from JSON, strictly: anything else is refused."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(value: DataclassInstance) -> dict[str, Any]:
    """Field by field, not deep: for dataclasses of numbers, strings, booleans, None and lists of numbers."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def from_json[T: DataclassInstance](kind: type[T], stored: Any) -> T:
    """The inverse of ``to_json``. Raises ``ValueError`` when ``stored`` is not what ``to_json`` makes of a ``kind``."""
    wanted = {field.name for field in fields(kind)}
    if not isinstance(stored, dict) or set(stored) != wanted:
        raise ValueError(f"not a stored {kind.__name__}")
    for name, item in stored.items():
        for number in item if isinstance(item, list) else (item,):
            if number is not None and not isinstance(number, int | float | str):
                raise ValueError(f"{kind.__name__}.{name} holds a {type(number).__name__}")
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{kind.__name__}.{name} is not finite")
    return kind(**stored)
