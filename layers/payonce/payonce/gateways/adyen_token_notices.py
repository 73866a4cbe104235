"""Reads Adyen's events about stored payment methods, which are a webhook of their own.

The body is the event itself, and the signature is over its exact bytes, in the header ``HmacSignature``; the key is
that of the gateway's events. https://github.com/Adyen/adyen-openapi/blob/main/json/TokenizationNotification-v1.json.

::

    recurring.token.disabled                              a hint to ask whether the shopper still has it
    recurring.token.created, .updated, .alreadyExisting   nothing: the AUTHORISATION that comes with it is the hint
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import Notice
from payonce.extras import needs
from payonce.gateways.adyen_tokens import token_of
from payonce.gateways.notice_names import name_of

with needs("adyen"):
    from Adyen.util import is_valid_hmac_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNATURE_HEADER = "hmacsignature"
ABOUT_TOKENS = "recurring.token."
DISABLED = f"{ABOUT_TOKENS}disabled"


def token_notices(body: bytes, signature: str, keys: Sequence[str], now_ms: int) -> Sequence[Notice] | None:
    """Return the notices of an event about a stored method; ``None`` for what is none, or is not signed by a key."""
    if not signature or not signature.isascii():
        return None
    # All keys are tried, so that the time does not tell which of them is in use.
    signed = [is_valid_hmac_payload(signature, key, body) for key in keys]
    if not any(signed):
        return None
    try:
        event: Any = json.loads(body)
        told, event_id, kind = event["data"], name_of(event["eventId"]), name_of(event["type"])
        token, account = token_of(told["storedPaymentMethodId"]), name_of(told["merchantAccount"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if event_id is None or kind is None or not kind.startswith(ABOUT_TOKENS) or token is None or account is None:
        return None
    if kind != DISABLED:
        return []
    return [
        Notice(
            notice_id=f"{event_id}.{kind}",
            type=kind,
            created_at_ms=epoch_ms(event.get("createdAt"), now_ms),
            account=account,
            saved_method=token,
        )
    ]


def epoch_ms(value: object, now_ms: int) -> int:
    """Return a moment with its zone as epoch milliseconds, ``now_ms`` for anything else: no signature covers it."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return int(at.timestamp() * 1000) if at is not None and at.tzinfo else now_ms
    except (ValueError, OverflowError):
        return now_ms
