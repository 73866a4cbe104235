"""Captures, cancels, refunds and reversals: received at once, decided later, told by a notification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.adyen.notifications import notify
from local.adyen.vocabulary import CAPTURE_FAILS, REFUND_FAILS, Refused, amount_of, new_reference

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk

NO_BALANCE = "Insufficient balance on payment"
NOT_CAPTURED = "Transaction hasn't been captured, refund not possible"
NOT_AUTHORISED = "Transaction not authorised"
ALREADY_CAPTURED = "Transaction already captured"
DECLINED = "Declined by the fake's scenario"
# Of the path's last part: the kind in the books, and the event that tells the outcome.
KINDS = {"captures": "capture", "cancels": "void", "refunds": "refund", "reversals": "reversal"}
EVENTS = {
    "capture": "CAPTURE",
    "void": "CANCELLATION",
    "refund": "REFUND",
    "reversal": "CANCEL_OR_REFUND",
    "technical": "TECHNICAL_CANCEL",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a modification; ``action`` says which of the two a reversal was."""

    reason: str = ""
    amount_minor: int | None = None
    action: str = ""

    @property
    def success(self) -> bool:
        """Return whether it was executed."""
        return not self.reason


def receive(desk: Desk, company: str, kind: str, psp_reference: str, body: dict[str, Any], *, declined: bool) -> Row:
    """Accept a modification of the payment with ``psp_reference`` and return the answer ``received``.

    Raises ``Refused`` for an unknown payment or an invalid amount. Whether it can be executed is decided later.
    """
    payment = desk.ledger.one("payments", psp_reference=psp_reference, company=company)
    if payment is None:
        raise Refused(422, "167", "Original pspReference required for this operation")
    answer: Row = {"paymentPspReference": psp_reference}
    amount_minor = None
    if kind in {"capture", "refund"}:
        amount_minor, currency = amount_of(body)
        if currency != payment["currency"]:
            raise Refused(422, "138", "Unsupported currency specified")
        answer["amount"] = {"value": amount_minor, "currency": currency}
    return answer | _received(desk, company, kind, payment, body, amount_minor, declined)


def receive_by_reference(desk: Desk, company: str, body: dict[str, Any], *, declined: bool) -> Row:
    """Accept a cancellation by the payment's merchant reference; that there is no such payment is told later."""
    reference = body.get("paymentReference")
    if not reference:
        raise Refused(422, "130", "Reference Missing")
    payments = desk.ledger.select("payments", reference=reference, company=company)
    answer: Row = {"paymentReference": reference}
    return answer | _received(desk, company, "technical", payments[0] if payments else None, body, None, declined)


def _received(
    desk: Desk,
    company: str,
    kind: str,
    payment: Row | None,
    body: dict[str, Any],
    amount_minor: int | None,
    declined: bool,
) -> Row:
    operation = {
        "psp_reference": new_reference(),
        "payment_psp_reference": payment and payment["psp_reference"],
        "company": company,
        "merchant_account": body["merchantAccount"],
        "kind": kind,
        "reference": body.get("reference") or "",
        "amount_minor": amount_minor,
        "currency": payment and payment["currency"],
        "status": "received",
        "reason": DECLINED if declined else "",
        "created_at_ms": desk.now_ms,
    }
    desk.ledger.insert("operations", operation)
    desk.ledger.put_off("modify", operation["psp_reference"], desk.now_ms + desk.settings.outcome_delay_ms)
    answer: Row = {
        "merchantAccount": operation["merchant_account"],
        "pspReference": operation["psp_reference"],
        "status": "received",
    }
    return answer | ({"reference": operation["reference"]} if operation["reference"] else {})


def decide(desk: Desk, operation: Row) -> None:
    """Execute a modification that was received, or not, and queue its notification."""
    if operation["payment_psp_reference"] is None:
        return _without_payment(desk, operation)
    payment = desk.ledger.one("payments", psp_reference=operation["payment_psp_reference"])
    assert payment is not None, "a payment is never deleted"  # noqa: S101
    outcome = Outcome(operation["reason"]) if operation["reason"] else _execute(desk, payment, operation)
    amount_minor = operation["amount_minor"] or outcome.amount_minor or payment["amount_minor"]
    values = {"status": "succeeded" if outcome.success else "failed", "reason": outcome.reason}
    key = {"psp_reference": operation["psp_reference"]}
    desk.ledger.update("operations", key, **values, amount_minor=amount_minor)
    told = {"original": payment["psp_reference"], "reference": _carried(desk, operation), "amount_minor": amount_minor}
    additional = {"modification.action": outcome.action} if outcome.action else {}
    notify(
        desk.ledger,
        payment,
        EVENTS[operation["kind"]],
        desk.now_ms,
        **told,
        **key,
        success=outcome.success,
        reason=outcome.reason,
        additional=additional,
    )
    failing = {"capture": CAPTURE_FAILS, "refund": REFUND_FAILS}.get(operation["kind"])
    if outcome.success and payment["holder_name"] == failing:
        at_ms = desk.now_ms + max(desk.settings.outcome_delay_ms, 1)
        desk.ledger.put_off(f"fail_{operation['kind']}", operation["psp_reference"], at_ms)


