"""Stored payment methods: ``storePaymentMethod`` with a ``shopperReference``, and ``/storedPaymentMethods``.

https://docs.adyen.com/online-payments/tokenization/create-tokens and
https://docs.adyen.com/online-payments/tokenization/managing-tokens
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.adyen.clock import iso8601
from local.adyen.notifications import notify_token
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


def store_method(ledger: Ledger, payment: Row, now_ms: int) -> tuple[str, str]:
    """Store the payment method of an authorised payment. Return its id, and ``created`` or ``alreadyExisting``.

    A method that the shopper has already keeps its id.
    """
    same = {name: payment[name] for name in ("company", "shopper_reference", "method", "holder_name")}
    known = ledger.one("stored_methods", **same)
    if known is not None:
        notify_token(ledger, known, "alreadyExisting", payment["psp_reference"], now_ms)
        return str(known["id"]), "alreadyExisting"
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
        "first_psp_reference": payment["psp_reference"],
    }
    ledger.insert("stored_methods", row)
    notify_token(ledger, row, "created", payment["psp_reference"], now_ms)
    return str(row["id"]), "created"


def list_stored(ledger: Ledger, company: str, query: dict[str, str]) -> Row:
    """Return what ``GET /storedPaymentMethods`` answers: the methods of one shopper."""
    shopper_reference = query.get("shopperReference", "")
    rows = ledger.select("stored_methods", company=company, shopper_reference=shopper_reference)
    given = {"merchantAccount": query.get("merchantAccount", ""), "shopperReference": shopper_reference}
    return {**given, "storedPaymentMethods": [_listed(row) for row in rows]}


def _listed(row: Row) -> Row:
    listed = {
        "id": row["id"],
        "type": row["method"],
        "createdAt": iso8601(row["created_at_ms"]),
        "firstPspReference": row["first_psp_reference"],
        "shopperReference": row["shopper_reference"],
        "supportedRecurringProcessingModels": ["CardOnFile", "Subscription", "UnscheduledCardOnFile"],
    }
    if row["method"] != "scheme":
        return {**listed, "ownerName": row["holder_name"]}
    card = {"brand": "visa", "name": "VISA", "lastFour": "1111", "expiryMonth": "03", "expiryYear": "30"}
    return {**listed, **card, "holderName": row["holder_name"]}


def forget(ledger: Ledger, company: str, stored_id: str, query: dict[str, str], now_ms: int) -> None:
    """Delete a stored method, and tell so. Raises ``Refused`` for a foreign account and an id that is unknown."""
    if not query.get("merchantAccount", "").startswith(company):
        raise Refused(403, "901", "Invalid Merchant Account", "security")
    shopper_reference = query.get("shopperReference", "")
    known = ledger.one("stored_methods", company=company, shopper_reference=shopper_reference, id=stored_id)
    if known is None:
        raise Refused(*_NOT_FOUND)
    disable(ledger, known, now_ms)


def disable(ledger: Ledger, stored: Row, now_ms: int) -> None:
    """Let a stored method be no longer there, by a request or by the Customer Area: ``recurring.token.disabled``."""
    ledger.delete("stored_methods", id=stored["id"])
    notify_token(ledger, stored, "disabled", new_reference(), now_ms)
