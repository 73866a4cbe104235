"""The response schemas of the API, for openapi.json, made from the types of its views."""

from __future__ import annotations

import builtins
import types
import typing
from enum import StrEnum
from itertools import chain
from typing import Any, NotRequired, TypedDict, get_args, get_origin

from payonce.corrections import correction_views as corrections
from payonce.domain.events import EventView
from payonce.domain.problems import ProblemView
from payonce.entrypoints import break_routes, key_routes
from payonce.idempotency.inspect import IdempotencyRecordView
from payonce.paging import ListView
from payonce.payments.representation import DisputeView, NextActionView, OperationView, PaymentView
from payonce.payments.setups.views import MandateView, PaymentMethodView, SetupView
from payonce.reconciliation.cases import case_evidence, match_work, merchant
from payonce.webhooks import endpoints, manage, views, webhook_reads

SCHEMAS = "#/components/schemas/"
INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
_NULL: dict[str, Any] = {"type": "null"}
_PLAIN: dict[Any, dict[str, Any]] = {int: INTEGER, str: TEXT, bool: {"type": "boolean"}, types.NoneType: _NULL, Any: {}}


class GatewayMessage(TypedDict):
    """A response that API Gateway makes itself. It capitalizes the name in an authorizer's denial."""

    message: NotRequired[str | None]
    Message: NotRequired[str | None]


VIEWS: tuple[tuple[Any, ...], ...] = (
    (PaymentView, NextActionView, OperationView, DisputeView),
    (SetupView, MandateView, PaymentMethodView),
    (endpoints.WebhookKeyView, endpoints.WebhookEndpointView),
    (webhook_reads.WebhookEndpointHealthView, views.WebhookHealthView),
    (manage.NewWebhookEndpointView, manage.DeletedWebhookEndpointView, manage.TestEventView),
    (views.WebhookAttemptView, views.WebhookDeliveryView, views.WebhookDeliverySummaryView, views.WebhookReplayView),
    (EventView, webhook_reads.EventListView),
    (IdempotencyRecordView, key_routes.IdempotencyRecordListView),
    (ProblemView, GatewayMessage, ListView),
    (merchant.BreakWhyView, merchant.BreakLinksView, case_evidence.BreakEvidenceView, merchant.BreakSummaryView),
    (break_routes.BreakView, corrections.CorrectionNextView, corrections.CorrectionLinksView),
    (corrections.CorrectionView, merchant.BreakCommentView, merchant.BreakChangeView),
    (corrections.CorrectionStepView, corrections.CorrectionAttemptView),
    (merchant.BreakListView, break_routes.BreakHistoryView),
    (match_work.TakenBackView, match_work.MatchView, match_work.MatchListView),
)
# Later versions may add members to what is delivered, and each type of problem has its own. All others are closed.
_OTHERS: dict[Any, dict[str, Any]] = {
    EventView: {"additionalProperties": True},
    ProblemView: {"additionalProperties": True},
    ListView: {},
    GatewayMessage: {"anyOf": [{"required": ["message"]}, {"required": ["Message"]}]},
}


def view_schemas() -> dict[str, Any]:
    """Return the schemas by name, in a stable order."""
    return {_name(view): object_schema(view) for view in chain(*VIEWS)}


def _name(view: Any) -> str:
    return str(view.__name__.removesuffix("View"))


def object_schema(view: Any) -> dict[str, Any]:
    """Return the schema of a view. Annotations with a text become descriptions."""
    members = typing.get_type_hints(view, include_extras=True)
    required = [name for name, kind in members.items() if get_origin(kind) is not NotRequired]
    return {
        "type": "object",
        "properties": {name: _schema(kind) for name, kind in members.items()},
        **({"required": required} if required else {}),
        **_OTHERS.get(view, {"additionalProperties": False}),
    }


def _schema(kind: Any) -> dict[str, Any]:
    arguments = get_args(kind)
    match get_origin(kind):
        case None if typing.is_typeddict(kind):
            return {"$ref": SCHEMAS + _name(kind)}
        case None:
            return {"enum": list(kind)} if kind not in _PLAIN and issubclass(kind, StrEnum) else _PLAIN[kind]
        case typing.NotRequired:
            return _schema(arguments[0])
        case typing.Annotated:
            return {**_schema(arguments[0]), "description": arguments[1]}
        case typing.Literal:
            return {"enum": list(arguments)} if len(arguments) > 1 else {"const": arguments[0]}
        case typing.Union | types.UnionType:
            return _either([_schema(argument) for argument in arguments])
        case builtins.list:
            return {"type": "array", "items": _schema(arguments[0])}
        case _:  # by names
            values = _schema(arguments[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if "enum" in schemas[0] and schemas[1:] == [_NULL]:
        return {"enum": [*schemas[0]["enum"], None]}
    return {"anyOf": schemas}
