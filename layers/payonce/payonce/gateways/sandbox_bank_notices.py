"""Reads the events that the sandbox bank posts, signed by Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice
from payonce.domain.ids import operation_of
from payonce.gateways.notice_names import name_of
from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.verify import DEFAULT_TOLERANCE_SECONDS, Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SandboxBankNoticeReader:
    """``NoticeReader`` for the sandbox bank. ``secrets``: its ``whsec_...`` texts, both while one is rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def __repr__(self) -> str:
        return "SandboxBankNoticeReader()"

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``. Raises ``MisconfiguredError`` for secrets that are none."""
        verifier = Verifier(
            self._secrets,
            DEFAULT_TOLERANCE_SECONDS,
            clock=lambda: now_ms / 1000,
            max_body_bytes=max(1, len(body)),  # its size was checked before
        )
        try:
            verified = verifier.verify(headers, body)
        except WebhookRejected as rejected:
            raise NoticeRefused(rejected.detail) from None
        event = verified.event
        data, kind, created = event.get("data"), name_of(event.get("type")), event.get("created_at_ms")
        if event.get("id") != verified.id or not isinstance(data, dict) or kind is None or type(created) is not int:
            raise NoticeRefused("The body is no event of the bank.")
        # What was done in the bank's dashboard has a reference of the bank's, beside that of our payment.
        own, payment = name_of(data.get("reference")), name_of(data.get("payment_reference"))
        return [
            Notice(
                notice_id=verified.id,
                type=kind,
                created_at_ms=created,
                gateway_reference=own if operation_of(own) else payment if operation_of(payment) else None,
                payment_id=operation_of(payment),
                gateway_charge_id=name_of(data.get("charge_id")),
                saved_method=name_of(data.get("saved_method")),
            )
        ]
