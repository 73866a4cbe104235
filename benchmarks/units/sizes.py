"""Sizes of items and how many capacity units they take, by the DynamoDB Developer Guide.

Items are as on the wire: ``{"name": {"S": "text"}}``, with binaries as base64 text or as bytes.
Sources, under docs.aws.amazon.com/amazondynamodb/latest/developerguide/: "DynamoDB item sizes and formats"
(CapacityUnitCalculations.html) and "DynamoDB read and write operations" (read-write-operations.html).
"""

from __future__ import annotations

import base64
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    type Item = Mapping[str, Mapping[str, Any]]

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
DOCUMENT_BYTES = 3  # a list or map, whatever it holds
ELEMENT_BYTES = 1  # each element of a list or map
TRANSACTION_FACTOR = 2  # one to prepare and one to commit
EVENTUAL_FACTOR = 0.5


def item_size(item: Item) -> int:
    """Return the size in bytes by which reads and writes are charged: attribute names, values and their overhead."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Return the size in bytes of one attribute's value."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return _binary_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS":
            return sum(len(member.encode()) for member in content)
        case "NS":
            return sum(_number_size(member) for member in content)
        case "BS":
            return sum(_binary_size(member) for member in content)
        case "L":
            return DOCUMENT_BYTES + sum(ELEMENT_BYTES + value_size(member) for member in content)
        case "M":
            members = content.items()
            return DOCUMENT_BYTES + sum(
                ELEMENT_BYTES + len(name.encode()) + value_size(member) for name, member in members
            )
    raise ValueError(f"{kind} is no type of an attribute")


def write_units(size: int) -> int:
    """Return the write units of one standard write of ``size`` bytes: one for each begun 1 KB, at least one."""
    return max(1, math.ceil(size / WRITE_UNIT_BYTES))


def read_units(size: int, *, factor: float = 1.0) -> float:
    """Return the read units for ``size`` bytes: one for each begun 4 KB, at least one, times ``factor``."""
    return max(1, math.ceil(size / READ_UNIT_BYTES)) * factor


def total_size(items: Iterable[Item]) -> int:
    """Return the size of what a query reads: it is rounded up once, over all items."""
    return sum(item_size(item) for item in items)


def _number_size(text: str) -> int:
    """Return one byte for every two significant digits and one more; leading and trailing zeroes do not count."""
    digits = "".join(map(str, Decimal(text).as_tuple().digits)).strip("0")
    return math.ceil(len(digits) / 2) + 1


def _binary_size(content: str | bytes) -> int:
    return len(content) if isinstance(content, bytes) else len(base64.b64decode(content))
