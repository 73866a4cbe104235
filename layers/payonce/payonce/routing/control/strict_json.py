"""Strict readers of stored JSON: for dataclasses of plain numbers, and for the values that documents consist of."""

from __future__ import annotations

import math
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


to_json = asdict  # the inverse of ``from_json``


def from_json[T: DataclassInstance](kind: type[T], stored: Any) -> T:
    """Return a ``kind`` from its ``to_json`` form. Raises ``ValueError`` for anything else.

    Its fields have defaults, and may be numbers, booleans, None, lists of numbers, and dataclasses of the same.
    """
    wanted = {field.name for field in fields(kind)}
    if not isinstance(stored, dict) or set(stored) != wanted:
        raise ValueError(f"not a stored {kind.__name__}")
    usual, values = kind(), dict(stored)
    for name, item in stored.items():
        default = getattr(usual, name)
        if is_dataclass(default) and not isinstance(default, type):
            values[name] = from_json(type(default), item)
            continue
        if isinstance(item, list) != isinstance(default, list) or (item is None and default is not None):
            raise ValueError(f"{kind.__name__}.{name} is of another kind")
        for number in item if isinstance(item, list) else (item,):
            if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
                raise ValueError(f"{kind.__name__}.{name} is not a finite number")
    return kind(**values)


def table(stored: Any, most: int) -> dict[str, Any]:
    """Return ``stored`` if it is an object of at most ``most`` members, else raise ``ValueError``."""
    if not isinstance(stored, dict) or len(stored) > most:
        raise ValueError("not a table, or too long")
    return stored


def known(name: str, gateways: frozenset[str]) -> str:
    """Return ``name`` if it is one of the ``gateways``, else raise ``ValueError``."""
    if name not in gateways:
        raise ValueError("names a gateway that is not configured")
    return name


def number(value: Any, most: float) -> float:
    """Return a number in [0, ``most``] as a float, else raise ``ValueError``; also for NaN and oversized integers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError("not a number in its bounds")
    return float(value)


def whole(value: Any) -> int:
    """Return ``value`` if it is an integer of at least 0, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a whole number")
    return value


def text(value: Any, most: int) -> str:
    """Return a text of 1 to ``most`` printable characters, safe for a terminal, else raise ``ValueError``."""
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable() or value != value.strip():
        raise ValueError("not a short text")
    return value
