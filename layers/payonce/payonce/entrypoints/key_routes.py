"""The route that shows the state of an idempotency key to the merchant that used it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict
from urllib.parse import unquote

from payonce.domain.errors import NotFound
from payonce.entrypoints.http import ReadRoute, Route
from payonce.entrypoints.models import StrictModel
from payonce.entrypoints.paths import PATTERNS
from payonce.extras import needs
from payonce.idempotency.inspect import IdempotencyRecordView, inspect_keys

with needs("functions"):
    from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.entrypoints.api_requests import Request
    from payonce.wiring.application import Application

# "#" separates the parts of a record's id: without it, no operation can reach another merchant's records.
OPERATION_PATTERN = '^[!-"$-~]{1,128}$'


class IdempotencyRecordListView(TypedDict):
    """The records of a key, one an operation."""

    object: Literal["list"]
    data: list[IdempotencyRecordView]


class KeyQuery(StrictModel):
    """Query of ``GET /idempotency-keys/{idempotency_key}``."""

    operation: (
        Annotated[
            str,
            Field(
                pattern=OPERATION_PATTERN,
                description="Only this operation, such as create_payment; also tells of a claim that was given back.",
            ),
        ]
        | None
    ) = None


def key_routes(operations: Callable[[], Sequence[str]]) -> tuple[Route, ...]:
    """Return the routes. ``operations`` returns those that take a key, for queries that name none."""

    def read(application: Application, request: Request, query: KeyQuery) -> IdempotencyRecordListView:
        views = inspect_keys(
            application.store,
            application.audit_trail,
            request.merchant_id,
            operations() if query.operation is None else [query.operation],
            _readings(request.path_parameters.get("idempotency_key", "")),
            now_ms=application.clock.now_ms(),
        )
        if not views:
            raise NotFound("This key was not used in your account, or its records were deleted.")
        return {"object": "list", "data": views}

    return (
        ReadRoute(
            method="GET",
            path="/idempotency-keys/{idempotency_key}",
            operation="get_idempotency_key",
            scope="idempotency:read",
            summary="Read what became of an idempotency key, by operation",
            answers={200: "IdempotencyRecordList"},
            read=read,
            query_model=KeyQuery,
        ),
    )


def _readings(text: str) -> list[str]:
    """Return the possible keys in a path segment: unchanged, and percent-decoded.

    API Gateways and clients differ in how they encode and decode. Both readings are looked up in the same round trip.
    """
    keys = [key for key in dict.fromkeys((text, unquote(text))) if re.fullmatch(PATTERNS["idempotency_key"], key)]
    if not keys:
        raise NotFound("There is no such key. An idempotency key has 16 to 255 visible ASCII characters.")
    return keys
