"""Standard webhooks: what an item says, and its HMAC signature.

https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from local.adyen.clock import iso8601
from local.adyen.vocabulary import METHODS

if TYPE_CHECKING:
    from local.adyen.books import Ledger, Row

TOKENS = "recurring.token."  # the event codes of another webhook than the standard one
_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


def signature(item: dict[str, Any], hmac_key: str) -> str:
    """Return the signature of a ``NotificationRequestItem``, base64 of HMAC-SHA256, for ``additionalData``.

    The fields are joined by colons and are not escaped; one that is missing is empty. ``hmac_key`` is hexadecimal.
    """
    amount = item["amount"]
    fields = [str(item.get(name, "")) for name in _SIGNED]
    fields += [str(amount["value"]), str(amount["currency"]), item["eventCode"], item["success"]]
    digest = hmac.digest(bytes.fromhex(hmac_key), ":".join(fields).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def envelope(item: dict[str, Any], hmac_key: str | None) -> bytes:
    """Return the body of the POST that carries one item, signed if there is a key."""
    additional = dict(item.get("additionalData", {}))
    if hmac_key:
        additional["hmacSignature"] = signature(item, hmac_key)
    signed = {**item, "additionalData": additional} if additional else item
    return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": signed}]}).encode()


def payload_signature(body: bytes, hmac_key: str) -> str:
    """Return the signature of a message that carries it in the header ``HmacSignature``, over the exact bytes."""
    return base64.b64encode(hmac.digest(bytes.fromhex(hmac_key), body, hashlib.sha256)).decode()


def notify_token(ledger: Ledger, stored: Row, happened: str, event_id: str, at_ms: int) -> None:
    """Queue ``recurring.token.<happened>`` about a stored method: created, alreadyExisting or disabled.

    The message is the event itself, without items
    (https://github.com/Adyen/adyen-openapi/blob/main/json/TokenizationNotification-v1.json). ``event_id`` is a PSP
    reference.
    """
    data = {
        "merchantAccount": stored["merchant_account"],
        "storedPaymentMethodId": stored["id"],
        "type": METHODS[stored["method"]].notified_as,
        "shopperReference": stored["shopper_reference"],
    }
    if happened != "disabled":
        data["operation"] = happened
    event_code = f"{TOKENS}{happened}"
    event = {"createdAt": iso8601(at_ms), "environment": "test", "eventId": event_id, "data": data, "type": event_code}
    queued = {"item": json.dumps(event), "event_code": event_code, "psp_reference": event_id, "state": "queued"}
    times = {"due_at_ms": at_ms, "created_at_ms": at_ms}
    ledger.insert("notifications", {**queued, **times, "attempts": 0, "last_answer": ""})


def notify(ledger: Ledger, payment: Row, event_code: str, at_ms: int, **values: Any) -> None:
    """Queue the notification of an event of ``payment``.

    ``values``: ``psp_reference`` of the event, ``reference`` that it carries, ``original`` PSP reference,
    ``amount_minor``, ``success``, ``reason``, ``additional`` data.
    """
    item: dict[str, Any] = {
        "amount": {
            "currency": values.get("currency", payment["currency"]),
            "value": values.get("amount_minor", payment["amount_minor"]),
        },
        "eventCode": event_code,
        "eventDate": iso8601(at_ms),
        "merchantAccountCode": payment["merchant_account"],
        "merchantReference": values.get("reference") or payment["reference"],
        "paymentMethod": METHODS[payment["method"]].notified_as,
        "pspReference": values.get("psp_reference", payment["psp_reference"]),
        "reason": values.get("reason", ""),
        "success": "true" if values.get("success", True) else "false",
    }
    if original := values.get("original"):
        item["originalReference"] = original
    if additional := values.get("additional"):
        item["additionalData"] = additional
    if event_code == "RECURRING_CONTRACT":
        item["originalPsp"] = original
    if event_code == "AUTHORISATION" and item["success"] == "true":
        item["operations"] = ["CANCEL", "CAPTURE", "REFUND"]
    queued = {"item": json.dumps(item), "event_code": event_code, "psp_reference": item["pspReference"]}
    times = {"due_at_ms": at_ms, "created_at_ms": at_ms}
    ledger.insert("notifications", {**queued, **times, "state": "queued", "attempts": 0, "last_answer": ""})
