"""The official SDK's HTTP client on our own exchange: one deadline per operation, and proof of what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.extras import needs

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.gateways.deadline_exchange import HttpExchange
    from payonce.ports import Deadline

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # a page of 100 payment intents has about 400 KB, including other users' metadata


class NothingSentError(stripe.APIConnectionError):
    """No byte of the request was sent."""


class BoundHttpClient(stripe.HTTPClient):
    """The HTTP client for the calls under one deadline. Made per operation, and never shared."""

    name = "payonce"

    def __init__(self, exchange: HttpExchange, deadline: Deadline) -> None:
        super().__init__()
        self._exchange = exchange
        self._deadline = deadline

    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send the request once. Raises ``NothingSentError`` or ``stripe.APIConnectionError`` without an answer."""
        body = post_data.encode() if isinstance(post_data, str) else post_data
        outcome = self._exchange.send(method.upper(), url, headers=headers or {}, body=body, deadline=self._deadline)
        match outcome:
            case NotSent(reason):
                raise NothingSentError(reason)  # type: ignore[no-untyped-call]
            case Lost(reason):
                raise stripe.APIConnectionError(reason)  # type: ignore[no-untyped-call]
            case Answered(status, answer_headers, answer):
                return answer, status, answer_headers

    def close(self) -> None:
        """Do nothing: every exchange closes its own connection."""
