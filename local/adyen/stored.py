"""Stored payment methods: what ``/storedPaymentMethods`` lists, stores and deletes, and what a payment finds.

https://docs.adyen.com/online-payments/tokenization/create-tokens and
https://docs.adyen.com/online-payments/tokenization/managing-tokens. A token belongs to a shopper on a merchant account:
https://docs.adyen.com/online-payments/classic-integrations/classic-api-integration/tokenization
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.adyen.books import digest
from local.adyen.clock import iso8601
from local.adyen.notifications import notify_token
from local.adyen.vocabulary import ALWAYS_ASKS, ASKS_FOR_AUTHENTICATION, METHODS, Refused, new_reference
from local.sandbox_bank.behaviour import MAGIC_TOKENS

if TYPE_CHECKING:
    from local.adyen.books import Ledger, Row
    from local.adyen.desk import Desk

# `STORED_<HOLDER>` is a card of that holder, which every shopper has: `STORED_NOT_ENOUGH_BALANCE` is refused.
PREDEFINED = "STORED_"
REQUIRES_ACTION = "pm_sandbox_requires_action"
PROCESSING_MODELS = ("CardOnFile", "Subscription", "UnscheduledCardOnFile")
MIN_SHOPPER, MAX_SHOPPER = 3, 256
# https://help.adyen.com/knowledge/ecommerce-integrations/error-codes/why-do-i-receive-a-803-paymentdetail-not-found-error
# and https://www.adyen.help/hc/en-us/articles/360014369800-Why-do-I-receive-a-800-Contract-not-found-error-; the answer
# of the second is in https://github.com/Adyen/adyen-salesforce-commerce-cloud/issues/375
_NOT_FOUND = (422, "803", "PaymentDetail not found")
_NO_CONTRACT = (422, "800", "Contract not found")
_FOREIGN = (403, "901", "Invalid Merchant Account", "security")


def shopper_of(body: dict[str, Any]) -> str | None:
    """Return the shopper reference, or ``None``. Raises ``Refused`` for one of a length that is not allowed."""
    shopper = body.get("shopperReference")
    if shopper is not None and not MIN_SHOPPER <= len(str(shopper)) <= MAX_SHOPPER:
        raise Refused(422, "000", "shopperReference has from 3 to 256 characters")
    return shopper


def check_model(desk: Desk, body: dict[str, Any]) -> None:
    """Raise ``Refused`` unless the request says what kind of payments the token is for, which v70 and later need."""
    model = body.get("recurringProcessingModel")
    if model not in PROCESSING_MODELS and (model is not None or desk.settings.needs_processing_model):
        raise Refused(422, "000", "recurringProcessingModel is missing or invalid")


def stored_method(desk: Desk, company: str, body: dict[str, Any], stored_id: str) -> Row:
    """Return the stored method that a payment names. Raises ``Refused`` if this shopper has none by that id."""
    shopper_reference = body.get("shopperReference")
    if not shopper_reference:
        raise Refused(422, "000", "shopperReference is missing")
    card: Row = {"method": "scheme", "authenticated": 0, "card": stored_id}
    if stored_id.startswith(PREDEFINED):
        holder = stored_id.removeprefix(PREDEFINED)
        holder = holder if holder == ALWAYS_ASKS else holder.replace("_failed", " failed")
        return {**card, "holder_name": holder}
    if stored_id == REQUIRES_ACTION:
        return {**card, "holder_name": ASKS_FOR_AUTHENTICATION}
    if stored_id in MAGIC_TOKENS or stored_id.startswith("pm_"):
        return {**card, "holder_name": ""}
    return _known(desk, company, body["merchantAccount"], str(shopper_reference), stored_id)


def _known(desk: Desk, company: str, merchant_account: str, shopper_reference: str, stored_id: str) -> Row:
    rows = stored_of(desk, company, merchant_account, shopper_reference)
    for row in rows:
        if row["id"] == stored_id:
            return row
    raise Refused(*(_NOT_FOUND if rows else _NO_CONTRACT))


def stored_of(desk: Desk, company: str, merchant_account: str, shopper_reference: str) -> list[Row]:
    """Return a shopper's stored methods, oldest first, without those that are still to come into being."""
    whose = {"company": company, "merchant_account": merchant_account, "shopper_reference": shopper_reference}
    return [row for row in desk.ledger.select("stored_methods", **whose) if row["created_at_ms"] <= desk.now_ms]


def card_of(given: dict[str, Any], holder_name: str) -> str:
    """Return what tells one card or account from another: never its number."""
    named = [given.get(name) for name in ("encryptedCardNumber", "encryptedCard", "iban")]
    return digest([*named, holder_name])


