"""Disables an endpoint that wants no more, or has not taken anything for days. The merchant is told by an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointChange, EndpointStatus
from payonce.domain.errors import WriteConflict
from payonce.webhooks.endpoints import change_writes, load_endpoint

if TYPE_CHECKING:
    from payonce.domain.endpoint import DisabledReason
    from payonce.ports import Database

MAX_TRIES = 5  # each refusal means that somebody changed the endpoint in the same few milliseconds


def disable(database: Database, merchant_id: str, endpoint_id: str, reason: DisabledReason, *, now_ms: int) -> bool:
    """Disable the endpoint, with its event in the same transaction; return whether this call did it.

    Raises ``WriteConflict`` when the endpoint kept changing under it: the attempt's message comes again.
    """
    for tries_left in reversed(range(MAX_TRIES)):
        endpoint = load_endpoint(database, merchant_id, endpoint_id)
        if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
            return False
        try:
            database.write(change_writes(endpoint, endpoint.disabled(reason, at_ms=now_ms), EndpointChange.DISABLED))
        except WriteConflict:
            if not tries_left:
                raise
        else:
            return True
    return False
