"""A decorator for Lambda handlers behind API Gateway (payload formats 1.0 and 2.0), function URLs, and load balancers.

It takes any handler of ``(event, context)``, also one that Powertools' event handler resolves. What the handler returns
is stored as the answer that API Gateway makes of it, and given back in the event's own format.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import functools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from payonce.domain.errors import PayonceError
from payonce.middlewares.answer import Answer
from payonce.middlewares.guard import AppFailed, Guard
from payonce.middlewares.scopes import scope_text
from payonce.ports import Deadline
from payonce.proxy.function_events import body_of, lines_of, to_event
from payonce.proxy.messages import ProxyRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.middlewares.contract import Contract
    from payonce.proxy.messages import Lines, ProxyResponse

    type Event = Mapping[str, Any]
    type Handler = Callable[[dict[str, Any], Any], Any]
    type Identity = str | int | None


def idempotent_handler(
    contract: Contract, *, scope: Callable[[dict[str, Any]], Identity]
) -> Callable[[Handler], Handler]:
    """Return a decorator for a handler. ``scope`` returns whose request an event is: see ``AsgiIdempotency``.

    A claim ends with the function's own time at the latest, and ``contract.timeout_seconds`` need not be longer.
    """
    guard = Guard(contract)

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def guarded(event: dict[str, Any], context: Any) -> Any:
            return _serve(guard, scope, handler, event, context)

        return guarded

    return decorate


def _serve(guard: Guard, scope: Callable[..., Identity], handler: Handler, event: dict[str, Any], context: Any) -> Any:
    is_second = event.get("version") == "2.0"
    method, target = _method(event), _target(event)
    lines = _lines(event)
    if not guard.contract.takes(method, target, {name.lower() for name, _ in lines}):
        return handler(event, context)
    try:
        owner = scope_text(scope(event))
        body = body_of(event)
        guard.check_length(len(body))
    except PayonceError as error:
        return _returned(guard.problem(error), event)
    request = ProxyRequest(method=method, target=target, lines=lines, body=body)
    end = _end(guard, context)

    def answer() -> Answer:
        return _answer(handler(event, context), is_second=is_second, limit_bytes=guard.contract.largest_answer_bytes)

    try:
        return _returned(guard.serve(request, owner, answer, end), event)
    except AppFailed as failed:
        raise failed.error from failed.error.__cause__


def _end(guard: Guard, context: Any) -> Deadline | None:
    """Return when the function is ended, or ``None`` outside of Lambda, where tests pass a context of their own."""
    remaining_ms = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining_ms is None else Deadline(guard.contract.clock.now_ms() + int(remaining_ms()))


def _method(event: Event) -> str:
    described = (event.get("requestContext") or {}).get("http") or {}
    return str(event.get("httpMethod") or described.get("method") or "").upper()


def _target(event: Event) -> str:
    """Return path and query. Format 2.0 has both as sent; format 1.0 has the query decoded."""
    if event.get("version") == "2.0":
        path, query = str(event.get("rawPath") or "/"), str(event.get("rawQueryString") or "")
    else:
        path = str(event.get("path") or "/")
        many = event.get("multiValueQueryStringParameters") or {
            name: [value] for name, value in (event.get("queryStringParameters") or {}).items()
        }
        query = urlencode([(name, value) for name, values in many.items() for value in values])
    path = quote(path, safe="/!$&'()*+,;=:@-._~%")
    return f"{path}?{query}" if query else path


def _lines(event: Event) -> Lines:
    cookies = event.get("cookies") or ()
    return (*lines_of(event), *(("cookie", str(cookie)) for cookie in cookies))


def _answer(returned: Any, *, is_second: bool, limit_bytes: int) -> Answer:
    """Return the answer that API Gateway makes of what a handler returned.

    Raises ``TypeError`` for what format 1.0 has no answer for: API Gateway would answer 502.
    """
    if not (isinstance(returned, dict) and "statusCode" in returned):
        if not is_second:
            raise TypeError("The handler returned no dict with a statusCode, which payload format 1.0 requires.")
        body = (returned if isinstance(returned, str) else json.dumps(returned, default=_number)).encode()
        return Answer(200, (("Content-Type", "application/json"),), body if len(body) <= limit_bytes else None)
    many = returned.get("multiValueHeaders") or {}
    lines = [(str(name), _text(value)) for name, values in many.items() for value in values]
    names = {name.lower() for name, _ in lines}
    lines += [(str(n), _text(v)) for n, v in (returned.get("headers") or {}).items() if str(n).lower() not in names]
    lines += [("Set-Cookie", str(cookie)) for cookie in returned.get("cookies") or ()]
    text = returned.get("body")
    if text is not None and not isinstance(text, str):
        raise TypeError(f"The handler's body is a {type(text).__name__}, and must be a str.")
    body = base64.b64decode(text or "") if returned.get("isBase64Encoded") else (text or "").encode()
    return Answer(int(returned["statusCode"]), tuple(lines), body if len(body) <= limit_bytes else None)


def _number(value: Any) -> int | float:
    """Return a number of boto3's as one of JSON: Lambda's runtime takes ``Decimal``, and refuses other types."""
    if not isinstance(value, Decimal):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _returned(response: ProxyResponse, event: Event) -> dict[str, Any]:
    """Return the answer in the event's format. A load balancer without multi-value headers reads only ``headers``."""
    made = to_event(response)
    repeated: dict[str, list[str]] = made.pop("multiValueHeaders")
    if event.get("version") == "2.0":
        cookies = repeated.pop("Set-Cookie", [])
        made["headers"] = {name: ", ".join(values) for name, values in repeated.items()}
        return {**made, "cookies": cookies} if cookies else made
    if "multiValueHeaders" in event or "headers" not in event:
        return {**made, "multiValueHeaders": repeated}
    return {**made, "headers": {name: ", ".join(values) for name, values in repeated.items()}}
