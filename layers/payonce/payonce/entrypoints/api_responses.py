"""Responses for API Gateway: stored bytes with the state of the key, and problem documents."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.problems import INTERNAL, PROBLEM_CONTENT_TYPE, documentation_link, problem_document, problem_of
from payonce.idempotency.json_response import JSON_CONTENT_TYPE, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.errors import PayonceError
    from payonce.idempotency.records import KeyedResponse

IN_DOUBT_RETRY_AFTER_SECONDS = 5  # about the time until the next inquiry at the gateway
# A response may contain a payment's data, and a cached answer to a POST would misstate what happened to money.
COMMON_HEADERS = {"cache-control": "no-store"}


def keyed(outcome: KeyedResponse, standing: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return the proxy response to a keyed request, with the stored bytes unchanged.

    ``standing``: headers that say where the resource of a replayed response stands now.
    """
    expires = datetime.fromtimestamp(outcome.expires_at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    headers = {
        **COMMON_HEADERS,
        **standing,
        **outcome.response.headers,
        "idempotency-replayed": "true" if outcome.replayed else "false",
        "idempotency-expires": expires.replace("+00:00", "Z"),
    }
    if outcome.response.status == 202:
        headers["retry-after"] = str(IN_DOUBT_RETRY_AFTER_SECONDS)
    return _proxy(outcome.response.status, headers, outcome.response.body)


def plain(document: Mapping[str, object] | bytes) -> dict[str, Any]:
    """Return the proxy response to a read. A document is rendered as JSON; bytes are sent unchanged."""
    body = document if isinstance(document, bytes) else encode(document)
    return _proxy(200, {**COMMON_HEADERS, "content-type": JSON_CONTENT_TYPE}, body)


def problem(error: PayonceError, *, keyed: bool = False, documentation_url: str = "") -> dict[str, Any]:
    """Return the proxy response for an error of the tree. ``keyed``: the route takes an idempotency key."""
    kind = problem_of(error)
    headers = {**COMMON_HEADERS, "content-type": PROBLEM_CONTENT_TYPE}
    if keyed:
        headers["idempotency-replayed"] = "false"
    if error.retry_after_seconds is not None or kind.status in {429, 503, 504}:
        headers["retry-after"] = str(error.retry_after_seconds or 1)
    return _proxy(
        kind.status,
        headers,
        problem_document(
            kind, error.detail, documentation=documentation_link(documentation_url, kind), **error.extensions
        ),
    )


def internal_error(request_id: str, *, documentation_url: str = "") -> dict[str, Any]:
    """Return the 500 for an unforeseen error. It promises only that a retry is safe, not what happened."""
    detail = "Something went wrong on our side. Retry with the same key: nothing will be executed twice."
    headers = {**COMMON_HEADERS, "content-type": PROBLEM_CONTENT_TYPE}
    return _proxy(
        500,
        headers,
        problem_document(
            INTERNAL, detail, documentation=documentation_link(documentation_url, INTERNAL), request_id=request_id
        ),
    )


def _proxy(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    spelled = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in headers.items()}
    return {"statusCode": status, "headers": spelled, "body": body.decode("utf-8"), "isBase64Encoded": False}
