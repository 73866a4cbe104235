"""Set-ups and saved methods at Mollie: first payments of nothing, and the mandates that they make.

::

    set-up       a first payment of 0.00, by card or PayPal: "With credit card and Paypal you can even use a payment of
                 € 0,-", https://help.mollie.com/hc/en-us/articles/214072489. It is saved once its mandate is valid
    revocation   DELETE /customers/{id}/mandates/{id}: "You will no longer be able to charge the customer's bank account
                 or card with this mandate", https://docs.mollie.com/reference/revoke-mandate
    revoked?     the mandate is invalid, or its customer has it no more, whoever has ended it

Mollie posts no event about a mandate (the webhook-event-types of its OpenAPI document), so that one that was ended in
its dashboard is noticed when it is charged.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.exchange import Answered, NotSent
from payonce.domain.gateway import (
    Declined,
    MethodSaved,
    NeverSent,
    NotAllowed,
    NotFound,
    OperationKind,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.declines import DECLINED, declined
from payonce.gateways.json_answers import document_of
from payonce.gateways.mollie_answers import is_error, refused
from payonce.gateways.mollie_http import part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.gateways.mollie_http import MollieHttp
    from payonce.ports import Deadline

# "creditcard" leads the payer to Mollie's page, a token is of Mollie's components. No bank account can be the first:
# https://docs.mollie.com/docs/recurring-payments, "Setting up the first payment".
SETUP_METHODS = f"{PaymentMethodType.CARD}:(creditcard|tkn_.+)|{PaymentMethodType.WALLET}:paypal"
MANDATE_METHODS: Mapping[PaymentMethodType, str] = MappingProxyType(
    {
        PaymentMethodType.CARD: "creditcard",
        PaymentMethodType.BANK_DEBIT: "directdebit",
        PaymentMethodType.WALLET: "paypal",
    }
)
VALID, WAITS, ENDED = "valid", "pending", "invalid"
GONE = 410
_ABSENT = frozenset({404, GONE})


def with_mandate[Outcome](
    http: MollieHttp, instruction: Instruction, outcome: Outcome, deadline: Deadline
) -> Outcome | MethodSaved | Succeeded | Pending | Declined | Unknown:
    """Return ``outcome``, once its mandate is found to be what payonce could charge.

    A payment stays executed whatever its mandate is; it is then saved at Mollie alone. A set-up is worth its mandate.
    """
    if not isinstance(outcome, Succeeded) or not _keeps(instruction):
        return outcome
    plain = Succeeded(outcome.gateway_charge_id, outcome.gateway_operation_id)
    token = outcome.token if isinstance(outcome, MethodSaved) else None
    status = None if token is None else _status(http, instruction, token, deadline)
    if status == VALID:
        return outcome
    if instruction.kind is OperationKind.PAYMENT:
        return plain
    if status == WAITS:
        return Pending(outcome.gateway_charge_id, "its mandate is pending")
    if status == ENDED:
        return declined(DECLINED)
    return Unknown("the payment is paid, and its mandate could not be read", repeatable=True)


def revoke(http: MollieHttp, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
    """End the mandate. Mollie heeds keys of POSTs alone, and what is ended can't be ended again."""
    answer = http.send("DELETE", _path(instruction.customer, instruction.payment_method), deadline)
    if isinstance(answer, NotSent):
        return NeverSent(answer.reason)
    if not isinstance(answer, Answered):
        return Unknown(answer.reason, repeatable=True)
    if answer.status == 204:
        return _revoked(instruction)
    if answer.status in _ABSENT and is_error(answer):
        found = find_revocation(http, instruction, deadline)
        return found if isinstance(found, Succeeded) else Unknown("the mandate could not be ended", repeatable=True)
    outcome = refused(answer, instruction)
    return Unknown(outcome.reason, repeatable=True) if isinstance(outcome, Unknown) else outcome


def find_revocation(http: MollieHttp, instruction: Instruction, deadline: Deadline) -> Succeeded | NotFound | Unknown:
    """Return whether the mandate can be charged no more, whoever has caused that."""
    status = _status(http, instruction, instruction.payment_method, deadline)
    if isinstance(status, Unknown):
        return status
    return _revoked(instruction) if status == ENDED else NotFound()


def _status(http: MollieHttp, instruction: Instruction, token: str, deadline: Deadline) -> str | Unknown:
    """Return the status of the customer's mandate; ``ENDED`` also for one that is gone.

    410 is what is left of "an object, which has previously been deleted" (https://docs.mollie.com/overview/handling-errors).
    404 proves it only where the customer is known, or has been: a key of another account finds neither.
    """
    answer = http.send("GET", _path(instruction.customer, token), deadline)
    if not isinstance(answer, Answered):
        return Unknown(answer.reason)
    if answer.status == 200:
        row = document_of(answer.body)
        method = MANDATE_METHODS.get(instruction.payment_method_type)
        named = {"resource": "mandate", "id": token, "customerId": instruction.customer, "method": method}
        ours = all(row.get(name) == expected for name, expected in named.items())
        status = row.get("status")
        known = ours and isinstance(status, str) and status in {VALID, WAITS, ENDED}
        return str(status) if known else Unknown("the answer is for another mandate")
    if answer.status == 404 and is_error(answer):
        answer = http.send("GET", f"/customers/{part(instruction.customer)}", deadline)
        if isinstance(answer, Answered) and answer.status == 200:
            theirs = document_of(answer.body).get("id") == instruction.customer
            return ENDED if theirs else Unknown("the answer is for another customer")
        if not isinstance(answer, Answered):
            return Unknown(answer.reason)
    if answer.status == GONE and is_error(answer):
        return ENDED  # also with the customer
    return (NotAllowed if answer.status in {401, 403} else Unknown)(f"HTTP {answer.status}")


def _keeps(instruction: Instruction) -> bool:
    return instruction.kind is OperationKind.SETUP or instruction.saves_method


def _path(customer: str | None, mandate: str) -> str:
    return f"/customers/{part(customer)}/mandates/{part(mandate)}"


def _revoked(instruction: Instruction) -> Succeeded:
    return Succeeded(instruction.payment_method, instruction.payment_method)
