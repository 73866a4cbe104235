"""``POST /payments``: what is checked, and what each payment method answers first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.adyen.actions import action_of, native_answer, redirect
from local.adyen.authorisation import authorise, end, finished_answer
from local.adyen.books import spelled
from local.adyen.clock import HOUR_MS
from local.adyen.stored import card_of, check_model, shopper_of, stored_method, stores
from local.adyen.vocabulary import (
    ANSWERED_LATER,
    AUTHENTICATION_REQUIRED,
    METHODS,
    Refused,
    amount_of,
    asks_payer,
    decision_of,
    later_holder,
    new_reference,
    new_token,
)

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk

MAX_METADATA_ENTRIES, MAX_METADATA_KEY, MAX_METADATA_VALUE = 20, 20, 80
MAX_CAPTURE_DELAY_HOURS = 672
MAX_REFERENCE = 80
# What is written into the books of the request, for tests to see; never the payer's card.
KEPT = (
    "additionalData",
    "authenticationData",
    "captureDelayHours",
    "channel",
    "countryCode",
    "mandate",
    "metadata",
    "origin",
    "recurringProcessingModel",
    "returnUrl",
    "shopperEmail",
    "shopperInteraction",
    "shopperReference",
    "shopperStatement",
    "storePaymentMethod",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, the fake's own address for its payers' pages, and the holder's name that a scenario imposes."""

    company: str
    base_url: str
    imposed_holder: str = ""


def start_payment(desk: Desk, origin: Origin, body: dict[str, Any]) -> Row:
    """Book a payment and return its first answer. Raises ``Refused`` for an invalid request."""
    payment = _checked(desk, origin, body)
    desk.ledger.insert("payments", payment)
    desk.ledger.insert("operations", _operation(payment))
    method = METHODS[payment["method"]]
    if payment["method"] == "scheme":
        return _card(desk, origin, payment, body)
    if payment["state"] == "waiting":
        desk.ledger.put_off("close_offer", payment["psp_reference"], desk.now_ms + desk.settings.offer_hours * HOUR_MS)
        return {"resultCode": "RedirectShopper", "action": redirect(origin.base_url, payment)}
    answer: Row = {"resultCode": method.result_code, "merchantReference": payment["reference"]}
    answer["pspReference"] = payment["psp_reference"]
    if method.action:
        answer["action"] = action_of(desk, payment, method.action)
    if payment["method"] == "sepadirectdebit":
        desk.ledger.put_off("decide", payment["psp_reference"], desk.now_ms + desk.settings.bank_delay_ms)
    else:
        hours = desk.settings.voucher_hours
        desk.ledger.put_off("close_offer", payment["psp_reference"], desk.now_ms + hours * HOUR_MS)
    return answer


def _card(desk: Desk, origin: Origin, payment: Row, body: dict[str, Any]) -> Row:
    if asks_payer(payment["holder_name"]) and _absent(body):
        end(desk, payment, AUTHENTICATION_REQUIRED)
        return finished_answer(desk, payment, AUTHENTICATION_REQUIRED)
    if payment["state"] == "waiting":
        desk.ledger.put_off("close_offer", payment["psp_reference"], desk.now_ms + desk.settings.offer_hours * HOUR_MS)
        if payment["native_step"]:
            return native_answer(payment)
        return {
            "resultCode": "RedirectShopper",
            "pspReference": payment["psp_reference"],
            "merchantReference": payment["reference"],
            "action": redirect(origin.base_url, payment),
        }
    if payment["state"] == "received":
        desk.ledger.put_off("decide", payment["psp_reference"], desk.now_ms + desk.settings.bank_delay_ms)
        return {
            "resultCode": "Received",
            "pspReference": payment["psp_reference"],
            "merchantReference": payment["reference"],
        }
    decision = decision_of(payment["holder_name"])
    (authorise if decision.authorised else end)(desk, payment, decision)
    return finished_answer(desk, payment, decision)


