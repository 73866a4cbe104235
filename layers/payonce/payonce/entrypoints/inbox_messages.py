"""Parses messages of the inbox queue, as strictly as the API's bodies."""

from __future__ import annotations

from typing import Annotated, Any

from payonce.domain.errors import BodyTooLarge
from payonce.entrypoints.json_body import parse_json_object
from payonce.entrypoints.models import StrictModel, validate
from payonce.extras import needs
from payonce.webhooks.inbox import InboxMessage

with needs("functions"):
    from pydantic import Field

# An event is stored twice (table and index) and sent to every endpoint; receivers commonly accept about 100 KB.
MAX_INBOX_BYTES = 64 * 1024


class InboxBody(StrictModel):
    """A message of the inbox queue."""

    merchant_id: Annotated[str, Field(pattern=r"^mer_[0-9A-HJKMNP-TV-Z]{26}$")]
    type: Annotated[str, Field(pattern=r"^custom(\.[a-z0-9_]{1,40}){1,5}$")]
    data: dict[str, Any]
    id: Annotated[str, Field(min_length=1, max_length=255)] | None = None


def parse_inbox_message(text: str) -> InboxMessage:
    """Return the message. Raises ``BodyMalformed``, ``BodyTooLarge`` or ``CardNumberRefused``."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_INBOX_BYTES:
        raise BodyTooLarge(f"The message has {len(raw)} bytes; at most {MAX_INBOX_BYTES} are taken.")
    body = validate(InboxBody, parse_json_object(raw))
    return InboxMessage(merchant_id=body.merchant_id, event_type=body.type, data=body.data, message_id=body.id)
