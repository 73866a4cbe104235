"""The problem types of openapi.json: a schema for each with all its members, and which of them a route answers."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from payonce.domain import errors, problems
from payonce.domain.payment import PaymentStatus
from payonce.domain.problems import PROBLEM_CONTENT_TYPE, PROBLEMS, TYPE_PREFIX, ProblemType, ProblemView
from payonce.domain.webhooks import DeliveryStatus
from payonce.entrypoints.http import KeyedRoute
from payonce.entrypoints.view_schemas import SCHEMAS, object_schema
from payonce.payments.representation import OperationView, PaymentView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.entrypoints.http import Route


class FieldErrorView(TypedDict):
    """What is wrong with one member of the request: ``pointer`` is a JSON pointer (RFC 6901) into the body or query."""

    pointer: str
    detail: str


class _Errors(TypedDict):
    errors: NotRequired[list[FieldErrorView]]


class _Resource(TypedDict):
    resource: NotRequired[str]


class _RequestId(TypedDict):
    request_id: NotRequired[str]


class _PaymentState(_Resource):
    payment_status: PaymentStatus
    operation: NotRequired[OperationView]


class _Amount(_Resource):
    available_minor: int


class _Delivery(_Resource):
    delivery_status: DeliveryStatus


class _NotExecuted(TypedDict):
    payment: NotRequired[PaymentView]
    operation: NotRequired[OperationView]


class _Declined(_NotExecuted):
    code: str


# The members beside RFC 9457's and `retryable`. A type that is not here has none.
MEMBERS: Mapping[str, Any] = MappingProxyType(
    {
        "invalid-request": _Errors,
        "payment-state": _PaymentState,
        "amount-exceeds-available": _Amount,
        "endpoint-state": _Resource,
        "delivery-state": _Delivery,
        "key-reused": _Resource,
        "key-expired": _Resource,
        "internal": _RequestId,
        "declined": _Declined,
        "not-executed": _NotExecuted,
    }
)
_BAD_GATEWAY = replace(problems.OUTCOME_UNKNOWN, status=502)
# API Gateway answers some of these itself, before any function runs: `GatewayResponses` in template.yaml.
EVERYWHERE = (
    PROBLEMS[errors.BodyMalformed],
    PROBLEMS[errors.Unauthenticated],
    PROBLEMS[errors.Forbidden],
    PROBLEMS[errors.NotFound],
    PROBLEMS[errors.BodyTooLarge],
    PROBLEMS[errors.Throttled],
    problems.INTERNAL,
    _BAD_GATEWAY,
    PROBLEMS[errors.StoreUnavailable],
    problems.OUTCOME_UNKNOWN,
)
KEYED = (
    PROBLEMS[errors.KeyMissing],
    PROBLEMS[errors.KeyMalformed],
    PROBLEMS[errors.CardNumberRefused],
    PROBLEMS[errors.ResponseNotStorable],
    PROBLEMS[errors.KeyInProgress],
    PROBLEMS[errors.KeyExpired],
    PROBLEMS[errors.KeyReused],
)
AT_A_GATEWAY = (problems.DECLINED, problems.NOT_EXECUTED, PROBLEMS[errors.GatewayUnavailable])
TEXTS: Mapping[int, str] = MappingProxyType(
    {
        400: "The request or its idempotency key is not valid; nothing was stored",
        401: "The API key is missing or not known",
        402: "Declined or not executed; final and replayed",
        403: "The API key may not do this, or the firewall refused the request",
        404: "There is no such resource, or no such route",
        409: "Still in progress, expired, or not possible in the resource's state",
        413: "The body is too large",
        422: "The idempotency key belongs to a different request",
        429: "More is asked for than is taken now; nothing was stored. Retry with the same key after `Retry-After`. A "
        "key whose payment has begun is never answered like this by admission control",
        500: "Unforeseen; a retry with the same key is safe",
        502: "It may have been executed. Retry with the same key and no other",
        503: "This request did nothing, and nothing will be done because of it; retry with the same key",
        504: "Not answered in time, or not known: it may have been executed. Retry with the same key and no other",
    }
)
MAY_SAY_WHEN = frozenset({409, 429, 503, 504})
STORED = frozenset({402, 409})


def asks_a_gateway(route: Route) -> bool:
    """Return whether the route moves money: its answer may be the outcome, or that the outcome is in doubt."""
    return {201, 202} <= set(route.answers)


def problems_of(route: Route) -> list[ProblemType]:
    """Return every problem type that the route or API Gateway may answer, with its status."""
    found = [*EVERYWHERE]
    if isinstance(route, KeyedRoute):
        found += KEYED
    if asks_a_gateway(route):
        found += AT_A_GATEWAY
    return [*found, *(PROBLEMS[error] for error in route.refusals)]


def problem_responses(kinds: Iterable[ProblemType], texts: Mapping[int, str] = TEXTS) -> dict[str, Any]:
    """Return the responses by status. A status with several types has one of their schemas, told apart by ``type``.

    There is no ``discriminator``: ``type`` is constant in each schema, which says the same, and openapi-typescript
    makes ``never`` of some discriminated unions (https://github.com/openapi-ts/openapi-typescript/issues/2775).
    """
    by_status: dict[int, list[ProblemType]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _response(status, texts[status], found) for status, found in sorted(by_status.items())}


def _response(status: int, text: str, kinds: list[ProblemType]) -> dict[str, Any]:
    references = [{"$ref": SCHEMAS + schema_name(slug)} for slug in dict.fromkeys(kind.slug for kind in kinds)]
    schema = references[0] if len(references) == 1 else {"oneOf": references}
    headers = {}
    if status in MAY_SAY_WHEN:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if status in STORED:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    return {
        "description": text,
        **({"headers": headers} if headers else {}),
        "content": {PROBLEM_CONTENT_TYPE: {"schema": schema}},
    }


def schema_name(slug: str) -> str:
    """Return the name of a problem type's schema: ``KeyReusedProblem`` for ``key-reused``."""
    return "".join(part.capitalize() for part in slug.split("-")) + "Problem"


def problem_schemas(names: Iterable[str], examples: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return the schemas of these names, and of what they refer to. ``examples`` are documents by slug."""
    kinds: dict[str, list[ProblemType]] = {}
    every = (*PROBLEMS.values(), *EVERYWHERE, *AT_A_GATEWAY)
    for kind in every:
        kinds.setdefault(schema_name(kind.slug), []).append(kind)
    wanted = sorted(set(names) & set(kinds))
    made = {name: _problem_schema(kinds[name], examples.get(kinds[name][0].slug)) for name in wanted}
    return {"FieldError": object_schema(FieldErrorView), **made} if made else {}


def _problem_schema(kinds: list[ProblemType], example: Any) -> dict[str, Any]:
    first = kinds[0]
    statuses = sorted({kind.status for kind in kinds})
    common = object_schema(ProblemView)
    further = object_schema(MEMBERS[first.slug]) if first.slug in MEMBERS else {"properties": {}}
    known = {
        "type": {"type": "string", "const": TYPE_PREFIX + first.slug},
        "title": {"type": "string", "const": first.title},
        "status": {"type": "integer", "enum": statuses}
        if len(statuses) > 1
        else {"type": "integer", "const": statuses[0]},
        "retryable": {**common["properties"]["retryable"], "const": first.retryable},
    }
    return {
        "type": "object",
        "description": f"{first.title}. What to do: docs/problems.md#{first.slug}",
        "properties": {**common["properties"], **known, **further["properties"]},
        "required": [*common["required"], *further.get("required", ())],
        "additionalProperties": True,
        **({} if example is None else {"examples": [example]}),
    }


def named_in(document: str) -> set[str]:
    """Return the names of the schemas that a document refers to."""
    return set(re.findall(rf'"{re.escape(SCHEMAS)}(\w+)"', document))
