"""Reads Adyen's standard notifications: items that are signed one by one, with the HMAC key of the webhook.

Events about stored payment methods are another webhook of Adyen's: see ``adyen_token_notices``.

The signature covers eight fields, and not the bytes: ``reason``, ``eventDate`` and ``additionalData`` are not covered.
So what became of an operation is read from the signed fields alone. They are joined by colons without escaping, and
only a merchant reference may contain one, so that no other item has the same signed text.

The official library checks the signature, in constant time. It looks at one item at a time, and fails on malformed
ones, which are refused before. Adyen signs no time, and repeats an item for 30 days; what comes again is kept once.
https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError, NoticeRefused
from payonce.domain.gateway import CANCELED, PAYMENT_EXPIRED, Notice, NoticeOutcome, OperationKind
from payonce.domain.ids import operation_of
from payonce.domain.setup import SETUP_PREFIX
from payonce.extras import needs
from payonce.gateways.adyen_disputes import dispute_told
from payonce.gateways.adyen_money import amount_from_adyen
from payonce.gateways.adyen_token_notices import SIGNATURE_HEADER, epoch_ms, token_notices
from payonce.gateways.adyen_tokens import token_of
from payonce.gateways.declines import (
    AUTHENTICATION_REQUIRED,
    CAPTURE_FAILED,
    DECLINED,
    REFUND_FAILED,
    VOID_FAILED,
)
from payonce.gateways.notice_names import name_of

with needs("adyen"):
    from Adyen.util import is_valid_hmac_notification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASIC_PREFIX = "basic:"
MAX_ITEMS = 100  # "JSON and HTTP POST webhooks contain only one", SOAP up to six
_FAILED: Mapping[OperationKind, str] = MappingProxyType(
    {
        OperationKind.PAYMENT: DECLINED,
        OperationKind.CAPTURE: CAPTURE_FAILED,
        OperationKind.VOID: VOID_FAILED,
        OperationKind.REFUND: REFUND_FAILED,
        OperationKind.SETUP: DECLINED,
    }
)
# Of which operation an event tells the end, and why it is not executed although the event itself succeeded. All other
# events are hints. https://docs.adyen.com/development-resources/webhooks/webhook-types
_ENDS: Mapping[str, tuple[OperationKind, str]] = MappingProxyType(
    {
        "AUTHORISATION": (OperationKind.PAYMENT, ""),
        "OFFER_CLOSED": (OperationKind.PAYMENT, PAYMENT_EXPIRED),
        "CAPTURE": (OperationKind.CAPTURE, ""),
        "CAPTURE_FAILED": (OperationKind.CAPTURE, CAPTURE_FAILED),
        "CANCELLATION": (OperationKind.VOID, ""),
        "REFUND": (OperationKind.REFUND, ""),
        "REFUND_FAILED": (OperationKind.REFUND, REFUND_FAILED),
        "REFUNDED_REVERSED": (OperationKind.REFUND, REFUND_FAILED),
    }
)
CONTRACT = "RECURRING_CONTRACT"  # tells whether an authorised payment's method was stored
_AUTHORISED = frozenset({OperationKind.PAYMENT, OperationKind.SETUP})
_UNDONE = frozenset({CAPTURE_FAILED, REFUND_FAILED})
# The reason is not signed: it chooses between words for a refusal that is.
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "3d not authenticated": AUTHENTICATION_REQUIRED,
        "authentication required": AUTHENTICATION_REQUIRED,
        "cancelled": CANCELED,
        "shopper cancelled": CANCELED,
        "expired card": "expired_card",
        "not enough balance": "insufficient_funds",
    }
)


class AdyenNoticeReader:
    """``NoticeReader`` for Adyen.

    ``secrets``: the webhook's HMAC keys in hexadecimal, both while one is replaced; and ``basic:user:password`` for
    each pair of which one has to be presented, if the webhook has basic authentication. Raises
    ``MisconfiguredError`` for other texts, and where there is no key.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._pairs = [text.removeprefix(BASIC_PREFIX) for text in secrets if text.startswith(BASIC_PREFIX)]
        self._keys = [text.strip() for text in secrets if not text.startswith(BASIC_PREFIX)]
        if not self._keys or not all(_is_key(key) for key in self._keys):
            raise MisconfiguredError("An Adyen webhook's secret is its HMAC key: 64 hexadecimal digits.")

    def __repr__(self) -> str:
        return "AdyenNoticeReader()"

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``. All items of a body have to be signed, or none is taken."""
        if self._pairs and not _is_presented(headers.get("authorization", ""), self._pairs):
            raise NoticeRefused("The webhook's user name and password are missing or wrong.")
        if (about := token_notices(body, headers.get(SIGNATURE_HEADER, ""), self._keys, now_ms)) is not None:
            return about
        items = _items(body)
        # All keys are tried for all items, so that the time does not tell which of them is in use.
        signed = [[is_valid_hmac_notification(item, key) for key in self._keys] for item in items]
        if not all(any(tried) for tried in signed):
            raise NoticeRefused("No signature is by the HMAC key of this gateway. Check that it is this webhook's.")
        return [_notice(item, now_ms) for item in items]


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f]{64}", text) is not None


def _is_presented(header: str, pairs: Sequence[str]) -> bool:
    scheme, _, encoded = header.partition(" ")
    try:
        presented = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        presented = b""
    matches = [hmac.compare_digest(presented, pair.encode()) for pair in pairs]
    return any(matches)


def _items(body: bytes) -> list[dict[str, Any]]:
    """Return the items of a message, each with all that is signed in its one form."""
    try:
        found = json.loads(body)["notificationItems"]
        items = [entry["NotificationRequestItem"] for entry in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NoticeRefused("The body is no standard notification in JSON.") from None
    if not 0 < len(items) <= MAX_ITEMS or not all(_is_item(item) for item in items):
        raise NoticeRefused("The body is no standard notification in JSON, or is not signed.")
    return items


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("additionalData"), dict):
        return False
    amount, signature = item.get("amount"), item["additionalData"].get("hmacSignature")
    if not isinstance(amount, dict) or type(amount.get("value")) is not int:
        return False
    if not isinstance(signature, str) or not signature or not signature.isascii():
        return False
    texts = [item.get(name) for name in ("pspReference", "merchantAccountCode", "eventCode", "success")]
    texts += [item.get("originalReference", ""), amount.get("currency")]
    unambiguous = all(isinstance(text, str) and ":" not in text for text in texts)
    reference = item.get("merchantReference", "")
    return unambiguous and isinstance(reference, str) and item["success"] in {"true", "false"} and _is_text(reference)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, on which the library would fail
        return False
    return True


def _notice(item: Mapping[str, Any], now_ms: int) -> Notice:
    event, psp_reference, success = item["eventCode"], item["pspReference"], item["success"]
    reference = item.get("merchantReference")
    original = item.get("originalReference") or None
    charge_id = original or (psp_reference if event in {"AUTHORISATION", "OFFER_CLOSED", "EXPIRE"} else None)
    # "Duplicate events have the same eventCode and pspReference"; a refusal may be followed by a success. A contract's
    # reference is the token, which two payments with one card share.
    named = f"{psp_reference}.{original}" if event == CONTRACT else psp_reference
    return Notice(
        notice_id=_identity(f"{named}.{event}.{success}"),
        type=_identity(event),
        created_at_ms=epoch_ms(item.get("eventDate"), now_ms),
        gateway_reference=reference if operation_of(reference) else None,
        gateway_charge_id=name_of(charge_id),
        account=name_of(item["merchantAccountCode"]),
        outcome=_outcome(item),
        dispute=dispute_told(item),
    )


def _outcome(item: Mapping[str, Any]) -> NoticeOutcome | None:
    """Return what became of the operation that the item is about; ``None`` if it tells of none's end."""
    event, amount = item["eventCode"], item["amount"]
    kind, undone = _ENDS.get(event, (None, ""))
    success = item["success"] == "true"
    reference = item.get("merchantReference")
    if (operation_of(reference) or "").startswith(f"{SETUP_PREFIX}_"):
        if event == CONTRACT:
            return _contract(item)
        if kind is OperationKind.PAYMENT:
            kind = OperationKind.SETUP  # an authorisation of nothing
    amount_minor = amount_from_adyen(amount["value"], amount["currency"])
    if kind is None or amount_minor is None or name_of(item["pspReference"]) is None:
        return None
    if undone and not success:
        return None  # the failure itself has failed: whatever that means, it is no end
    code = undone or _FAILED[kind]
    if kind in _AUTHORISED and not success:
        code = _REASONS.get(str(item.get("reason", "")).strip().lower(), code)
    executed = success and not undone
    return NoticeOutcome(
        kind=kind,
        executed=executed,
        gateway_operation_id=item["pspReference"],
        amount_minor=amount_minor,
        currency=amount["currency"],
        code="" if executed else code,
        undone=undone in _UNDONE,
        # Whose refund has come back is told by it: see ``payments.told_charge``.
        gateway_reference=reference if kind is OperationKind.REFUND and operation_of(reference) else None,
    )


def _contract(item: Mapping[str, Any]) -> NoticeOutcome | None:
    """Return what became of an authorised set-up: its token, which is signed as the event's own reference, or nothing.

    https://docs.adyen.com/payment-methods/ideal/ios-drop-in: "pspReference: This is the token".
    """
    token, authorised, amount = token_of(item["pspReference"]), name_of(item.get("originalReference")), item["amount"]
    amount_minor = amount_from_adyen(amount["value"], amount["currency"])
    stored = item["success"] == "true"
    if authorised is None or amount_minor is None or token is None:
        return None
    return NoticeOutcome(
        kind=OperationKind.SETUP,
        executed=stored,
        gateway_operation_id=authorised,
        amount_minor=amount_minor,
        currency=amount["currency"],
        code="" if stored else DECLINED,
        undone=not stored,
        token=token if stored else None,
    )


def _identity(text: str) -> str:
    """Return ``text`` if it is a name, else a digest of it. Reports are named by their files."""
    if name_of(text) is not None:
        return text
    return "sha256." + hashlib.sha256(text.encode(errors="replace")).hexdigest()
