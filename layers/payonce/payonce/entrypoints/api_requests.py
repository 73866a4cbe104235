"""Parses an API Gateway proxy event into a request: header names in lower case, the body as bytes."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed, BodyTooLarge, Forbidden, Unauthenticated
from payonce.domain.principals import key_of
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock

MAX_BODY_BYTES = 32 * 1024  # the largest valid body is about 6 KB; a record must stay far below DynamoDB's 400 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the routes receive it. ``headers`` maps lower-case names to all their values, in order."""

    path_parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, list[str]]
    body: bytes
    merchant_id: str
    key_id: str
    scopes: frozenset[str]
    gateway: str
    request_id: str
    deadline: Deadline
    holder: str = ""

    def require_scope(self, scope: str) -> None:
        """Raise ``Forbidden`` unless the API key has ``scope``."""
        if scope not in self.scopes:
            raise Forbidden(f"This API key lacks the scope {scope}.")

    def require_actor(self) -> str:
        """Return who acts: an API key's id and holder. Raises ``Unauthenticated`` without an authorizer's context."""
        if not self.key_id:
            raise Unauthenticated("Send Authorization: Bearer <API key>.")
        return key_of(self.key_id, self.holder)


def parse_event(event: Mapping[str, Any], context: Any, clock: Clock) -> Request:
    """Return the request of a REST API proxy event.

    Raises ``Unauthenticated`` without an authorizer's context (the function was called bypassing the authorizer),
    ``BodyTooLarge`` and ``BodyMalformed``.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    merchant_id = authorizer.get("merchant_id")
    if not merchant_id:
        raise Unauthenticated("Send Authorization: Bearer <API key>.")
    return Request(
        path_parameters=event.get("pathParameters") or {},
        query=event.get("multiValueQueryStringParameters") or {},
        headers=headers_of(event),
        body=body_of(event),
        merchant_id=merchant_id,
        key_id=str(authorizer.get("principalId") or ""),
        scopes=frozenset(str(authorizer.get("scopes", "")).split()),
        gateway=authorizer.get("gateway") or "",
        request_id=str((event.get("requestContext") or {}).get("requestId", "")),
        holder=str(authorizer.get("holder") or ""),
        deadline=Deadline(clock.now_ms() + context.get_remaining_time_in_millis()),
    )


def headers_of(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the headers of a proxy event: lower-case names with all their values, in order."""
    headers: dict[str, list[str]] = {}
    many = event.get("multiValueHeaders") or {}
    for name, values in many.items():
        headers.setdefault(name.lower(), []).extend(values)
    for name, value in (event.get("headers") or {}).items():
        if name.lower() not in headers:
            headers[name.lower()] = [value]
    return headers


def body_of(event: Mapping[str, Any], *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body's exact bytes. Raises ``BodyTooLarge`` and ``BodyMalformed``."""
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise BodyMalformed("The body could not be decoded.") from None
    else:
        body = text.encode("utf-8", "surrogatepass")
    if len(body) > max_bytes:
        raise BodyTooLarge(f"The body has {len(body)} bytes; at most {max_bytes} are taken.")
    return body
