"""The response schemas of the API, for openapi.json, made from the types of its views."""

from __future__ import annotations

import builtins
import types
import typing
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, NotRequired, get_args, get_origin

from payonce.corrections import correction_views as corrections
from payonce.domain.problems import ProblemView
from payonce.entrypoints import break_routes, key_routes
from payonce.idempotency.inspect import IdempotencyRecordView
from payonce.paging import ListView
from payonce.payments import payment_reads
from payonce.payments.representation import DisputeView, NextActionView, OperationView, PaymentView
from payonce.payments.setup_views import MandateView, PaymentMethodView, SetupView
from payonce.reconciliation.cases import case_evidence, match_work, merchant
from payonce.webhooks import endpoints, manage, views, webhook_reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMAS = "#/components/schemas/"
LIST = "List"
INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
_NULL: dict[str, Any] = {"type": "null"}
_PLAIN: dict[Any, dict[str, Any]] = {
    int: INTEGER,
    str: TEXT,
    bool: {"type": "boolean"},
    types.NoneType: _NULL,
    Any: {},
}

VIEWS: tuple[tuple[Any, ...], ...] = (
    (PaymentView, NextActionView, OperationView, DisputeView),
    (payment_reads.PaymentChangeView, payment_reads.JournalEntryView, payment_reads.PostingView),
    (payment_reads.BalanceView,),
    (SetupView, MandateView, PaymentMethodView),
    (endpoints.WebhookKeyView, endpoints.WebhookEndpointView),
    (webhook_reads.WebhookEndpointHealthView, views.WebhookHealthView),
    (manage.NewWebhookEndpointView, manage.DeletedWebhookEndpointView, manage.TestEventView),
    (views.WebhookAttemptView, views.WebhookDeliveryView, views.WebhookDeliverySummaryView, views.WebhookReplayView),
    (webhook_reads.EventListView,),
    (IdempotencyRecordView, key_routes.IdempotencyRecordListView),
    (merchant.BreakWhyView, merchant.BreakLinksView, case_evidence.BreakEvidenceView, merchant.BreakSummaryView),
    (break_routes.BreakView, corrections.CorrectionNextView, corrections.CorrectionLinksView),
    (corrections.CorrectionView, merchant.BreakCommentView, merchant.BreakChangeView),
    (corrections.CorrectionStepView, corrections.CorrectionAttemptView),
    (merchant.BreakListView, break_routes.BreakHistoryView),
    (match_work.TakenBackView, match_work.MatchView, match_work.MatchListView),
)
# Each type of problem has further members. All other views are closed.
_OPEN = frozenset({ProblemView})


def view_schemas(answers: Iterable[str] = ()) -> dict[str, Any]:
    """Return the schemas by name, in a stable order: of the views, of lists of them, and of the enumerations in them.

    ``answers`` are the names that routes answer with. Such a name that ends in "List" and has no view of its own is a
    page of the view without that ending. Raises ``KeyError`` where there is no such view either.
    """
    known = {_name(view): view for view in chain(*VIEWS)}
    lists = [name for name in dict.fromkeys(answers) if name.endswith(LIST) and name not in known]
    kinds = chain.from_iterable(_enumerations(view) for view in known.values())
    return {
        **{kind.__name__: _enumeration(kind) for kind in dict.fromkeys(kinds)},
        **{name: object_schema(view) for name, view in known.items()},
        **{name: _list_schema(_name(known[name.removesuffix(LIST)])) for name in lists},
    }


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
        "additionalProperties": view in _OPEN,
    }


def _list_schema(item: str) -> dict[str, Any]:
    page = object_schema(ListView)
    page["properties"]["data"]["items"] = {"$ref": SCHEMAS + item}
    return page


def _enumeration(kind: type[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [member.value for member in kind]}


def _enumerations(kind: Any) -> Iterator[type[StrEnum]]:
    """Yield the enumerations in a type, and not those of views that it refers to."""
    if typing.is_typeddict(kind):
        for member in typing.get_type_hints(kind, include_extras=True).values():
            if not typing.is_typeddict(member):
                yield from _enumerations(member)
    elif get_origin(kind) is typing.Annotated:
        yield from _enumerations(get_args(kind)[0])
    elif get_args(kind):
        if get_origin(kind) is not typing.Literal:
            for argument in get_args(kind):
                if not typing.is_typeddict(argument):
                    yield from _enumerations(argument)
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        yield kind


def _schema(kind: Any) -> dict[str, Any]:
    arguments = get_args(kind)
    match get_origin(kind):
        case None if typing.is_typeddict(kind):
            return {"$ref": SCHEMAS + _name(kind)}
        case None:
            return _PLAIN[kind] if kind in _PLAIN else {"$ref": SCHEMAS + kind.__name__}
        case typing.NotRequired:
            return _schema(arguments[0])
        case typing.Annotated:
            return {**_schema(arguments[0]), "description": arguments[1]}
        case typing.Literal:
            return _literal(arguments)
        case typing.Union | types.UnionType:
            return {"anyOf": [_schema(argument) for argument in arguments]}
        case builtins.list:
            return {"type": "array", "items": _schema(arguments[0])}
        case _:  # by names
            values = _schema(arguments[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}


def _literal(values: tuple[Any, ...]) -> dict[str, Any]:
    plain = _PLAIN[bool if isinstance(values[0], bool) else str]
    return {**plain, "enum": [*values]} if len(values) > 1 else {**plain, "const": values[0]}
