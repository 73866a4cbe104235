"""Set-ups and saved payment methods as responses and events show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, cast

from payonce.domain.errors import SetupStateConflict
from payonce.domain.gateway import PaymentMethodType
from payonce.domain.setup import MethodStatus, SetupStatus
from payonce.idempotency.json_response import json_response
from payonce.payments.representation import Attempts, NextActionView, declined_response, not_executed_response

if TYPE_CHECKING:
    from payonce.domain.setup import SavedMethod, Setup
    from payonce.idempotency.records import StoredResponse

NOT_SAVED = "The payment method was not saved."


class SetupView(TypedDict):
    """A set-up as merchants see it."""

    id: str
    object: Literal["setup"]
    status: SetupStatus
    customer: str
    payment_method: str
    payment_method_type: PaymentMethodType
    currency: str
    saved_payment_method: Annotated[str | None, "The id of the payment method that was saved; null until then."]
    reference: str | None
    metadata: dict[str, str]
    gateway: str
    attempts: Attempts
    decline_code: str | None
    next_action: NextActionView | None
    created_at_ms: int
    updated_at_ms: int
    version: int


class MandateView(TypedDict):
    """The payer's agreement to be charged later, as the gateway keeps it."""

    id: Annotated[str, "The gateway's own id."]
    status: Literal["active", "revoked"]


class PaymentMethodView(TypedDict):
    """A saved payment method as merchants see it."""

    id: Annotated[str, "What a payment names as its `payment_method`."]
    object: Literal["payment_method"]
    status: MethodStatus
    customer: str
    type: PaymentMethodType
    gateway: str
    mandate: Annotated[MandateView | None, "Null where the gateway keeps no mandate for such a method."]
    made_by: Annotated[str, "The id of the setup or payment that saved it."]
    created_at_ms: int
    updated_at_ms: int
    version: int


def setup_path(setup_id: str) -> str:
    """Return the path of a set-up."""
    return f"/setups/{setup_id}"


def method_path(method_id: str) -> str:
    """Return the path of a saved payment method."""
    return f"/payment_methods/{method_id}"


def setup_view(setup: Setup) -> SetupView:
    """Return a set-up as merchants see it, ready for JSON."""
    return {
        "id": setup.setup_id,
        "object": "setup",
        "status": setup.status,
        "customer": setup.customer,
        "payment_method": setup.payment_method,
        "payment_method_type": setup.payment_method_type,
        "currency": setup.currency,
        "saved_payment_method": setup.saved_method_id,
        "reference": setup.reference,
        "metadata": dict(setup.metadata),
        "gateway": setup.gateway,
        "attempts": setup.attempts,
        "decline_code": setup.decline_code,
        "next_action": cast("NextActionView | None", setup.next_action),
        "created_at_ms": setup.created_at_ms,
        "updated_at_ms": setup.updated_at_ms,
        "version": setup.version,
    }


def method_view(method: SavedMethod) -> PaymentMethodView:
    """Return a saved payment method as merchants see it, ready for JSON."""
    mandate: MandateView | None = None
    if method.mandate_id is not None:
        ended = method.status is MethodStatus.REVOKED
        mandate = {"id": method.mandate_id, "status": "revoked" if ended else "active"}
    return {
        "id": method.method_id,
        "object": "payment_method",
        "status": method.status,
        "customer": method.customer,
        "type": method.payment_method_type,
        "gateway": method.gateway,
        "mandate": mandate,
        "made_by": method.made_by,
        "created_at_ms": method.created_at_ms,
        "updated_at_ms": method.updated_at_ms,
        "version": method.version,
    }


def setup_response(setup: Setup) -> StoredResponse:
    """Return the answer that shows a set-up as it is.

    402 when it was declined or never executed, 202 while it is in doubt, else 201.
    """
    location, view = setup_path(setup.setup_id), setup_view(setup)
    match setup.status:
        case SetupStatus.DECLINED:
            return declined_response(NOT_SAVED, location=location, code=setup.decline_code, setup=view)
        case SetupStatus.FAILED:
            return not_executed_response(location=location, setup=view)
    status = 202 if setup.status is SetupStatus.IN_DOUBT else 201
    return json_response(status, view, location=location)


def method_conflict(method: SavedMethod, consequence: str) -> SetupStateConflict:
    """Return the error about a payment method that is not active."""
    word = "is being revoked" if method.status is MethodStatus.REVOKING else f"is {method.status.value}"
    return SetupStateConflict(
        f"The payment method {word}. {consequence}",
        payment_method_status=method.status.value,
        resource=method_path(method.method_id),
    )
