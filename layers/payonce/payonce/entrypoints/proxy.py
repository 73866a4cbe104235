"""The proxy function: API Gateway proxy events in, the proxy's answers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from payonce.domain.errors import Forbidden, PayonceError
from payonce.ports import Deadline
from payonce.proxy.answers import problem
from payonce.proxy.function_events import body_of, lines_of, to_event
from payonce.proxy.messages import ProxyRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock
    from payonce.proxy.service import ProxyService

PROXY_SCOPE = "proxy:use"
PREFIX = "/proxy"  # the template's route; the rest of the path is the upstream's
# The authorizer has checked this credential. It is for this API, and must not reach the upstream.
_NOT_FORWARDED = frozenset({"authorization"})


def serve(service: ProxyService, clock: Clock, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the proxy response to a REST API event. Never raises."""
    try:
        request = parse_event(event)
        if PROXY_SCOPE not in str(request.claims.get("scopes", "")).split():
            raise Forbidden(f"This API key lacks the scope {PROXY_SCOPE}.")
    except PayonceError as error:
        return to_event(problem(error, keyed=False))
    deadline = Deadline(clock.now_ms() + context.get_remaining_time_in_millis())
    return to_event(service.handle(request, deadline))


def parse_event(event: Mapping[str, Any]) -> ProxyRequest:
    """Return the request in an event. Raises ``BodyMalformed``."""
    caller = event.get("requestContext") or {}
    lines = lines_of(event)
    return ProxyRequest(
        method=str(event.get("httpMethod", "")),
        target=_target(event),
        lines=tuple(line for line in lines if line[0].lower() not in _NOT_FORWARDED),
        body=body_of(event),
        client=str((caller.get("identity") or {}).get("sourceIp", "")),
        scheme="https",
        claims=caller.get("authorizer") or {},
    )


def _target(event: Mapping[str, Any]) -> str:
    """Return path and query for the upstream. API Gateway gives the path as sent, but the query decoded."""
    path = str(event.get("path") or "/")
    if path.startswith(PREFIX + "/"):
        path = path.removeprefix(PREFIX)
    path = quote(path, safe="/!$&'()*+,;=:@-._~%")
    query = event.get("multiValueQueryStringParameters") or {}
    pairs = [(name, value) for name, values in query.items() for value in values]
    return path + (f"?{urlencode(pairs)}" if pairs else "")