def fail_later(desk: Desk, operation: Row) -> None:
    """Let the scheme reject a capture or refund that had succeeded: ``CAPTURE_FAILED`` or ``REFUND_FAILED``."""
    payment = desk.ledger.one("payments", psp_reference=operation["payment_psp_reference"])
    if payment is None or operation["status"] != "succeeded" or operation["kind"] not in {"capture", "refund"}:
        raise ValueError("only a capture or refund that succeeded can fail later")
    kind, word = operation["kind"], operation["kind"].capitalize()
    taken = {"capture": "captured", "refund": "refunded"}[kind]
    desk.ledger.add(payment, **{taken: -operation["amount_minor"]})
    key = {"psp_reference": operation["psp_reference"]}
    desk.ledger.update("operations", key, status="failed", reason=f"{word} Failed")
    told = {"original": payment["psp_reference"], "amount_minor": operation["amount_minor"]}
    notify(
        desk.ledger,
        payment,
        f"{kind.upper()}_FAILED",
        desk.now_ms,
        **told,
        **key,
        reference=_carried(desk, operation),
        reason=f"{word} Failed",
    )


def _carried(desk: Desk, operation: Row) -> str:
    """Return the merchant reference of the notification, or ``""`` for the payment's."""
    return str(operation["reference"]) if desk.settings.modification_reference == "own" else ""


def _execute(desk: Desk, payment: Row, operation: Row) -> Outcome:
    if payment["state"] != "authorised":
        return Outcome(NOT_AUTHORISED)
    amount_minor = operation["amount_minor"] or 0
    rest_minor = payment["amount_minor"] - payment["captured_minor"] - payment["released_minor"]
    match operation["kind"]:
        case "capture":
            return _capture(desk, payment, amount_minor, rest_minor)
        case "refund":
            return _refund(desk, payment, amount_minor)
        case "reversal" if payment["captured_minor"]:
            left_minor = payment["captured_minor"] - payment["refunded_minor"]
            return Outcome(_refund(desk, payment, left_minor).reason, left_minor, "refund")
        case "reversal":
            return Outcome(_release(desk, payment, rest_minor).reason, rest_minor, "cancel")
        case _:
            if payment["captured_minor"]:
                return Outcome(ALREADY_CAPTURED)
            return _release(desk, payment, rest_minor)


def _capture(desk: Desk, payment: Row, amount_minor: int, rest_minor: int) -> Outcome:
    if not 0 < amount_minor <= rest_minor:
        return Outcome(NO_BALANCE)
    # Without multiple partial captures on the account, what is left is cancelled.
    released = 0 if desk.settings.multiple_partial_captures else rest_minor - amount_minor
    desk.ledger.add(payment, captured=amount_minor, released=released)
    return Outcome()


def _refund(desk: Desk, payment: Row, amount_minor: int) -> Outcome:
    if not payment["captured_minor"]:
        return Outcome(NOT_CAPTURED)
    if not 0 < amount_minor <= payment["captured_minor"] - payment["refunded_minor"]:
        return Outcome(NO_BALANCE)
    desk.ledger.add(payment, refunded=amount_minor)
    return Outcome()


def _release(desk: Desk, payment: Row, rest_minor: int) -> Outcome:
    if rest_minor == 0:
        return Outcome(NO_BALANCE)
    desk.ledger.add(payment, released=rest_minor)
    desk.ledger.update("payments", {"psp_reference": payment["psp_reference"]}, state="cancelled")
    return Outcome()


def _without_payment(desk: Desk, operation: Row) -> None:
    """Say that there was nothing to cancel. The item has no amount of a payment: it is zero."""
    key = {"psp_reference": operation["psp_reference"]}
    desk.ledger.update("operations", key, status="failed", reason=NOT_AUTHORISED)
    nothing = {"merchant_account": operation["merchant_account"], "amount_minor": 0, "currency": "EUR"}
    unknown = {**nothing, "method": "scheme", "reference": operation["reference"], **key}
    notify(desk.ledger, unknown, "TECHNICAL_CANCEL", desk.now_ms, success=False, reason=NOT_AUTHORISED)
