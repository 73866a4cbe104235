"""One call of the API as it will be sent: the same bytes in every attempt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import quote, urlencode

from payonce.client.errors import Misused


class ReadOptions(TypedDict, total=False):
    """Options of every read. ``timeout_seconds``: of the whole call with all its attempts; ``None`` is for ever."""

    timeout_seconds: float | None


class WriteOptions(TypedDict, total=False):
    """Options of every call that changes something.

    ``intent``: your own stable name of this operation, such as an order's id; needs a ``Journal`` or ``DerivedKeys``.
    ``idempotency_key``: a key that you keep yourself. Without either, the key lives as long as the call.
    ``timeout_seconds``: of the whole call with all its attempts; ``None`` is for ever.
    ``not_card_numbers``: members that hold references of your own which only look like card numbers.
    """

    intent: str
    idempotency_key: str
    timeout_seconds: float | None
    not_card_numbers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the API. ``objects``: which ``object`` an answer to it has; empty where answers name none."""

    name: str
    method: str
    path: str
    keyed: bool
    objects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer[T]:
    """What a call that changes something has made.

    ``data`` is the API's document, ``replayed`` whether an earlier request with the key has made it, ``standing`` the
    payment's status now where ``data`` is a replay from before the payment's end, and ``expires_at`` until when the key
    is replayed (RFC 3339).
    """

    data: T = field(repr=False)  # a payer's data, or a new webhook secret
    idempotency_key: str
    replayed: bool
    resource: str | None = None
    standing: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request without its key and authorization."""

    operation: Route
    target: str
    body: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    digest: str


def make_call(
    operation: Route,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> Call:
    """Return the call. Members of ``query`` and ``headers`` that are ``None`` are left out.

    Raises ``Misused`` for an empty part of the path, and for a body that is no JSON.
    """
    target = operation.path
    for name, value in (path or {}).items():
        # "" and ".." would lead to another route.
        if not isinstance(value, str) or not value.strip("."):
            raise Misused(f"{name} is no id.", operation=operation.name)
        target = target.replace(f"{{{name}}}", quote(value, safe=""))
    named = {name: value for name, value in (query or {}).items() if value is not None}
    if named:
        target += "?" + urlencode(named)
    sent = {name: value for name, value in (headers or {}).items() if value is not None}
    try:
        encoded = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        canonical = json.dumps([operation.name, target, body], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Misused(f"The arguments are no JSON: {error}.", operation=operation.name) from error
    return Call(operation, target, encoded, sent, hashlib.sha256(canonical.encode()).hexdigest())


def given(required: Mapping[str, Any], optional: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body: what is optional only where it is not ``None``."""
    return {**required, **{name: value for name, value in optional.items() if value is not None}}
