"""Adyen's official library on our own exchange: one deadline for each request, and proof of what was sent.

The library makes the address, the headers and the body. What the answer is, is read from its bytes: the library takes
JSON that ends early for an empty success, and drops the headers of a success.
https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/Adyen/client.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError
from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.extras import needs
from payonce.gateways.base_urls import is_in_the_clear, is_web_address

with needs("adyen"):
    from Adyen import AdyenClient
    from Adyen.services.checkout import ModificationsApi, PaymentsApi, RecurringApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.exchange import Exchange
    from payonce.gateways.deadline_exchange import HttpExchange
    from payonce.ports import Deadline

TEST, LIVE = "test", "live"
MAX_ANSWER_BYTES = 256 * 1024  # an answer has some KB, most of them the payer's action
USER_AGENT = "payonce"


@dataclass(frozen=True, slots=True)
class Place:
    """Where Adyen is: at a look-alike's ``url``, at the live endpoint of ``prefix``, or in its test environment."""

    url: str = ""
    prefix: str = ""

    def __post_init__(self) -> None:
        """Raise ``MisconfiguredError`` for an address to which the API key would travel in the clear, or not at all."""
        if self.url and (not is_web_address(self.url) or is_in_the_clear(self.url) or "-live" in self.url):
            raise MisconfiguredError(
                "The url of an Adyen gateway must be an https URL, or a http one on this machine, without '-live', "
                "which Adyen's library would change."
            )


class _NotAnsweredError(Exception):
    """There is no answer; ``_Transport.exchanged`` says why."""


class _Transport:
    """The library's HTTP client for one request."""

    user_agent = USER_AGENT

    def __init__(self, exchange: HttpExchange, deadline: Deadline) -> None:
        self._exchange = exchange
        self._deadline = deadline
        self.exchanged: Exchange | None = None

    def request(
        self, method: str, url: str, *, json: Any, xapikey: str, headers: Mapping[str, str]
    ) -> tuple[str, str, int, Mapping[str, str]]:
        """Send the request once; see the library's ``HTTPClient.request``."""
        body = _encoded(json)
        lines = {**headers, "X-API-Key": xapikey, **({"Content-Type": "application/json"} if body else {})}
        # Until it has ended, nobody can say that nothing was sent.
        self.exchanged = Lost("the exchange has failed")
        self.exchanged = self._exchange.send(
            method, url, headers=lines, body=body.encode() if body else None, deadline=self._deadline
        )
        if not isinstance(self.exchanged, Answered):
            raise _NotAnsweredError
        answer = self.exchanged
        return answer.body.decode(errors="replace"), body, answer.status, answer.headers


@dataclass(frozen=True, slots=True)
class Apis:
    """The library's services that payonce uses."""

    payments: PaymentsApi
    modifications: ModificationsApi
    recurring: RecurringApi


def exchange_by_library(
    call: Callable[[Apis], object], *, api_key: str, place: Place, exchange: HttpExchange, deadline: Deadline
) -> Exchange:
    """Return how the one request that ``call`` makes by the library has ended. Never raises.

    ``NotSent`` also where the library refuses to make the request.
    """
    transport = _Transport(exchange, deadline)
    client = AdyenClient(
        xapikey=api_key, platform=LIVE if place.prefix else TEST, live_endpoint_prefix=place.prefix or None
    )
    client.http_client, client.http_init = transport, True
    apis = Apis(PaymentsApi(client=client), ModificationsApi(client=client), RecurringApi(client=client))
    if place.url:
        for api in (apis.payments, apis.modifications, apis.recurring):
            api.baseUrl = place.url.rstrip("/")
    try:
        call(apis)
    except Exception as error:
        # Whatever the library makes of an answer, the answer itself is judged.
        return transport.exchanged or NotSent(f"no request was made: {type(error).__name__}")
    return transport.exchanged or NotSent("no request was made")


def _encoded(document: object) -> str:
    # Sorted, so that a repeated request is the same bytes. What is read or deleted has no body.
    return "" if document is None else json.dumps(document, sort_keys=True, separators=(",", ":"))
