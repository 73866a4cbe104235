"""Events: one per state change, with an id that depends on the change alone and a body fixed at commit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from payonce.domain.ids import event_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

API_VERSION = "2026-11-01"


class EventView(TypedDict):
    """An event as it is delivered."""

    id: str
    type: str
    api_version: str
    created_at_ms: int
    sequence: int
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event and the exact bytes that every delivery of it carries.

    ``version`` counts the changes of the resource. It is the ``sequence`` in the signed body, by which a consumer
    detects gaps and restores the order. ``only_endpoint_id``: send the event to that endpoint alone, whatever the
    endpoint subscribes to.
    """

    event_id: str
    merchant_id: str
    resource_id: str
    version: int
    event_type: str
    created_at_ms: int
    body: bytes
    only_endpoint_id: str | None = None


def build_event(
    change: StrEnum,
    *,
    merchant_id: str,
    resource_id: str,
    version: int,
    created_at_ms: int,
    data: Mapping[str, object],
    only_endpoint_id: str | None = None,
) -> Event:
    """Return the event of ``change``. ``data`` is the resource after the change, ``version`` its sequence number."""
    return Event(
        event_id=(identity := event_id(resource_id, version)),
        merchant_id=merchant_id,
        resource_id=resource_id,
        version=version,
        event_type=change.value,
        created_at_ms=created_at_ms,
        body=event_body(identity, change.value, created_at_ms=created_at_ms, sequence=version, data=data),
        only_endpoint_id=only_endpoint_id,
    )


def event_body(identity: str, event_type: str, *, created_at_ms: int, sequence: int, data: Any) -> bytes:
    """Return the bytes that are stored, signed and sent. They are rendered once, when the event is created."""
    body: EventView = {
        "id": identity,
        "type": event_type,
        "api_version": API_VERSION,
        "created_at_ms": created_at_ms,
        "sequence": sequence,
        "data": data,
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
