"""Results of operations as bytes. A replay decodes the very bytes that the first call stored."""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Literal, Protocol, TypeAliasType, Union, get_args, get_origin, is_typeddict

type JsonValue = bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None
_SCALARS = (type(None), bool, int, float, str)


class Codec(Protocol):
    """Encodes results as bytes and decodes them."""

    def check(self, annotation: Any) -> None:
        """Raise ``TypeError`` unless every result of this type can be encoded. Called once, before any effect."""
        ...

    def encode(self, value: Any) -> bytes:
        """Return the value's bytes. Raises ``ValueError`` or ``TypeError`` when decoding would not restore it."""
        ...

    def decode(self, data: bytes) -> Any:
        """Return the value that ``encode`` made ``data`` of."""
        ...


class JsonCodec:
    """JSON that restores the exact value: no tuples, sets, keys other than strings, NaN, or subclasses."""

    def check(self, annotation: Any) -> None:
        """See ``Codec``. ``JsonValue`` is the annotation for any JSON."""
        _check(annotation, frozenset())

    def encode(self, value: Any) -> bytes:
        """See ``Codec``."""
        try:
            require_json(value)
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except RecursionError:
            raise ValueError("it is nested too deeply, or contains itself") from None

    def decode(self, data: bytes) -> Any:
        """See ``Codec``."""
        return json.loads(data)


class BytesCodec:
    """Stores bytes unchanged."""

    def check(self, annotation: Any) -> None:
        """See ``Codec``."""
        if annotation is not bytes:
            raise TypeError(f"BytesCodec stores bytes, not {annotation!r}.")

    def encode(self, value: Any) -> bytes:
        """See ``Codec``."""
        if type(value) is not bytes:
            raise TypeError(f"it is a {type(value).__name__}, not bytes")
        return value

    def decode(self, data: bytes) -> Any:
        """See ``Codec``."""
        return data


def require_json(value: Any) -> None:
    """Raise ``TypeError`` unless JSON restores the value with the same types."""
    kind = type(value)
    if kind is list:
        for member in value:
            require_json(member)
    elif kind is dict:
        for name, member in value.items():
            if type(name) is not str:
                raise TypeError(f"a dict's key is a {type(name).__name__}, and JSON has only strings")
            require_json(member)
    elif kind not in _SCALARS:
        raise TypeError(f"a {kind.__name__} does not come back from JSON as it was")


def _check(annotation: Any, seen: frozenset[str]) -> None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, TypeAliasType):
        if annotation.__name__ not in seen:
            _check(annotation.__value__, seen | {annotation.__name__})
    elif annotation is None or annotation in _SCALARS or origin is Literal:
        return
    elif origin in (Union, types.UnionType) or (origin is list and arguments):
        for argument in arguments:
            _check(argument, seen)
    elif origin is dict and arguments[0] is str:
        _check(arguments[1], seen)
    elif is_typeddict(annotation):
        for member in typing.get_type_hints(annotation).values():
            _check(member, seen)
    else:
        raise TypeError(
            f"{annotation!r} does not come back from JSON as it was. Use None, bool, int, float, str, list[...], "
            "dict[str, ...], TypedDict or JsonValue, or give a codec of your own."
        )
