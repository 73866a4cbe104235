"""Reads the events that Stripe posts: snapshot events, signed with an endpoint's secret.

The signature is checked by the official library over the exact bytes, in constant time. The time is ours to compare,
because the library reads the machine's clock, and takes any time in the future.
https://docs.stripe.com/webhooks/signature, https://docs.stripe.com/event-destinations#snapshot-payload
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice
from payonce.domain.ids import operation_of
from payonce.extras import needs
from payonce.gateways.notice_names import name_of
from payonce.gateways.stripe_objects import (
    CAPTURE_REFERENCE_KEY,
    MERCHANT_KEY,
    PAYMENT_KEY,
    REFERENCE_KEY,
    metadata_value,
)

with needs("stripe"):
    from stripe import SignatureVerificationError, WebhookSignature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIGNATURE_HEADER = "stripe-signature"
TOLERANCE_SECONDS = 300  # Stripe's libraries have the same default
MAX_HEADER_CHARACTERS = 2_048  # a time and a signature for each of the endpoint's secrets, 70 characters each
PAYMENT_INTENT = "payment_intent"


class StripeNoticeReader:
    """``NoticeReader`` for Stripe. ``secrets``: those of the endpoint, both while one is rolled."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def __repr__(self) -> str:
        return "StripeNoticeReader()"

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``."""
        header = headers.get(SIGNATURE_HEADER, "")
        if not header:
            raise NoticeRefused("Stripe-Signature is missing.")
        signed_at_seconds = _timestamp(header)
        # All are tried, so that the time does not tell which of them is in use.
        signed = [_is_signed(body, header, secret) for secret in self._secrets]
        if not any(signed):
            raise NoticeRefused(
                "No signature is by the secret of this gateway. Check that it is this endpoint's, and that nothing on "
                "the way changes the body."
            )
        if abs(now_ms // 1000 - signed_at_seconds) > TOLERANCE_SECONDS:
            raise NoticeRefused(f"The event was signed more than {TOLERANCE_SECONDS} seconds away from this clock.")
        return [_notice(body)]


def _timestamp(header: str) -> int:
    """Return the one time in the header. The library takes the first of several, so that others prove nothing."""
    times = [part[2:] for part in header.split(",") if part.startswith("t=")]
    if (
        not header.isascii()  # the library compares texts, and fails on others
        or len(header) > MAX_HEADER_CHARACTERS
        or len(times) != 1
        or not (times[0].isdecimal() and len(times[0]) <= 12)
    ):
        raise NoticeRefused("Stripe-Signature is not a time and signatures.")
    return int(times[0])


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    try:
        # Without a tolerance: see above. Its error quotes the body, so it goes no further.
        WebhookSignature.verify_header(body, header, secret, None)
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _notice(body: bytes) -> Notice:
    try:
        event = json.loads(body)
        subject = event["data"]["object"]
        notice_id, kind, created = name_of(event["id"]), name_of(event["type"]), event["created"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NoticeRefused("The body is no snapshot event: choose snapshot payloads for this endpoint.") from None
    if (
        event.get("object") != "event"
        or not isinstance(subject, dict)
        or notice_id is None
        or kind is None
        or type(created) is not int
    ):
        raise NoticeRefused("The body is no snapshot event: choose snapshot payloads for this endpoint.")
    # A capture is no object of its own: its mark comes last, on the payment intent.
    reference = metadata_value(subject, CAPTURE_REFERENCE_KEY) or metadata_value(subject, REFERENCE_KEY)
    return Notice(
        notice_id=notice_id,
        type=kind,
        created_at_ms=created * 1000,
        gateway_reference=reference if operation_of(reference) else None,
        payment_id=name_of(metadata_value(subject, PAYMENT_KEY)),
        merchant_id=name_of(metadata_value(subject, MERCHANT_KEY)),
        gateway_charge_id=_payment_intent(subject),
        # "each event for a connected account also contains a top-level account property":
        # https://docs.stripe.com/connect/webhooks
        account=_account(event),
    )


def _account(event: Mapping[str, Any]) -> str | None:
    named = event.get("account")
    if named is not None and name_of(named) is None:
        raise NoticeRefused("The event's account is no name.")
    return name_of(named)


def _payment_intent(subject: Mapping[str, Any]) -> str | None:
    """Return the id of the payment intent that the object is or belongs to, as charges, refunds and disputes do."""
    found = subject if subject.get("object") == PAYMENT_INTENT else subject.get(PAYMENT_INTENT)
    found = found.get("id") if isinstance(found, dict) else found  # expanded, or its id
    return name_of(found)
