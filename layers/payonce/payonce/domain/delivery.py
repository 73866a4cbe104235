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

    It is one as soon as status and headers are there, which is what ``latency_ms`` measures; a body that breaks off or
    drags on takes nothing back. ``excerpt`` is the beginning of the body as text, at most ``MAX_EXCERPT_CHARACTERS``,
    with what is not printable replaced; of a compressed body, which is not unpacked, it says just that.
    ``retry_after_seconds`` is what the receiver asks for, if it does.
    """

    status: int
    latency_ms: int
    excerpt: str = ""
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Status and headers did not come. ``detail`` says why in a sentence, for the merchant; no address is in it.

    ``latency_ms`` is the time until that was clear. The receiver may have taken the webhook all the same when it is
    ``TIMED_OUT``, ``CONNECTION_LOST`` or ``ANSWER_MALFORMED``.
    """

    reason: NoAnswerReason
    latency_ms: int
    detail: str


type Exchanged = Answer | NoAnswer
