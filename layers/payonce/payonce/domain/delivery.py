"""What became of one attempt to deliver an event: the receiver answered, or it did not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_EXCERPT_CHARACTERS = 1_000  # of an answer, kept for the merchant to look at: enough for an error's first lines


class NoAnswerReason(StrEnum):
    """Why there is no answer. Closed; stored with the attempt and shown to the merchant."""

    ADDRESS_REFUSED = "address_refused"  # the host is, or resolves to, an address that is not public
    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"  # after the request was sent, wholly or in part
    ANSWER_MALFORMED = "answer_malformed"  # not HTTP, or headers beyond what is taken
    URL_REFUSED = "url_refused"  # not https, or not a URL that is taken at all
    SIGNING_FAILED = "signing_failed"  # the endpoint's secrets could not be opened; nothing was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The receiver's answer. Any status counts, a redirect included: none is followed.

    ``excerpt`` is the beginning of the body as text, at most ``MAX_EXCERPT_CHARACTERS``, with what is not printable
    replaced. ``retry_after_seconds`` is what the receiver asks for, if it does.
    """

    status: int
    latency_ms: int
    excerpt: str = ""
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No whole answer came. ``detail`` says it in a sentence, for the merchant."""

    reason: NoAnswerReason
    latency_ms: int
    detail: str


type Exchanged = Answer | NoAnswer
