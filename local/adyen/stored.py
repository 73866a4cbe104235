"""Stored payment methods: ``storePaymentMethod`` with a ``shopperReference``, and ``/storedPaymentMethods``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.adyen.vocabulary import ASKS_FOR_AUTHENTICATION, Refused, new_reference
from local.sandbox_bank.behaviour import MAGIC_TOKENS

if TYPE_CHECKING:
    from local.adyen.books import Ledger, Row

# `STORED_<HOLDER>` is a card of that holder, which every shopper has: `STORED_NOT_ENOUGH_BALANCE` is refused.
PREDEFINED = "STORED_"
REQUIRES_ACTION = "pm_sandbox_requires_action"
_NOT_FOUND = (422, "803", "PaymentDetail not found")


def stored_method(ledger: Ledger, company: str, shopper_reference: Any, stored_id: str) -> Row:
    """Return method and holder's name of a stored method. Raises ``Refused`` if this shopper has none by that id."""
    if not shopper_reference:
        raise Refused(422, "000", "shopperReference is missing")
    if stored_id.startswith(PREDEFINED):
        return {"method": "scheme", "holder_name": stored_id.removeprefix(PREDEFINED).replace("_failed", " failed")}
    if stored_id == REQUIRES_ACTION:
        return {"method": "scheme", "holder_name": ASKS_FOR_AUTHENTICATION}
    if stored_id in MAGIC_TOKENS or stored_id.startswith("pm_"):
        return {"method": "scheme", "holder_name": ""}
    found = ledger.one("stored_methods", company=company, shopper_reference=shopper_reference, id=stored_id)
    if found is None:
        raise Refused(*_NOT_FOUND)
    return found


def store_method(ledger: Ledger, payment: Row, now_ms: int) -> str:
    """Store the payment method of an authorised payment and return its id."""
    models = json.loads(payment["request"]).get("recurringProcessingModel", "CardOnFile")
    row = {
        "id": new_reference(),
        "company": payment["company"],
        "merchant_account": payment["merchant_account"],
        "shopper_reference": payment["shopper_reference"],
        "method": payment["method"],
        "holder_name": payment["holder_name"],
        "models": models,
        "created_at_ms": now_ms,
    }
    ledger.insert("stored_methods", row)
    return str(row["id"])


def list_stored(ledger: Ledger, company: str, query: dict[str, str]) -> Row:
    """Return what ``GET /storedPaymentMethods`` answers: the methods of one shopper."""
    shopper_reference = query.get("shopperReference", "")
    rows = ledger.select("stored_methods", company=company, shopper_reference=shopper_reference)
    methods = [
        {
            "id": row["id"],
            "type": row["method"],
            "brand": "visa",
            "holderName": row["holder_name"],
            "lastFour": "1111",
            "expiryMonth": "03",
            "expiryYear": "30",
            "shopperReference": shopper_reference,
            "supportedRecurringProcessingModels": ["CardOnFile", "Subscription", "UnscheduledCardOnFile"],
        }
        for row in rows
    ]
    given = {"merchantAccount": query.get("merchantAccount", ""), "shopperReference": shopper_reference}
    return {**given, "storedPaymentMethods": methods}


def forget(ledger: Ledger, company: str, stored_id: str, query: dict[str, str]) -> None:
    """Delete a stored method. Raises ``Refused`` if the shopper has none by that id."""
    shopper_reference = query.get("shopperReference", "")
    if not ledger.delete("stored_methods", company=company, shopper_reference=shopper_reference, id=stored_id):
        raise Refused(*_NOT_FOUND)