def _checked(desk: Desk, origin: Origin, body: dict[str, Any]) -> Row:
    """Return the payment's row, or raise ``Refused``."""
    amount_minor, currency = amount_of(body)
    method, holder_name, stored_id, card = _method(desk, origin, body)
    _check_texts(body)
    if amount_minor < METHODS[method].least_minor:
        raise Refused(422, "137", "Invalid amount specified")
    if body.get("storePaymentMethod") or stored_id is not None:
        check_model(desk, body)
    if method == "scheme":
        state = "waiting" if _asks(body, holder_name) else "received" if holder_name == ANSWERED_LATER else "decided"
    else:
        states = {"RedirectShopper": "waiting", "Received": "received", "Pending": "pending"}
        state = states.get(METHODS[method].result_code, "presented")
    native = method == "scheme" and state == "waiting" and _native(body)
    return {
        "psp_reference": new_reference(),
        "company": origin.company,
        "merchant_account": body["merchantAccount"],
        "reference": body["reference"],
        "amount_minor": amount_minor,
        "currency": currency,
        "method": method,
        "holder_name": holder_name,
        "state": state,
        "captured_minor": 0,
        "refunded_minor": 0,
        "released_minor": 0,
        "capture_delay_hours": _capture_delay(desk, body),
        "token": new_token(),
        "payer_said": None,
        "native_step": desk.settings.native_first if native else None,
        "details_done": 0,
        "return_url": body["returnUrl"],
        "shopper_reference": body.get("shopperReference"),
        "stored_method_id": stored_id,
        "store_it": int(stores(body, method)),
        "card": card,
        "request": spelled({name: body[name] for name in KEPT if name in body}),
        "created_at_ms": desk.now_ms,
    }


def _method(desk: Desk, origin: Origin, body: dict[str, Any]) -> tuple[str, str, str | None, str]:
    """Return the method's type, the holder's name, the id of the stored method if one is used, and the card."""
    given = body.get("paymentMethod")
    if not isinstance(given, dict):
        raise Refused(422, "14_004", "Missing payment method details")
    stored_id = given.get("storedPaymentMethodId")
    if stored_id is None:
        method, holder_name = str(given.get("type")), str(given.get("holderName") or given.get("ownerName") or "")
        card = card_of(given, holder_name)
    else:
        stored = stored_method(desk, origin.company, body, str(stored_id))
        method, holder_name, card = stored["method"], stored["holder_name"], stored["card"]
        if _absent(body):
            holder_name = later_holder(holder_name, authenticated=bool(stored["authenticated"]))
    if method not in METHODS:
        raise Refused(500, "905", "Payment details are not supported", "configuration")
    return method, origin.imposed_holder or holder_name, stored_id, card


def _check_texts(body: dict[str, Any]) -> None:
    reference = body.get("reference")
    if not isinstance(reference, str) or not reference:
        raise Refused(422, "130", "Reference Missing")
    if len(reference) > MAX_REFERENCE:
        raise Refused(422, "132", "Invalid Reference")
    if not body.get("returnUrl"):
        raise Refused(422, "14_030", "Return URL is missing.")
    shopper_of(body)
    metadata = body.get("metadata", {})
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise Refused(422, "177", "Metadata size exceeds limit")
    if any(len(name) > MAX_METADATA_KEY or len(str(value)) > MAX_METADATA_VALUE for name, value in metadata.items()):
        raise Refused(422, "177", "Metadata size exceeds limit")


def _capture_delay(desk: Desk, body: dict[str, Any]) -> int | None:
    """Return the hours until the automatic capture, or ``None`` if the capture has to be requested."""
    if str(body.get("additionalData", {}).get("manualCapture", "")).lower() == "true":
        return None
    hours = body.get("captureDelayHours", desk.settings.capture_delay_hours)
    if hours is not None and not 0 <= hours <= MAX_CAPTURE_DELAY_HOURS:
        raise Refused(422, "000", "captureDelayHours is out of range")
    return None if hours is None else int(hours)


def _asks(body: dict[str, Any], holder_name: str) -> bool:
    """Return whether the payer has to authenticate; never in a payment without the payer (``ContAuth``)."""
    if _absent(body):
        return False
    always = body.get("authenticationData", {}).get("attemptAuthentication") == "always"
    return always or asks_payer(holder_name)


def _absent(body: dict[str, Any]) -> bool:
    return body.get("shopperInteraction") == "ContAuth"


def _native(body: dict[str, Any]) -> bool:
    wanted = body.get("authenticationData", {}).get("threeDSRequestData", {}).get("nativeThreeDS")
    return bool(wanted == "preferred")


def _operation(payment: Row) -> Row:
    same = ("psp_reference", "company", "merchant_account", "reference", "amount_minor", "currency", "created_at_ms")
    kind = "payment" if payment["amount_minor"] else "setup"
    own = {"payment_psp_reference": payment["psp_reference"], "kind": kind, "status": "received", "reason": ""}
    return {**{name: payment[name] for name in same}, **own}
