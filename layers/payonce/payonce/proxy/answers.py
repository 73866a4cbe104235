"""The proxy's own answers: problems, the state of the key, and substitutes for an upstream's answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from payonce.domain.problems import (
    IN_DOUBT,
    INTERNAL,
    PROBLEM_CONTENT_TYPE,
    RESPONSE_TOO_LARGE,
    documentation_link,
    problem_document,
    problem_of,
)
from payonce.idempotency.records import StoredResponse
from payonce.proxy.messages import ProxyResponse

if TYPE_CHECKING:
    from payonce.domain.errors import PayonceError
    from payonce.idempotency.records import KeyedResponse
    from payonce.proxy.messages import Lines

IN_DOUBT_RETRY_AFTER_SECONDS = 5  # about the time until the next inquiry
_PROBLEM_LINES: Lines = (("Content-Type", PROBLEM_CONTENT_TYPE), ("Cache-Control", "no-store"))
_IN_DOUBT_BODY = problem_document(
    IN_DOUBT,
    "The upstream may have executed the request, and its answer was lost. Retry with the same key and body: nothing "
    "will be executed twice.",
)
_OUTCOMES = {
    "key-reused": "reused",
    "key-in-progress": "in_progress",
    "key-expired": "expired",
    "outcome-unknown": "unknown",
    "upstream-unavailable": "unavailable",
    "store-unavailable": "store_unavailable",
    "overloaded": "overloaded",
    "internal": "failed",
}


def keyed(outcome: KeyedResponse, response: StoredResponse, *, route: str) -> ProxyResponse:
    """Return the response to a keyed request. ``response`` is the stored one, opened; the key's state is added."""
    expires = datetime.fromtimestamp(outcome.expires_at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    own = (
        ("Idempotency-Replayed", "true" if outcome.replayed else "false"),
        ("Idempotency-Expires", expires.replace("+00:00", "Z")),
    )
    in_doubt_now = response.body == _IN_DOUBT_BODY
    happened = "unknown" if in_doubt_now else "replayed" if outcome.replayed else "executed"
    return ProxyResponse(response.status, (*response.header_lines(), *own), response.body, route, happened)


def problem(error: PayonceError, *, keyed: bool, route: str = "", documentation_url: str = "") -> ProxyResponse:
    """Return the response for an error of the tree. ``keyed``: the route takes an idempotency key."""
    kind = problem_of(error)
    lines = _PROBLEM_LINES
    if keyed:
        lines = (*lines, ("Idempotency-Replayed", "false"))
    if error.retry_after_seconds is not None or kind.status in {429, 503}:
        lines = (*lines, ("Retry-After", str(error.retry_after_seconds or 1)))
    body = problem_document(
        kind, error.detail, documentation=documentation_link(documentation_url, kind), **error.extensions
    )
    return ProxyResponse(kind.status, lines, body, route, _OUTCOMES.get(kind.slug, "rejected"))


def internal_error(route: str = "", *, documentation_url: str = "") -> ProxyResponse:
    """Return the 500 for an unforeseen error. It promises only that a retry is safe."""
    detail = "Something went wrong on our side. Retry with the same key: nothing will be executed twice."
    body = problem_document(INTERNAL, detail, documentation=documentation_link(documentation_url, INTERNAL))
    return ProxyResponse(500, _PROBLEM_LINES, body, route, "failed")


def in_doubt(status: int) -> StoredResponse:
    """Return the provisional answer to a request whose outcome is unknown. The body says so for 202 and 409 alike."""
    lines = (*_PROBLEM_LINES, ("Retry-After", str(IN_DOUBT_RETRY_AFTER_SECONDS)))
    return StoredResponse(status, {}, _IN_DOUBT_BODY, lines)


def too_large(upstream_status: int, location: str) -> StoredResponse:
    """Return the substitute for an answer too large to keep: the request was executed, and never will be again."""
    detail = (
        f"The upstream executed the request and answered {upstream_status}, with more than can be kept for a replay. "
        "Look at the resource; a new key would execute it again."
    )
    document = problem_document(RESPONSE_TOO_LARGE, detail, upstream_status=upstream_status, resource=location)
    return StoredResponse(RESPONSE_TOO_LARGE.status, {}, document, _PROBLEM_LINES)
