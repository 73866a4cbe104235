"""Items as fields of a Redis hash: texts and binaries unchanged, everything else as JSON.

What scripts compare (claim id, fence, status) is the same text on both sides. JSON has no binaries: in documents they
are ``{"$bytes": base64}``, and a document's own names that begin with ``$`` are escaped.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.ports import Item

TEXTS = frozenset({"id", "status", "claim_id", "fingerprint", "open_shard", "resource", "lane"})
BINARIES = frozenset({"response_body"})
BYTES_NAME = "$bytes"
to_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: ``json.dumps`` makes an encoder for each call


def to_fields(item: Mapping[str, Any]) -> list[str | bytes]:
    """Return alternating names and values, as HSET takes them."""
    fields: list[str | bytes] = []
    for name, value in item.items():
        fields += [name, value if name in TEXTS | BINARIES else _dump(value)]
    return fields


def from_fields(fields: Iterable[tuple[bytes, bytes]]) -> Item:
    """Return the item with these (name, value) pairs."""
    item: Item = {}
    for raw_name, value in fields:
        name = raw_name.decode()
        if name in BINARIES:
            item[name] = value
        elif name in TEXTS:
            item[name] = value.decode()
        else:
            item[name] = _plain(json.loads(value))
    return item


def _dump(value: Any) -> str:
    if type(value) is int:
        return str(value)
    try:
        text = to_json(value)
    except TypeError:  # there are bytes in it
        return to_json(_jsonable(value))
    return to_json(_jsonable(value)) if '"$' in text else text  # perhaps a name to be escaped


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return {BYTES_NAME: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {f"${name}" if name.startswith("$") else name: _jsonable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {BYTES_NAME}:
            return base64.b64decode(value[BYTES_NAME])
        return {name[1:] if name.startswith("$") else name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
