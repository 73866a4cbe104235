"""The routes that gateways call: ``POST /gateway_events/{gateway}``, and below it a merchant's.

It takes no API key: a gateway proves itself by the signature of the event alone, over the bytes as they came. Whatever
is refused has stored nothing and is not logged; an answer that is no 2xx makes the gateway send the event again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed, BodyTooLarge, NotFound, NoticeRefused, PayonceError
from payonce.entrypoints import api_responses
from payonce.entrypoints.api_requests import body_of, headers_of
from payonce.entrypoints.paths import PATTERNS
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.wiring.notices import NoticeApplication

PATH = "/gateway_events/{gateway}"
MERCHANT_PATH = "/gateway_events/{gateway}/{merchant_id}"
MERCHANT_ID = re.compile(PATTERNS["merchant_id"])  # nothing is read for what can't be one
# Stripe's events have some 5 KB, and 30 KB with as much metadata as it takes; 256 KB also fit into an item when they
# can't be packed. What is larger is no event of a payment.
MAX_NOTICE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRoute:
    """A route that gateways call, as openapi.json shows it."""

    method: str = "POST"
    path: str = PATH
    operation: str = "accept_gateway_events"
    summary: str = "Called by gateways: take an event"


ROUTE = GatewayRoute()
MERCHANT_ROUTE = GatewayRoute(
    path=MERCHANT_PATH,
    operation="accept_merchant_gateway_events",
    summary="Called by gateways: take an event of a merchant's own account",
)
ROUTES = (ROUTE, MERCHANT_ROUTE)


def accept_event(application: NoticeApplication, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proxy response to a gateway's event. Never raises: an unforeseen error is logged and becomes a 500."""
    request_id = str((event.get("requestContext") or {}).get("requestId", ""))
    page = application.settings.documentation_url
    named = event.get("pathParameters") or {}
    gateway, merchant_id = str(named.get("gateway", "")), named.get("merchant_id")
    try:
        queued = _accept(application, gateway, merchant_id, event)
    except PayonceError as error:
        # Of an event that is not proven to be the gateway's, nothing is told but why.
        refused = isinstance(error, NoticeRefused)
        get_logger().warning(
            "gateway event refused" if refused else "gateway event not taken",
            extra={
                "gateway": gateway if gateway in application.settings.gateways else "",
                "request_id": request_id,
                "error": type(error).__name__,
                **({"detail": error.detail} if refused else {}),
            },
        )
        return api_responses.problem(error, documentation_url=page)
    except Exception as error:
        # The type alone: a parser's error would quote the event.
        get_logger().error("unforeseen error", extra={"request_id": request_id, "error": type(error).__name__})
        return api_responses.internal_error(request_id, documentation_url=page)
    get_logger().info("gateway event taken", extra={"gateway": gateway, "queued": queued})
    return api_responses.plain({"received": True})


def _accept(application: NoticeApplication, gateway: str, merchant_id: str | None, event: Mapping[str, Any]) -> int:
    if merchant_id is None:
        reader, signed_by = application.notice_reader(gateway), ""
    elif MERCHANT_ID.fullmatch(merchant_id):
        reader, signed_by = application.merchant_notice_reader(gateway, merchant_id), merchant_id
    else:
        raise NotFound("There is no gateway of this name that sends events.")
    try:
        body = body_of(event, max_bytes=MAX_NOTICE_BYTES)
    except (BodyTooLarge, BodyMalformed) as error:
        raise NoticeRefused(error.detail) from None
    headers = {name: ",".join(values) for name, values in headers_of(event).items()}
    notices = reader.read(body, headers, now_ms=application.clock.now_ms())
    return application.acceptance.accept(gateway, notices, body, signed_by=signed_by)
