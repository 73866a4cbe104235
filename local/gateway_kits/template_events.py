"""A template: the reader of Toypay's events. The signature is checked over the exact bytes before anything is parsed.

Where the vendor has an official library that checks it, use that. Where events are not signed at all, the reader takes
them and says only what to ask about: an event never changes a payment, it makes payonce ask.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice
from payonce.domain.ids import operation_of
from payonce.gateways.notice_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERANCE_SECONDS = 300
SIGNATURE_HEADER = "toypay-signature"  # t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>" in hexadecimal>


def sign(secret: str, seconds: int, body: bytes) -> str:
    """Return the header's value."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


class ToypayNoticeReader:
    """``NoticeReader`` for Toypay. ``secrets``: both while one is rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``."""
        header = headers.get(SIGNATURE_HEADER, "")
        seconds = header.removeprefix("t=").partition(",")[0]
        if not header.isascii() or not seconds.isdecimal() or len(seconds) > 12:
            raise NoticeRefused("Toypay-Signature is not a time and a signature.")
        # All are tried, so that the time does not tell which of them is in use.
        signed = [hmac.compare_digest(sign(secret, int(seconds), body), header) for secret in self._secrets]
        if not any(signed):
            raise NoticeRefused("The signature is not by the secret of this gateway.")
        if abs(now_ms // 1000 - int(seconds)) > TOLERANCE_SECONDS:
            raise NoticeRefused(f"The event was signed more than {TOLERANCE_SECONDS} seconds away from this clock.")
        try:
            event = json.loads(body)
            notice_id, kind, created = name_of(event["id"]), name_of(event["type"]), event["created"]
            reference, payment_id = name_of(event["reference"]), name_of(event["payment_id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise NoticeRefused("The body is no event of Toypay's.") from None
        if notice_id is None or kind is None or type(created) is not int:
            raise NoticeRefused("The body is no event of Toypay's.")
        return [
            Notice(
                notice_id=notice_id,
                type=kind,
                created_at_ms=created * 1000,
                gateway_reference=reference if operation_of(reference) else None,
                payment_id=operation_of(reference),
                gateway_charge_id=payment_id,
            )
        ]
