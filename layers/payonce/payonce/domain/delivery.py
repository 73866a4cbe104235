"""The outcome of one attempt to deliver an event: the receiver answered, or it did not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_EXCERPT_CHARACTERS = 1_000  # kept of each answer for the merchant to read: enough for an error's first lines


class NoAnswerReason(StrEnum):
    """Why there is no answer. A closed set, stored with the attempt and shown to the merchant."""

    ADDRESS_REFUSED = "address_refused"  # the host is, or resolves to, an address that is not public
    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"  # after the request was sent, wholly or in part
    ANSWER_MALFORMED = "answer_malformed"  # not HTTP, or headers beyond our limits
    URL_REFUSED = "url_refused"  # not https, or not a URL that we accept
    SIGNING_FAILED = "signing_failed"  # the endpoint's secrets could not be opened; nothing was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The receiver's answer, with any status. A redirect is an answer too: payonce follows none.

    An answer exists once its status and headers have arrived, and ``latency_ms`` measures that moment; a body that
    breaks off or is slow changes nothing. ``excerpt`` is the beginning of the body as text, at most
    ``MAX_EXCERPT_CHARACTERS``, with unprintable characters replaced; a compressed body is not decompressed, and the
    excerpt says so. ``retry_after_seconds`` is the receiver's ``Retry-After``, if there is one.
    """

    status: int
    latency_ms: int
    excerpt: str = ""
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No status and headers arrived. ``detail`` tells the merchant why, in a sentence that contains no address.

    ``latency_ms`` is the time until that was known. The receiver may have accepted the webhook nevertheless when the
    reason is ``TIMED_OUT``, ``CONNECTION_LOST`` or ``ANSWER_MALFORMED``.
    """

    reason: NoAnswerReason
    latency_ms: int
    detail: str


type Exchanged = Answer | NoAnswer
