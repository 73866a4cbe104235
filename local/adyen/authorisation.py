"""How a payment becomes final: authorised with its capture to come, refused, or given up by its payer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.adyen.clock import DAY_MS, HOUR_MS
from local.adyen.notifications import notify
from local.adyen.tokenization import named_in_answer, tokenize
from local.adyen.vocabulary import METHODS, Decision, new_reference

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk

AUTH_CODE, CARD_SUMMARY, EXPIRY = "044925", "1111", "03/2030"
_STATES = {"Refused": "refused", "Error": "error", "Cancelled": "cancelled"}


def authorise(desk: Desk, payment: Row, _decision: Decision | None = None) -> None:
    """Authorise ``payment``: it is one executed charge from here on. Its capture follows as the account says."""
    psp_reference, ledger = payment["psp_reference"], desk.ledger
    payment["state"] = "authorised"
    additional = tokenize(desk, payment)
    kept = {name: payment[name] for name in ("state", "stored_method_id", "store_it")}
    ledger.update("payments", {"psp_reference": psp_reference}, **kept)
    ledger.update("operations", {"psp_reference": psp_reference}, status="succeeded")
    reason = f"{AUTH_CODE}:{CARD_SUMMARY}:{EXPIRY}" if payment["method"] == "scheme" else ""
    notify(ledger, payment, "AUTHORISATION", desk.now_ms, reason=reason, additional=additional)
    if payment["capture_delay_hours"] == 0:
        capture_automatically(desk, payment)
    elif payment["capture_delay_hours"] is not None:
        ledger.put_off("capture", psp_reference, desk.now_ms + payment["capture_delay_hours"] * HOUR_MS)
    ledger.put_off("expire", psp_reference, desk.now_ms + desk.settings.authorisation_days * DAY_MS)


def end(desk: Desk, payment: Row, decision: Decision) -> None:
    """End ``payment`` without an authorisation; a notification with ``success`` false says so."""
    key = {"psp_reference": payment["psp_reference"]}
    payment["state"] = _STATES[decision.result_code]
    desk.ledger.update("payments", key, state=payment["state"])
    desk.ledger.update("operations", key, status="failed", reason=decision.refusal_reason)
    notify(desk.ledger, payment, "AUTHORISATION", desk.now_ms, success=False, reason=decision.refusal_reason)


def capture_automatically(desk: Desk, payment: Row) -> None:
    """Capture all that is neither captured nor released."""
    rest_minor = payment["amount_minor"] - payment["captured_minor"] - payment["released_minor"]
    if not rest_minor:
        return  # a zero-value authorisation has nothing to capture
    desk.ledger.add(payment, captured=rest_minor)
    payment["captured_minor"] += rest_minor
    if desk.settings.notify_automatic_capture:
        own = new_reference()
        notify(
            desk.ledger,
            payment,
            "CAPTURE",
            desk.now_ms,
            psp_reference=own,
            original=payment["psp_reference"],
            amount_minor=rest_minor,
        )


def finished_answer(desk: Desk, payment: Row, decision: Decision) -> Row:
    """Return the answer of ``/payments`` or ``/payments/details`` for a final result."""
    answer: Row = {
        "pspReference": payment["psp_reference"],
        "resultCode": decision.result_code,
        "merchantReference": payment["reference"],
    }
    if not decision.authorised:
        answer |= {"refusalReason": decision.refusal_reason, "refusalReasonCode": decision.refusal_code}
        return answer | {"additionalData": {"refusalReasonRaw": decision.raw_reason}}
    answer["amount"] = {"value": payment["amount_minor"], "currency": payment["currency"]}
    answer["paymentMethod"] = {"type": payment["method"], "brand": METHODS[payment["method"]].notified_as}
    additional = {"authCode": AUTH_CODE, "refusalReasonRaw": decision.raw_reason, "acquirerCode": "TestPmmAcquirer"}
    if payment.get("stored_by"):  # this very request has stored it
        additional |= named_in_answer(payment)
    return answer | {"additionalData": additional}
