"""What happens without an API request: disputes by the payer's bank, and actions in Adyen's Customer Area."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.adyen.clock import DAY_MS, iso8601
from local.adyen.modifications import fail_later, receive
from local.adyen.notifications import notify
from local.adyen.stored import disable
from local.adyen.tasks import close_offer, decide_payment, expire
from local.adyen.vocabulary import new_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.adyen.books import Row
    from local.adyen.desk import Desk

DEFENCE_DAYS = 18
# Of each event: the dispute's status, and what becomes of the money (taken from the merchant, given back, or nothing).
DISPUTE_EVENTS = {
    "REQUEST_FOR_INFORMATION": ("Undefended", 0),
    "NOTIFICATION_OF_CHARGEBACK": ("Undefended", 0),
    "DISPUTE_OPENED_WITH_CHARGEBACK": ("Undefended", 0),
    "INFORMATION_SUPPLIED": ("Pending", 0),
    "CHARGEBACK": ("Undefended", -1),
    "CHARGEBACK_REVERSED": ("Pending", 1),
    "SECOND_CHARGEBACK": ("Lost", -1),
    "PREARBITRATION_WON": ("Won", 1),
    "PREARBITRATION_LOST": ("Lost", 0),
    "DISPUTE_DEFENSE_PERIOD_ENDED": ("Expired", 0),
}
MODIFICATIONS = {"capture", "refund", "void", "reversal"}


def dispute(desk: Desk, body: dict[str, Any]) -> Row:
    """Let an event of a dispute happen and return the dispute.

    ``body``: ``event``, the payment's ``reference`` or ``payment_psp_reference``, and optionally ``amount_minor``,
    ``reason``, ``reason_code``. All events of a dispute carry its PSP reference. Raises ``ValueError``.
    """
    event = body.get("event")
    if event not in DISPUTE_EVENTS:
        raise ValueError(f"unknown event; known are {', '.join(sorted(DISPUTE_EVENTS))}")
    payment = _payment(desk, body)
    if not payment["captured_minor"]:
        raise ValueError("nothing was captured: there is nothing to dispute")
    opened = desk.ledger.one("disputes", payment_psp_reference=payment["psp_reference"])
    opened = opened or _open(desk, payment, body.get("amount_minor", payment["captured_minor"]))
    status, direction = DISPUTE_EVENTS[event]
    taken_minor = {-1: opened["amount_minor"], 0: opened["taken_minor"], 1: 0}[direction]
    opened |= {"taken_minor": taken_minor, "events": json.dumps([*json.loads(opened["events"]), event])}
    key = {"psp_reference": opened["psp_reference"]}
    desk.ledger.update("disputes", key, taken_minor=taken_minor, events=opened["events"])
    additional = {
        "chargebackReasonCode": str(body.get("reason_code", "10.4")),
        "chargebackSchemeCode": payment["method"] if payment["method"] != "scheme" else "visa",
        "defendable": "false" if payment["method"] == "sepadirectdebit" else "true",
        "defensePeriodEndsAt": iso8601(opened["created_at_ms"] + DEFENCE_DAYS * DAY_MS),
        "disputeStatus": status,
    }
    told = {"original": payment["psp_reference"], "amount_minor": opened["amount_minor"], "additional": additional}
    reason = str(body.get("reason", "Other Fraud-Card Absent Environment"))
    notify(desk.ledger, payment, str(event), desk.now_ms, **told, **key, reason=reason)
    return opened


def _open(desk: Desk, payment: Row, amount_minor: Any) -> Row:
    opened = {
        "psp_reference": new_reference(),
        "payment_psp_reference": payment["psp_reference"],
        "amount_minor": amount_minor,
        "taken_minor": 0,
        "events": "[]",
        "created_at_ms": desk.now_ms,
    }
    desk.ledger.insert("disputes", opened)
    return opened


def act(desk: Desk, body: dict[str, Any]) -> Row:
    """Do in the Customer Area what ``action`` says to a payment or an operation, and return its row.

    ``capture``, ``refund``, ``void`` and ``reversal`` are modifications without a reference of the merchant's. ``pay``
    and ``fail`` decide on a payment that waits for its payer or a bank, ``close_offer`` and ``expire`` end it, and
    ``fail_operation`` and ``reverse_refund`` undo the modification of ``psp_reference``. ``disable_token`` deletes the
    stored method ``id``. Raises ``ValueError``.
    """
    action = body.get("action")
    if action == "disable_token":
        stored = desk.ledger.one("stored_methods", id=body.get("id"))
        if stored is None:
            raise ValueError("no such stored method")
        disable(desk.ledger, stored, desk.now_ms)
        return stored
    if action in {"fail_operation", "reverse_refund"}:
        operation = desk.ledger.one("operations", psp_reference=body.get("psp_reference"))
        if operation is None:
            raise ValueError("no such operation")
        (fail_later if action == "fail_operation" else _reverse_refund)(desk, operation)
        return operation
    payment = _payment(desk, body)
    if action in MODIFICATIONS:
        amount = {"value": body.get("amount_minor", payment["amount_minor"]), "currency": payment["currency"]}
        request = {"merchantAccount": payment["merchant_account"], "amount": amount}
        return receive(desk, payment["company"], str(action), payment["psp_reference"], request, declined=False)
    if action in {"pay", "fail"}:
        holder = "" if action == "pay" else str(body.get("holder_name", "DECLINED"))
        decide_payment(desk, {**payment, "holder_name": holder})
    elif action in _ENDS:
        _ENDS[str(action)](desk, payment)
    else:
        raise ValueError("unknown action")
    return _payment(desk, {"payment_psp_reference": payment["psp_reference"]})


def _reverse_refund(desk: Desk, refund: Row) -> None:
    """Let the refunded money come back: ``REFUNDED_REVERSED``."""
    if refund["kind"] != "refund" or refund["status"] != "succeeded":
        raise ValueError("only a refund that succeeded can be reversed")
    payment = _payment(desk, refund)
    desk.ledger.add(payment, refunded=-refund["amount_minor"])
    key = {"psp_reference": refund["psp_reference"]}
    desk.ledger.update("operations", key, status="reversed")
    told = {"original": payment["psp_reference"], "amount_minor": refund["amount_minor"]}
    notify(desk.ledger, payment, "REFUNDED_REVERSED", desk.now_ms, **told, **key, reference=refund["reference"])


_ENDS: dict[str, Callable[[Desk, Row], None]] = {"close_offer": close_offer, "expire": expire}


def _payment(desk: Desk, body: Row) -> Row:
    psp_reference = body.get("payment_psp_reference")
    found = (
        desk.ledger.one("payments", psp_reference=psp_reference)
        if psp_reference
        else desk.ledger.one("payments", reference=body.get("reference"))
    )
    if found is None:
        raise ValueError("no such payment")
    return found