def list_stored(desk: Desk, company: str, query: dict[str, str]) -> Row:
    """Return what ``GET /storedPaymentMethods`` answers: the methods of one shopper. Raises ``Refused``."""
    account, shopper = query.get("merchantAccount", ""), query.get("shopperReference", "")
    if not account.startswith(company):
        raise Refused(*_FOREIGN)
    rows = stored_of(desk, company, account, shopper)
    listed = [_listed(row) for row in rows]
    return {"merchantAccount": account, "shopperReference": shopper, "storedPaymentMethods": listed}


def _listed(row: Row) -> Row:
    listed = {
        "id": row["id"],
        "type": row["method"],
        "createdAt": iso8601(row["created_at_ms"]),
        "shopperReference": row["shopper_reference"],
        "supportedRecurringProcessingModels": list(PROCESSING_MODELS),
    }
    if row["first_psp_reference"]:  # what was stored without a payment has none
        listed["firstPspReference"] = row["first_psp_reference"]
    if row["method"] != "scheme":
        return {**listed, "ownerName": row["holder_name"]}
    card = {"brand": "visa", "name": "VISA", "lastFour": "1111", "expiryMonth": "03", "expiryYear": "30"}
    return {**listed, **card, "holderName": row["holder_name"]}


def store(desk: Desk, row: Row, event_id: str, created_at_ms: int) -> tuple[str, str]:
    """Store a method from ``created_at_ms`` on, and tell so then. Return its id, ``created`` or ``alreadyExisting``.

    ``row`` has the owner, the method and what tells it from others. What the shopper has already keeps its id.
    """
    same = {name: row[name] for name in ("company", "merchant_account", "shopper_reference", "method", "card")}
    known = desk.ledger.one("stored_methods", **same)
    if known is not None:
        happened_at_ms = max(created_at_ms, known["created_at_ms"])
        notify_token(desk.ledger, known, "alreadyExisting", event_id, happened_at_ms)
        return str(known["id"]), "alreadyExisting"
    made = {"id": new_reference(), **row, "created_at_ms": created_at_ms}
    desk.ledger.insert("stored_methods", made)
    notify_token(desk.ledger, made, "created", event_id, created_at_ms)
    return str(made["id"]), "created"


def store_without_payment(desk: Desk, company: str, body: dict[str, Any]) -> Row:
    """Answer ``POST /storedPaymentMethods``: a card is stored that nobody has authorised. Raises ``Refused``."""
    given, shopper = body.get("paymentMethod"), shopper_of(body)
    if not isinstance(given, dict):
        raise Refused(422, "14_004", "Missing payment method details")
    if not shopper:
        raise Refused(422, "000", "shopperReference is missing")
    check_model(desk, body)
    if given.get("type", "scheme") != "scheme":
        raise Refused(500, "905", "Payment details are not supported", "configuration")
    holder = str(given.get("holderName") or "")
    row = {
        "company": company,
        "merchant_account": body["merchantAccount"],
        "shopper_reference": shopper,
        "method": "scheme",
        "holder_name": holder,
        "models": body.get("recurringProcessingModel", PROCESSING_MODELS[0]),
        "first_psp_reference": "",
        "card": card_of(given, holder),
        "authenticated": 0,
    }
    stored_id, _ = store(desk, row, new_reference(), desk.now_ms)
    known = desk.ledger.one("stored_methods", id=stored_id)
    assert known is not None, "it has just been stored"  # noqa: S101
    return _listed(known)


def forget(desk: Desk, company: str, stored_id: str, query: dict[str, str]) -> None:
    """Delete a stored method, and tell so. Raises ``Refused`` for a foreign account and an id that is unknown."""
    account = query.get("merchantAccount", "")
    if not account.startswith(company):
        raise Refused(*_FOREIGN)
    disable(desk.ledger, _known(desk, company, account, query.get("shopperReference", ""), stored_id), desk.now_ms)


def disable(ledger: Ledger, stored: Row, now_ms: int) -> None:
    """Let a stored method be no longer there, by a request or by the Customer Area: ``recurring.token.disabled``."""
    ledger.delete("stored_methods", id=stored["id"])
    notify_token(ledger, stored, "disabled", new_reference(), now_ms)


def stores(body: dict[str, Any], method: str) -> bool:
    """Return whether the payment's method is to be stored, which needs a shopper and a method that can be."""
    wanted = bool(body.get("storePaymentMethod")) and bool(body.get("shopperReference"))
    return wanted and bool(METHODS[method].stored_as)
