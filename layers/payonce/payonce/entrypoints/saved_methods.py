"""What a payment that names a saved payment method is charged to, and by which gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed
from payonce.domain.setup import is_saved_method
from payonce.payments.setup_items import find_method

if TYPE_CHECKING:
    from payonce.entrypoints.api_requests import Request
    from payonce.entrypoints.models import PaymentBody
    from payonce.payments.operations import NewPayment
    from payonce.ports import Database


def charged_to(database: Database, request: Request, body: PaymentBody, new: NewPayment) -> tuple[NewPayment, str]:
    """Return the payment with what its saved method implies, and the one gateway that may be asked, "" for any.

    No other gateway knows a saved method. Whether it may be charged is a condition of the claim, so that a replay is
    answered as it was whatever has become of the method. Raises ``BodyMalformed`` for a method that this merchant does
    not have, or that is another customer's.
    """
    if not is_saved_method(body.payment_method):
        return new, request.gateway
    saved = find_method(database, request.merchant_id, body.payment_method)
    if saved is None:
        raise BodyMalformed("The request is not valid. /payment_method: There is no such saved payment method.")
    if body.customer not in (None, saved.customer):
        raise BodyMalformed("The request is not valid. /customer: The payment method is another customer's.")
    if "payment_method_type" in body.model_fields_set and body.payment_method_type is not saved.payment_method_type:
        raise BodyMalformed(
            f"The request is not valid. /payment_method_type: The payment method is a {saved.payment_method_type}."
        )
    method_type = saved.payment_method_type
    new = replace(new, saves_method=False)  # it is saved
    new = replace(new, account=saved.account)
    return replace(new, token=saved.token, customer=saved.customer, payment_method_type=method_type), saved.gateway
