"""Serves the routes, and enforces the idempotency contract once, for every unsafe method.

No unsafe route can be written without it: the only way to answer is to return ``Work``, which only the idempotency
engine executes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

from payonce.domain.errors import (
    GatewayRefused,
    MisconfiguredError,
    OutcomeUnknown,
    PayonceError,
    StoreRequestInvalid,
    StoreUnavailable,
)
from payonce.entrypoints import api_responses
from payonce.entrypoints.api_requests import Request, parse_event
from payonce.entrypoints.json_body import members_without_card_numbers, parse_json_object
from payonce.idempotency.fingerprint import canonical_json, fingerprint
from payonce.idempotency.keys import parse_key, parse_wait_seconds, record_id
from payonce.idempotency.records import KeyedRequest
from payonce.idempotency.sealed_responses import is_sealed, open_response
from payonce.observability import get_logger
from payonce.overview.request_counts import REPLAYED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.entrypoints.models import StrictModel
    from payonce.idempotency.records import StoredResponse
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

NUMBER = re.compile(r"[0-9]{1,13}", re.ASCII)  # as long as a time in milliseconds
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What both kinds of route have. ``path`` is the template's resource path; ``operation`` is its stable name.

    ``answers`` are the schemas in openapi.json by success status, and ``refusals`` the errors that are the route's own:
    those that any route may raise, or any that takes a key, go without saying.
    """

    method: str
    path: str
    operation: str
    scope: str
    summary: str
    answers: Mapping[int, str]
    refusals: tuple[type[PayonceError], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRoute(Route):
    """A safe route. ``read`` returns a document or its bytes. Without ``query_model`` it takes no parameters.

    Raises ``MisconfiguredError`` when it is declared with an unsafe method.
    """

    read: Callable[[Application, Request, Any], Mapping[str, object] | bytes]
    query_model: type[StrictModel] | None = None

    def __post_init__(self) -> None:
        if self.method in UNSAFE_METHODS:
            raise MisconfiguredError(f"{self.method} {self.path} changes something: declare it as a KeyedRoute.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRoute(Route):
    """An unsafe route: it parses a request into ``Work``, which is executed once per idempotency key.

    ``admit`` may refuse the work before its claim, by raising ``Throttled``. It receives a function that tells, at the
    cost of a read, whether the key is known already: work that has begun is never refused, but finished or replayed.

    ``check`` may refuse it in the same way for another reason than the load, such as that no gateway can do it.

    ``instead`` receives the request, its body and work of which a gateway certainly took nothing, and whose claim is
    given back. It returns the work that takes its place under the same key, or ``None``.

    ``now`` receives a replayed response and returns headers that say where its resource stands now; the response itself
    stays as it was.

    ``after`` receives the work once it is committed. Nothing is lost when it fails or is not reached: it only does at
    once what a schedule would do later.
    """

    body_model: type[StrictModel]
    work: Callable[[Application, Request, Any], Work]
    admit: Callable[[Application, Request, Any, Callable[[], bool]], None] | None = None
    check: Callable[[Application, Request, Any, Callable[[], bool]], None] | None = None
    instead: Callable[[Application, Request, Any, Any], Work | None] | None = None
    now: Callable[[Application, Request, StoredResponse], Mapping[str, str]] | None = None
    after: Callable[[Application, Any], None] | None = None


def by_operation(*routes: Route) -> Mapping[str, Route]:
    """Return the routes by the stable name of their operation."""
    return MappingProxyType({route.operation: route for route in routes})


def handlers_of(
    routes: Mapping[str, Route], application: Application
) -> Callable[[str], Callable[[Mapping[str, Any], Any], dict[str, Any]]]:
    """Return a function from a route's name, such as ``POST /payments``, to the route's Lambda handler.

    It raises ``KeyError`` for a route that is not in ``routes``, so a misconfigured function does not start.
    """
    named = {f"{route.method} {route.path}": route for route in routes.values()}
    return lambda name: partial(serve, named[name], application)


def serve(route: Route, application: Application, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the proxy response to ``event``. Never raises: an unforeseen error is logged and becomes a 500.

    The 500 is made outside the idempotency engine, so it is never stored or replayed.
    """
    request_id = str((event.get("requestContext") or {}).get("requestId", ""))
    page = application.settings.documentation_url
    request = None
    try:
        request = parse_event(event, context, application.clock)
        request.require_scope(route.scope)
        if isinstance(route, KeyedRoute):
            return _serve_keyed(route, application, request)
        if isinstance(route, ReadRoute):
            return _serve_read(route, application, request)
        raise MisconfiguredError(f"{route.operation} is neither a read nor a keyed route.")
    except StoreRequestInvalid:
        # The error does not tell what the request did before, for instance a charge that can't be recorded.
        get_logger().exception("invalid request", extra={"operation": route.operation, "request_id": request_id})
        return api_responses.internal_error(request_id, documentation_url=page)
    except PayonceError as error:
        get_logger().info(
            "refused", extra={"operation": route.operation, "request_id": request_id, "error": type(error).__name__}
        )
        if request is not None:
            application.request_counts.refused(request.merchant_id, error)
        return api_responses.problem(error, keyed=isinstance(route, KeyedRoute), documentation_url=page)
    except Exception:
        get_logger().exception("unforeseen error", extra={"operation": route.operation, "request_id": request_id})
        return api_responses.internal_error(request_id, documentation_url=page)


def _serve_keyed(route: KeyedRoute, application: Application, request: Request) -> dict[str, Any]:
    key = parse_key(request.headers)
    wait_seconds = parse_wait_seconds(request.headers)
    value = parse_json_object(request.body, not_card_numbers=members_without_card_numbers(request.headers))
    from payonce.entrypoints.models import validate  # a keyed route's module has loaded it already

    body = validate(route.body_model, value)
    keyed_request = KeyedRequest(
        scope=request.merchant_id,
        operation=route.operation,
        key=key,
        fingerprint=fingerprint(route.method, route.path, request.path_parameters, canonical_json(value)),
        deadline=request.deadline,
        wait_seconds=wait_seconds,
    )
    work = route.work(application, request, body)
    for may_refuse in (route.admit, route.check):
        if may_refuse is not None:
            may_refuse(application, request, work, lambda: application.engine.knows(keyed_request))
    while True:
        try:
            outcome = application.engine.execute(keyed_request, work)
            break
        except GatewayRefused:
            other = route.instead(application, request, body, work) if route.instead else None
            if other is None:
                raise
            work = other
    if route.after is not None:
        try:
            route.after(application, work)
        except PayonceError as error:
            get_logger().warning(
                "left to the schedule", extra={"operation": route.operation, "error": type(error).__name__}
            )
    if is_sealed(outcome.response):
        sealed_for = record_id(keyed_request.scope, keyed_request.operation, keyed_request.key)
        try:
            opened = open_response(application.cipher, outcome.response, sealed_for)
        except StoreUnavailable as error:
            raise OutcomeUnknown(
                "The request was executed, and its answer can't be opened now. Retry with the same key to get it."
            ) from error
        outcome = replace(outcome, response=opened)
    standing = _replayed(route, application, request, outcome.response) if outcome.replayed else {}
    return api_responses.keyed(outcome, standing)


def _replayed(
    route: KeyedRoute, application: Application, request: Request, response: StoredResponse
) -> Mapping[str, str]:
    """Count a replay, and return the headers that say where its resource stands now."""
    application.request_counts.note(request.merchant_id, REPLAYED)
    return route.now(application, request, response) if route.now else {}


def _serve_read(route: ReadRoute, application: Application, request: Request) -> dict[str, Any]:
    query = _validated_query(route.query_model, request.query)
    return api_responses.plain(route.read(application, request, query))


def _validated_query(model: type[StrictModel] | None, query: Mapping[str, list[str]]) -> StrictModel | None:
    if model is None and not query:
        return None  # the usual case, which does without pydantic: it takes a third of a read's cold start
    from payonce.entrypoints.models import StrictModel, validate

    model = model or StrictModel
    return validate(model, _query_values(model, query))


def _query_values(model: type[StrictModel], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the query's values, converted to numbers where the model has numbers. The last of repeats counts."""
    values: dict[str, Any] = {}
    for name, texts in query.items():
        text = texts[-1]
        field = model.model_fields.get(name)
        wants_number = field is not None and int in (field.annotation, *get_args(field.annotation))
        values[name] = int(text) if wants_number and NUMBER.fullmatch(text) else text
    return values
