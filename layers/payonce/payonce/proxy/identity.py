"""Identifies a request: the scope of its key, and the fingerprint of its content."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, Unauthenticated
from payonce.idempotency.fingerprint import fingerprint
from payonce.proxy.bodies import meaning_of

if TYPE_CHECKING:
    from payonce.proxy.config import Route, Scope
    from payonce.proxy.messages import ProxyRequest

_PLAIN_SCOPE = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def operation_of(route: Route) -> str:
    """Return the operation's part of the stored key. No route of the payments API has such a name."""
    return f"proxy:{route.name}"


def scope_of(scope: Scope, request: ProxyRequest) -> str:
    """Return the scope of a request's key. Raises ``Unauthenticated`` or ``BodyMalformed`` when it has none.

    A header's value is hashed: it may be a credential, or contain the separator of stored keys.
    """
    if scope.fixed is not None:
        return scope.fixed
    if scope.claim is not None:
        value = request.claims.get(scope.claim)
        if value is None or value == "":
            raise Unauthenticated("The request carries no identity to keep its key under. Authenticate.")
        text = str(value)
        return text if _PLAIN_SCOPE.fullmatch(text) else hashed_scope("claim", scope.claim, text)
    name = str(scope.header)
    values = set(request.headers().get(name.lower(), []))
    if not values or values == {""}:
        if name.lower() == "authorization":
            raise Unauthenticated("Send the header Authorization: this route keeps keys apart by it.")
        raise BodyMalformed(f"Send the header {name}: this route keeps keys apart by it.")
    if len(values) > 1:
        raise BodyMalformed(f"The header {name} has several values; whose key it is would be a guess.")
    return hashed_scope("header", name.lower(), values.pop())


def hashed_scope(source: str, name: str, value: str) -> str:
    """Return a scope for a text that may be a credential, or contain the separator of stored keys."""
    digest = hashlib.sha256(f"{source}\0{name}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest}"


def fingerprint_of(request: ProxyRequest, route: Route) -> str:
    """Return the fingerprint: method, path and query as sent, and the body's meaning (``payonce.proxy.bodies``)."""
    return fingerprint(request.method, operation_of(route), {"target": request.target}, meaning_of(request))
