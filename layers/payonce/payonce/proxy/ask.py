"""Asks an upstream's status URL for the outcome of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.exchange import Answered
from payonce.proxy.patterns import status_in

if TYPE_CHECKING:
    from payonce.idempotency.records import Claim
    from payonce.proxy.config import Ask
    from payonce.proxy.messages import Lines
    from payonce.proxy.plan import Lane

INQUIRY_RESERVE_MS = 1_000  # kept free at the end of the claim's time, to record the result


@dataclass(frozen=True, slots=True)
class Found:
    """The upstream knows the request, and this is its answer."""

    status: int
    lines: Lines
    body: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """The upstream does not know the request. Whether that is final depends on when it was sent."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """There was no answer, or one that is neither."""


def ask(lane: Lane, policy: Ask, downstream_key: str, claim: Claim) -> Found | Missing | Unclear:
    """Return what the status URL says. Ends before the claim's time does."""
    clock = lane.clock
    deadline = claim.deadline.earlier(claim.deadline.at_ms - INQUIRY_RESERVE_MS).earlier(
        clock.now_ms() + int(policy.timeout_seconds * 1000)
    )
    outcome = lane.transport.forward(
        "GET",
        lane.url(policy.url.replace("{downstream_key}", quote(downstream_key, safe=""))),
        lines=[
            ("Host", lane.host),
            ("Accept-Encoding", "identity"),
            *lane.upstream.headers.items(),
        ],
        body=None,
        deadline=deadline,
        max_answer_bytes=lane.max_answer_bytes,
        unframed=lane.upstream.unframed_answers,
    )
    if not isinstance(outcome, Answered):
        return Unclear()
    if status_in(outcome.status, policy.found) and _is_final(policy, outcome.body):
        return Found(policy.answer_status, outcome.lines, outcome.body)
    if status_in(outcome.status, policy.not_found):
        return Missing()
    return Unclear()


def _is_final(policy: Ask, body: bytes) -> bool:
    if policy.state_member is None:
        return True
    try:
        document: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get(policy.state_member) in policy.final_states
