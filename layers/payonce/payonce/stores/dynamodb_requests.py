"""Converts items and conditional writes to DynamoDB's request format."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from payonce.ports import Adjust, Delete, Insert, Item, Write
from payonce.stores.limits import MAX_NESTING, storable
from payonce.stores.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def to_attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item in DynamoDB's attribute-value form. Raises ``StoreRequestInvalid`` for unsupported types."""
    return {name: _attribute(value) for name, value in item.items()}


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """Return the plain item for attribute values."""
    return {name: _plain(value) for name, value in attributes.items()}


def from_stream_image(image: Mapping[str, Any]) -> Item:
    """Return the plain item for a stream record's image, as a Lambda function receives it.

    A stream record reaches a function as JSON, in which a binary is base64 text.
    """
    return {name: _plain(value, base64.b64decode) for name, value in image.items()}


def _attribute(value: Any, depth: int = 0) -> dict[str, Any]:
    """Return one value in attribute-value form. It accepts what ``storable`` accepts."""
    convert = _CONVERSIONS.get(type(value))
    return _attribute(storable(value), depth) if convert is None else convert(value, depth)


def _text(value: str, _depth: int) -> dict[str, Any]:
    return {"S": value if value.isascii() else storable(value)}


def _number(value: int, _depth: int) -> dict[str, Any]:
    return {"N": str(value if abs(value) < _ORDINARY else storable(value))}


def _list(value: list[Any], depth: int) -> dict[str, Any]:
    if depth >= MAX_NESTING:
        storable(value, depth=depth)  # refuses it
    return {"L": [_attribute(each, depth + 1) for each in value]}


def _map(value: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth >= MAX_NESTING or not all(type(name) is str for name in value):
        value = storable(value, depth=depth)
    return {"M": {name: _attribute(each, depth + 1) for name, each in value.items()}}


_ORDINARY = 10**18  # numbers below it are stored without a look at DynamoDB's limit of 38 digits
_CONVERSIONS: dict[type, Callable[[Any, int], dict[str, Any]]] = {
    str: _text,
    int: _number,
    bool: lambda value, _depth: {"BOOL": value},
    bytes: lambda value, _depth: {"B": value},
    type(None): lambda _value, _depth: {"NULL": True},
    list: _list,
    dict: _map,
}


def _plain(attribute: Mapping[str, Any], to_bytes: Callable[[Any], bytes] = bytes) -> Any:
    """Return the value of one attribute: numbers as ints, because payonce stores no fractions, binaries as bytes."""
    [(kind, value)] = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "B":
            return to_bytes(value)
        case "NULL":
            return None
        case "L":
            return [_plain(each, to_bytes) for each in value]
        case "M":
            return {name: _plain(each, to_bytes) for name, each in value.items()}
    raise TypeError(f"payonce stores no attribute of the type {kind}.")


def write_request(write: Write, table_name: str) -> tuple[str, dict[str, Any]]:
    """Return the action (Put, Update or Delete) and the parameters of one conditional write."""
    on_failure = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    match write:
        case Insert(table, item):
            return "Put", {
                "TableName": table_name,
                "Item": to_attributes(item),
                "ConditionExpression": "attribute_not_exists(#k)",
                "ExpressionAttributeNames": {"#k": SCHEMAS[table].key[0]},
                **on_failure,
            }
        case Delete(key=key, require=require):
            names, values = _Names(), _Values()
            conditions = [f"attribute_exists({names[SCHEMAS[write.table].key[0]]})"]
            conditions += [f"{names[n]} = {values[v]}" for n, v in require.items()]
            return "Delete", {
                "TableName": table_name,
                "Key": to_attributes(key),
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": names.used,
                **({"ExpressionAttributeValues": to_attributes(values.used)} if values.used else {}),
                **on_failure,
            }
        case Adjust():
            return "Update", {"TableName": table_name, **_update(write), **on_failure}


def key_condition(
    partition: tuple[str, str],
    *,
    prefix: tuple[str, str] | None,
    at_least: tuple[str, int | str] | None,
    at_most: tuple[str, int | str] | None,
) -> dict[str, Any]:
    """Return the parameters of a query that select the partition and bound the sort attribute."""
    names = {"#p": partition[0]}
    values: dict[str, Any] = {":p": partition[1]}
    condition = "#p = :p"
    if prefix is not None:
        names["#s"], values[":s"] = prefix
        condition += " AND begins_with(#s, :s)"
    elif at_least is not None and at_most is not None:
        # A key condition takes one clause for the sort attribute, so two bounds must be a BETWEEN.
        names["#s"], values[":l"], values[":m"] = at_least[0], at_least[1], at_most[1]
        condition += " AND #s BETWEEN :l AND :m"
    elif at_least is not None:
        names["#s"], values[":l"] = at_least
        condition += " AND #s >= :l"
    elif at_most is not None:
        names["#s"], values[":m"] = at_most
        condition += " AND #s <= :m"
    return {
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": to_attributes(values),
    }


class _Names:
    """Placeholders for attribute names, so that no name collides with a reserved word."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        for placeholder, known in self.used.items():
            if known == name:
                return placeholder
        placeholder = f"#n{len(self.used)}"
        self.used[placeholder] = name
        return placeholder


class _Values:
    """Placeholders for values."""

    def __init__(self) -> None:
        self.used: dict[str, Any] = {}

    def __getitem__(self, value: Any) -> str:
        placeholder = f":v{len(self.used)}"
        self.used[placeholder] = value
        return placeholder


def _update(write: Adjust) -> dict[str, Any]:
    names, values = _Names(), _Values()
    conditions = [] if write.upsert else [f"attribute_exists({names[SCHEMAS[write.table].key[0]]})"]
    conditions += [f"{names[name]} = {values[value]}" for name, value in write.require.items()]
    conditions += [f"{names[name]} >= {values[least]}" for name, least in write.minimum.items()]
    clauses = []
    if write.set:
        clauses.append("SET " + ", ".join(f"{names[name]} = {values[value]}" for name, value in write.set.items()))
    if write.add:
        clauses.append("ADD " + ", ".join(f"{names[name]} {values[amount]}" for name, amount in write.add.items()))
    if write.remove:
        clauses.append("REMOVE " + ", ".join(names[name] for name in write.remove))
    request: dict[str, Any] = {
        "Key": to_attributes(write.key),
        "UpdateExpression": " ".join(clauses),
        "ExpressionAttributeNames": names.used,
    }
    if conditions:
        request["ConditionExpression"] = " AND ".join(conditions)
    if values.used:
        request["ExpressionAttributeValues"] = to_attributes(values.used)
    return request
