"""How Mollie's operations are found again.

Nothing is listed by metadata. ``GET /payments`` lists a profile's payments "from newest to oldest", at most 250 a page,
with no filter (https://docs.mollie.com/reference/list-payments), so that a payment is looked for from now back to the
moment of its submission; of a known customer, whose payments are listed apart, that is short
(https://docs.mollie.com/reference/list-customer-payments). Captures and refunds are listed by payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.exchange import Answered
from payonce.domain.gateway import CANCELED, Declined, NotFound, OperationKind, Pending, Succeeded, Unknown
from payonce.gateways.declines import ALREADY_CAPTURED, declined, overtaken
from payonce.gateways.json_answers import document_of
from payonce.gateways.mollie_answers import PAID, is_error, milliseconds_of, outcome_of, reference_of
from payonce.gateways.mollie_http import part
from payonce.gateways.mollie_money import minor_of
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome
    from payonce.gateways.mollie_http import MollieHttp
    from payonce.ports import Deadline

CLOCKS_DIFFER_MS = 600_000  # a payment is looked for this long before our first submission
LISTS = {OperationKind.CAPTURE: "captures", OperationKind.REFUND: "refunds"}
_UNASKED = Unknown("the gateway could not be asked")


def find(http: MollieHttp, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
    """Return what has become of it. Only a listing that was read whole says ``NotFound``."""
    charge_id, operation_id = part(instruction.gateway_charge_id), part(instruction.gateway_operation_id)
    if instruction.kind is OperationKind.VOID:
        row = http.read(f"/payments/{charge_id}", deadline)
        return _UNASKED if row is None else released(row, instruction)
    if instruction.kind in PAID and not charge_id:
        whose = f"/customers/{part(instruction.customer)}" if instruction.customer else ""
        return _listed(http, f"{whose}/payments", "payments", instruction, deadline)
    if instruction.kind in PAID:
        row = http.read(f"/payments/{charge_id}", deadline)
        return _UNASKED if row is None else outcome_of(row, instruction)
    name = LISTS[instruction.kind]
    path = f"/payments/{charge_id}/{name}"
    if not operation_id:
        return _listed(http, path, name, instruction, deadline)
    answer = http.send("GET", f"{path}/{operation_id}", deadline)
    if isinstance(answer, Answered) and answer.status == 200:
        return outcome_of(document_of(answer.body), instruction)
    if isinstance(answer, Answered) and answer.status == 404 and is_error(answer):
        # "No item with this ID exists, or the refund was canceled." Mollie gave us the id, and the listing decides.
        found = _listed(http, path, name, instruction, deadline)
        return declined(CANCELED) if isinstance(found, NotFound) else found
    return _UNASKED


def _listed(http: MollieHttp, path: str, name: str, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
    since_ms = instruction.first_submitted_at_ms - CLOCKS_DIFFER_MS
    mine: list[Mapping[str, Any]] = []
    for rows in http.pages(path, name, deadline):
        if rows is None:
            return _UNASKED
        mine += [row for row in rows if reference_of(row) == instruction.gateway_reference]
        moments = [milliseconds_of(row.get("createdAt")) for row in rows]
        if moments and moments[-1] is not None and moments[-1] < since_ms:
            break
    if not mine:
        return NotFound()
    outcomes = [outcome_of(row, instruction) for row in mine]
    if len(mine) > 1:
        ids = [str(row.get("id")) for row in mine]
        get_logger().error("two executions under one reference", extra={"objects": ids})
    # What is or may be executed before what is not.
    return min(outcomes, key=lambda one: (Succeeded, Pending, Unknown, Declined).index(_kind_of(one)))


def _kind_of(outcome: Succeeded | Pending | Unknown | Declined) -> type:
    return next(kind for kind in (Succeeded, Pending, Unknown, Declined) if isinstance(outcome, kind))


def released(row: Mapping[str, Any], instruction: Instruction) -> LookupOutcome:
    """Return what a payment says of the release of its authorization, whoever has asked for that.

    A release has no object and no id of its own: "the payment status will change to canceled for payments without
    captures. If there is a successful capture, the payment will transition to paid"
    (https://docs.mollie.com/reference/release-authorization).
    """
    charge_id, currency = instruction.gateway_charge_id or "", instruction.money.currency
    status, held = row.get("status"), isinstance(row.get("authorizedAt"), str)
    amount, captured = minor_of(row.get("amount"), currency), minor_of(row.get("amountCaptured"), currency)
    if row.get("id") != charge_id or amount is None:
        return Unknown("the answer is for another payment", repeatable=True)
    if held and (
        status in {"canceled", "expired"} or (status == "paid" and captured is not None and captured < amount)
    ):
        return Succeeded(charge_id, charge_id)
    if status == "paid":
        return overtaken(ALREADY_CAPTURED)
    if status == "authorized" and instruction.gateway_operation_id:
        return Pending(charge_id, "released once the issuer has done it")
    return Unknown("the payment does not say whether a release was asked for", repeatable=True)
