"""What a query is charged: the size of all items that it read, whatever it was asked to leave out of the answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from benchmarks.units.charges import Charge
from benchmarks.units.sizes import EVENTUAL_FACTOR, read_units, total_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.units.charges import Schema

_LEFT_OUT = ("FilterExpression", "ProjectionExpression", "Select")
_PARTITION = re.compile(r"([#\w]+) *= *(:\w+)")


def query_charge(
    schema: Schema,
    request: dict[str, Any],
    answer: dict[str, Any],
    factor: float,
    send: Callable[[str, bytes], tuple[int, bytes]],
) -> Charge:
    """Return the charge of a query of ``schema`` or of its index; ``factor`` is 1 for a consistent one."""
    index = request.get("IndexName", "")
    if any(name in request for name in _LEFT_OUT):
        status, body = send("Query", json.dumps(_whole(request)).encode())
        if status != 200:
            raise ValueError(f"the query can not be repeated in full: {body!r}")
        answer = json.loads(body)
    return Charge(
        schema.name,
        index,
        _partition(request, schema.index(index).key[0] if index else schema.key[0]),
        read=read_units(total_size(answer["Items"]), factor=EVENTUAL_FACTOR if index else factor),
    )


def _whole(request: dict[str, Any]) -> dict[str, Any]:
    """Return the query without what shortens its answer, and without the names and values that only that used."""
    condition = request["KeyConditionExpression"]
    whole = {name: value for name, value in request.items() if name not in _LEFT_OUT}
    for member in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        used = {name: value for name, value in request.get(member, {}).items() if _is_used(name, condition)}
        whole.pop(member, None)
        if used:
            whole[member] = used
    return whole


def _is_used(name: str, expression: str) -> bool:
    return re.search(re.escape(name) + r"(?!\w)", expression) is not None


def _partition(request: dict[str, Any], attribute: str) -> str:
    names = request.get("ExpressionAttributeNames", {})
    for name, value in _PARTITION.findall(request["KeyConditionExpression"]):
        if names.get(name, name) == attribute:
            ((_, content),) = request["ExpressionAttributeValues"][value].items()
            return str(content)
    raise ValueError(f"the query names no {attribute}: {request['KeyConditionExpression']}")
