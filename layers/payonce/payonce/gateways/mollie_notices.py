"""Reads Mollie's events: https://docs.mollie.com/reference/webhooks-new and webhooks-best-practices.

Mollie has two kinds of webhooks. A classic one is ``id=tr_…`` to the ``webhookUrl`` of a payment, without a signature
(https://docs.mollie.com/reference/webhooks). It would be safe, since an event only makes payonce ask, but anybody could
make it ask at will. The newer ones, which are set up in the dashboard, are signed: ``X-Mollie-Signature`` is the
HMAC-SHA256 of the raw body in hexadecimal, after ``sha256=``. These alone are read; no ``webhookUrl`` is ever sent.

The signature has no time. An event that is sent again has the same id, and is one notice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice
from payonce.domain.ids import operation_of
from payonce.gateways.mollie_answers import milliseconds_of, reference_of
from payonce.gateways.notice_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIGNATURE_HEADER = "x-mollie-signature"
PREFIX = "sha256="
_ABOUT = ("payment", "refund", "capture", "chargeback")


def sign(secret: str, body: bytes) -> str:
    """Return the header's value."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class MollieNoticeReader:
    """``NoticeReader`` for Mollie. ``secrets``: both while one is rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``. Events about what is no payment, such as a payout, have no notice."""
        del now_ms
        given = headers.get(SIGNATURE_HEADER, "")
        if not given.isascii() or not given:
            raise NoticeRefused(
                "X-Mollie-Signature is missing: classic webhooks are not read, only those of the dashboard."
            )
        given = PREFIX + given.removeprefix(PREFIX)
        signed = [hmac.compare_digest(sign(secret, body), given) for secret in self._secrets]
        if not any(signed):
            raise NoticeRefused("The signature is not by the secret of this gateway.")
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise NoticeRefused("The body is no event of Mollie's.")
        return self._notices(event, body)

    @staticmethod
    def _notices(event: Mapping[str, Any], body: bytes) -> Sequence[Notice]:
        notice_id, kind, entity_id = (name_of(event.get(name)) for name in ("id", "type", "entityId"))
        created_ms = milliseconds_of(event.get("createdAt"))
        embedded = event.get("_embedded")
        entity = embedded.get("entity") if isinstance(embedded, dict) else None
        if event.get("resource") in _ABOUT:
            # "The payload of a webhook is always simply a snapshot of the entity": its bytes then name the event.
            # https://docs.mollie.com/reference/refunds-api-webhooks
            entity, entity_id = event, notice_id
            kind = name_of(f"{event['resource']}.{event.get('status') or 'changed'}")
            notice_id = hashlib.sha256(body).hexdigest()
        elif event.get("resource") != "event":
            raise NoticeRefused("The body is no event of Mollie's.")
        if notice_id is None or kind is None or entity_id is None or created_ms is None:
            raise NoticeRefused("The body is no event of Mollie's.")
        if not kind.startswith(tuple(f"{about}." for about in _ABOUT)):
            return []
        entity = entity if isinstance(entity, dict) else {}
        charge_id = entity_id if entity_id.startswith("tr_") else name_of(entity.get("paymentId"))
        reference = name_of(reference_of(entity))
        operation = operation_of(reference)
        return [
            Notice(
                notice_id=notice_id,
                type=kind,
                created_at_ms=created_ms,
                gateway_reference=reference if operation else None,
                payment_id=operation if kind.startswith("payment.") else None,
                gateway_charge_id=charge_id,
            )
        ]
