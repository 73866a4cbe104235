"""API Gateway's proxy events (payload format 1.0): header lines, bodies and repeated headers, in and out."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.proxy.messages import Lines, ProxyResponse


def lines_of(event: Mapping[str, Any]) -> Lines:
    """Return the header lines of an event, without the framing."""
    many = event.get("multiValueHeaders") or {}
    found = [(name, str(value)) for name, values in many.items() for value in values]
    names = {name.lower() for name, _ in found}
    found += [(name, str(value)) for name, value in (event.get("headers") or {}).items() if name.lower() not in names]
    # API Gateway has already removed the framing: these lines say nothing about the body here.
    return tuple(line for line in found if line[0].lower() not in {"content-length", "transfer-encoding"})


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return the body of an event. Raises ``BodyMalformed`` when it is not the base64 that it says it is."""
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BodyMalformed("The body could not be decoded.") from None


def to_event(response: ProxyResponse) -> dict[str, Any]:
    """Return what a function returns for an answer."""
    headers: dict[str, list[str]] = {}
    for name, value in response.lines:
        headers.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    try:
        text, encoded = response.body.decode("utf-8"), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(response.body).decode(), True
    return {"statusCode": response.status, "multiValueHeaders": headers, "body": text, "isBase64Encoded": encoded}
