"""Disables an endpoint that is gone, or has accepted nothing for days. An event informs the merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointChange, EndpointStatus
from payonce.domain.errors import WriteConflict
from payonce.webhooks.endpoints import change_writes, load_endpoint

if TYPE_CHECKING:
    from payonce.domain.endpoint import DisabledReason
    from payonce.ports import Database

MAX_TRIES = 5  # each refusal means that somebody changed the endpoint within the same milliseconds


def disable(database: Database, merchant_id: str, endpoint_id: str, reason: DisabledReason, *, now_ms: int) -> bool:
    """Disable the endpoint, with its event in the same transaction. Return whether this call disabled it.

    Raises ``WriteConflict`` when the endpoint kept changing meanwhile; the attempt's message then comes again.
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
