"""DynamoDB's limits on values, keys, sizes and shapes of requests. Exceeding one is the caller's defect.

The adapter in memory applies them too, so that the first test that exceeds one fails, and not the first merchant's
request. Every function raises ``StoreRequestInvalid``. The figures come from "Quotas in Amazon DynamoDB":
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import StoreRequestInvalid
from payonce.ports import Adjust, Delete, Insert
from payonce.stores.schema import SCHEMAS, primary_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Key, Table, Write

MAX_ITEM_BYTES = 400 * 1024  # including attribute names
MAX_KEY_BYTES = (2048, 1024)  # of a partition key and of a sort key, also in indexes
MAX_NAME_BYTES = 65_535
MAX_NESTING = 31  # lists and maps inside each other; DynamoDB counts 32, including the item itself
MAX_DIGITS = 38
MAX_WRITES = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
MAX_KEYS = 100
_ELEMENT_BYTES = 1  # per element of a list or map; the list or map itself takes three bytes
_CONTAINER_BYTES = 3


def storable(value: Any, *, depth: int = 0) -> Any:
    """Return a copy of the value as the database returns it: a tuple as a list, an enum member as its value.

    Refuses types that are not the port's (such as floats and sets), texts that are not UTF-8, and numbers of more than
    38 digits.
    """
    match value:
        case None | bool():
            return value
        case int():
            return _number(int(value))
        case str():
            _bytes_of(value)
            return str(value)
        case bytes():
            return bytes(value)
        case list() | tuple():
            _require(depth < MAX_NESTING, f"is nested deeper than {MAX_NESTING} levels")
            return [storable(each, depth=depth + 1) for each in value]
        case Mapping():
            _require(depth < MAX_NESTING, f"is nested deeper than {MAX_NESTING} levels")
            _require(all(isinstance(name, str) for name in value), "has a name that is no text")
            return {str(name): storable(each, depth=depth + 1) for name, each in value.items()}
    raise StoreRequestInvalid(f"A {type(value).__name__} can't be stored.")


def same(stored: Any, value: Any) -> bool:
    """Return whether two stored values have equal value and type: ``True`` is not 1 there."""
    if isinstance(stored, dict) and isinstance(value, dict):
        return stored.keys() == value.keys() and all(same(stored[name], value[name]) for name in stored)
    if isinstance(stored, list) and isinstance(value, list):
        return len(stored) == len(value) and all(map(same, stored, value))
    return type(stored) is type(value) and bool(stored == value)


def checked_item(table: Table, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item in its stored form, or refuse it."""
    stored = {_name(name): storable(value) for name, value in item.items()}
    check_key(table, {name: stored[name] for name in SCHEMAS[table].key if name in stored})
    _check_index_attributes(table, stored)
    size = item_bytes(stored)
    _require(size <= MAX_ITEM_BYTES, f"has an item of {size} bytes; at most {MAX_ITEM_BYTES} are stored")
    return stored


def check_key(table: Table, key: Mapping[str, Any]) -> None:
    """Refuse a key with other attributes than the table's, or with texts outside 1-2,048 and 1-1,024 bytes."""
    names = SCHEMAS[table].key
    _require(set(key) == set(names), f"has not the key attributes of {table.value}: {', '.join(names)}")
    for name, most in zip(names, MAX_KEY_BYTES, strict=False):
        _check_key_text(name, key[name], most)


def check_keys(table: Table, keys: Sequence[Key]) -> None:
    """Refuse to read zero keys, more than 100, or the same key twice."""
    _require(0 < len(keys) <= MAX_KEYS, f"asks for {len(keys)} keys; 1 to {MAX_KEYS} are read at once")
    for key in keys:
        check_key(table, key)
    _require(len({primary_key(table, key) for key in keys}) == len(keys), "asks for one key twice")


def check_targets(writes: Sequence[Write]) -> None:
    """Refuse zero writes, more than 100, and two for one item, which DynamoDB Local reports as a failed condition."""
    _require(0 < len(writes) <= MAX_WRITES, f"has {len(writes)} writes; a transaction takes 1 to {MAX_WRITES}")
    targets = set()
    for write in writes:
        key = write.item if isinstance(write, Insert) else write.key
        targets.add((write.table, tuple(str(key.get(name)) for name in SCHEMAS[write.table].key)))
    _require(len(targets) == len(writes), "writes one item twice in one transaction")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse what ``check_targets`` refuses, and each write that DynamoDB refuses before it reads the item."""
    check_targets(writes)
    for write in writes:
        match write:
            case Insert(table, item):
                checked_item(table, item)
            case Delete(table=table, key=key, require=require):
                check_key(table, key)
                storable(require)
            case Adjust(table=table, key=key):
                check_key(table, key)
                _check_adjust(write)


def check_transaction_bytes(items: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a transaction whose items exceed 4 MB together."""
    size = sum(map(item_bytes, items))
    _require(size <= MAX_TRANSACTION_BYTES, f"has items of {size} bytes; a transaction takes {MAX_TRANSACTION_BYTES}")


