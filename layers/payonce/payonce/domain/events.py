"""Events: one per state change, with an id that depends on the change alone and a body fixed at commit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.ids import event_id

if TYPE_CHECKING:
    from payonce.domain.payment import Change

API_VERSION = "2026-11-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event and the exact bytes that every delivery of it carries."""

    event_id: str
    merchant_id: str
    payment_id: str
    version: int
    event_type: Change
    created_at_ms: int
    body: bytes


def build_event(
    change: Change, *, merchant_id: str, payment_id: str, version: int, created_at_ms: int, data: dict[str, Any]
) -> Event:
    """Return the event of ``change``. ``data`` is the resource as it is after the change; ``version`` its sequence."""
    identity = event_id(merchant_id, payment_id, change, version)
    body = {
        "id": identity,
        "type": change.value,
        "api_version": API_VERSION,
        "created_at_ms": created_at_ms,
        "sequence": version,
        "data": data,
    }
    return Event(
        event_id=identity,
        merchant_id=merchant_id,
        payment_id=payment_id,
        version=version,
        event_type=change,
        created_at_ms=created_at_ms,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
    )
