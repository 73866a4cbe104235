"""What an answer proves about the request, by docs/problems.md.

Only what payonce itself says is taken for an end. A page of a portal, half a document, or another server's status
proves nothing: the request may have been executed behind it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.client.call import Route

PROBLEM_PREFIX = "urn:payonce:problem:"
# Each says of itself that its request had no effect and never will have.
WITHOUT_EFFECT = frozenset(
    {"throttled", "gateway-unavailable", "store-unavailable", "upstream-unavailable", "overloaded"}
)
FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The operation's own document, or the first page of a list."""

    document: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The gateway's answer was lost. payonce finds out; the same request gets its end."""

    document: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """A problem that is the final answer of the key, whatever was sent before: 402, or a key that has expired."""

    problem: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """This request was refused before any effect. It says nothing about earlier requests with its key."""

    problem: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Again:
    """Worth another attempt. ``without_effect``: this one certainly did nothing."""

    reason: str
    without_effect: bool = False
    problem: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hopeless:
    """No attempt will get another answer, and none says what the request did."""

    reason: str
    problem: Mapping[str, Any] = field(default_factory=dict)


type Verdict = Done | InDoubt | Ended | Refusal | Again | Hopeless


def judge(operation: Route, raw: Raw) -> Verdict:
    """Return what the answer proves."""
    document = _json(raw.body)
    if 200 <= raw.status < 300:
        return _success(operation, raw, document)
    problem = _problem(raw, document)
    if problem is not None:
        return _told(raw.status, problem)
    reason = f"status {raw.status} that payonce did not send"
    message = _gateway_message(document)
    if message is not None and raw.status in {401, 403, 404, 413}:
        # API Gateway refuses before any function runs.
        return Refusal({"status": raw.status, "detail": message, "retryable": False})
    if message is not None and raw.status == 429:
        return Again("throttled by API Gateway", without_effect=True)
    if raw.status in {408, 425, 429} or not FIRST_CLIENT_ERROR <= raw.status < FIRST_SERVER_ERROR:
        return Again(reason)
    return Hopeless(reason)


def _success(operation: Route, raw: Raw, document: Any) -> Verdict:
    if not isinstance(document, dict) or (operation.objects and document.get("object") not in operation.objects):
        return Again(f"status {raw.status} with a body that is no answer to {operation.name}")
    if operation.keyed and raw.status == 202 and document.get("status") == "in_doubt":
        return InDoubt(document)
    return Done(document)


def _told(status: int, problem: dict[str, Any]) -> Verdict:
    slug = str(problem["type"]).removeprefix(PROBLEM_PREFIX)
    if problem["retryable"] is True:
        return Again(slug, without_effect=slug in WITHOUT_EFFECT and status in {429, 503}, problem=problem)
    if status == 402 or slug == "key-expired":
        return Ended(problem)
    if FIRST_CLIENT_ERROR <= status < FIRST_SERVER_ERROR:
        return Refusal(problem)
    return Hopeless(slug, problem)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _problem(raw: Raw, document: Any) -> dict[str, Any] | None:
    if not isinstance(document, dict) or not isinstance(document.get("retryable"), bool):
        return None
    named = str(document.get("type", "")).startswith(PROBLEM_PREFIX)
    return document if named and document.get("status") == raw.status else None


def _gateway_message(document: Any) -> str | None:
    if not isinstance(document, dict):
        return None
    message = document.get("message", document.get("Message"))
    return message if isinstance(message, str) else None