def check_query(
    table: Table,
    index: str | None,
    partition: tuple[str, str],
    bounds: Sequence[tuple[str, int | str]],
    *,
    prefixed: bool,
    limit: int,
    start: Mapping[str, Any] | None,
) -> None:
    """Refuse a query that its table or index can't answer. ``bounds`` is the prefix, or the lower and upper bound."""
    _require(index is None or index in SCHEMAS[table].indexes, f"asks for an index that is none: {index}")
    names = SCHEMAS[table].key if index is None else SCHEMAS[table].indexes[index]
    _require(limit > 0, f"asks for {limit} items")
    _require(partition[0] == names[0], f"asks for {partition[0]}, but the partition is by {names[0]}")
    _check_key_text(names[0], partition[1], MAX_KEY_BYTES[0])
    for name, bound in bounds:
        _require(len(names) > 1 and name == names[1], f"is bounded by {name}, which it is not sorted by")
        numeric = name in SCHEMAS[table].numbers
        _require(type(bound) is (int if numeric else str), f"compares {name} with another type")
        _require(not (prefixed and numeric), f"asks for a prefix of the number {name}")
        if not numeric:
            _check_key_text(name, bound, MAX_KEY_BYTES[1])
    if len(bounds) > 1:
        _require(not prefixed, "has a prefix beside a bound")
        _require(bounds[0][1] <= bounds[-1][1], "is bounded from below above its upper bound")  # type: ignore[operator]
    if start is not None:
        _require(set(start) == {*SCHEMAS[table].key, *names}, "starts at what is no key of it")


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return the size of an item as DynamoDB counts it, in bytes: its names and its values."""
    return sum(len(_bytes_of(name)) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Any) -> int:
    match value:
        case None | bool():
            return 1
        case int():
            digits = len(str(abs(value)).rstrip("0")) or 1
            return (digits + 1) // 2 + (2 if value < 0 else 1)
        case str():
            return len(_bytes_of(value))
        case bytes():
            return len(value)
        case list():
            return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + _value_bytes(each) for each in value)
    return _CONTAINER_BYTES + _ELEMENT_BYTES * len(value) + item_bytes(value)


def _check_adjust(write: Adjust) -> None:
    changed = [*write.set, *write.add, *write.remove]
    for name in changed:
        _name(name)
    _require(bool(changed), "changes nothing")
    _require(len(set(changed)) == len(changed), "changes one attribute twice")
    _require(not set(changed) & set(SCHEMAS[write.table].key), "changes a part of the key")
    numbers = [*write.add.values(), *write.minimum.values()]
    _require(all(type(number) is int for number in numbers), "adds or compares what is no number")
    storable(write.require)
    checked = {name: storable(value) for name, value in write.set.items()}
    _check_index_attributes(write.table, checked)
    texts = {name for index in SCHEMAS[write.table].indexes.values() for name in index} - SCHEMAS[write.table].numbers
    _require(not texts & set(write.add), "adds to a text of an index")


def _check_index_attributes(table: Table, attributes: Mapping[str, Any]) -> None:
    schema = SCHEMAS[table]
    for index in schema.indexes.values():
        for name, most in zip(index, MAX_KEY_BYTES, strict=True):
            if name in attributes and name in schema.numbers:
                _require(type(attributes[name]) is int, f"has a {name} that is no number, which an index is sorted by")
            elif name in attributes:
                _check_key_text(name, attributes[name], most)


def _check_key_text(name: str, value: Any, most: int) -> None:
    _require(isinstance(value, str), f"has a {name} that is no text")
    _require(0 < len(_bytes_of(value)) <= most, f"has a {name} that has not 1 to {most} bytes")


def _name(name: str) -> str:
    _require(isinstance(name, str) and 0 < len(_bytes_of(name)) <= MAX_NAME_BYTES, "has an attribute without a name")
    return str(name)


def _number(value: int) -> int:
    _require(abs(value) < 10**MAX_DIGITS, f"has a number of more than {MAX_DIGITS} digits")
    return value


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StoreRequestInvalid("A text that is not UTF-8 can't be stored.") from error


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise StoreRequestInvalid(f"The request to the database {what}.")
