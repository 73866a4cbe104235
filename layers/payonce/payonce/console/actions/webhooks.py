"""Redelivers, replays a range of time, and enables or disables an endpoint: the API's own use cases.

Allowed: dynamodb:PutItem, UpdateItem, GetItem on IdempotencyTable; GetItem, UpdateItem on EndpointsTable; GetItem,
UpdateItem, PutItem on DeliveriesTable; PutItem on OutboxTable; sqs:SendMessage on DeliveryQueue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.actions.keyed import execute
from payonce.console.page import Done
from payonce.console.views.asked import choice_of, moment_of
from payonce.domain.endpoint import EndpointStatus
from payonce.domain.errors import BodyMalformed, PayonceError
from payonce.observability import get_logger
from payonce.webhooks.manage import EndpointPatch, UpdateEndpoint
from payonce.webhooks.redeliver import Redeliver, StartReplay
from payonce.webhooks.replay_items import ReplayOnly

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, Services


def redeliver(services: Services, request: ActionRequest) -> Done:
    """Deliver once more, with the same event id and bytes. Raises ``NotFound`` and ``DeliveryStateConflict``."""
    endpoint_id, delivery_id = request.path_parameters["endpoint_id"], request.path_parameters["delivery_id"]
    work = Redeliver(
        endpoint_id, delivery_id, merchant_id=request.require_merchant(), services=services.webhook_services
    )
    execute(services, request, "redeliver_webhook", work, {})
    if work.messages:
        try:
            services.delivery_queue.send(work.messages)
        except PayonceError as error:  # the schedule finds it due within a minute
            get_logger().warning("left to the schedule", extra={"error": type(error).__name__})
    return Done(f"/webhooks/{endpoint_id}/deliveries/{delivery_id}", "It is being delivered again, with the same id.")


def replay(services: Services, request: ActionRequest) -> Done:
    """Deliver the events of a range of time once more. An end that is a minute is meant whole.

    Raises ``NotFound``, ``EndpointStateConflict`` and ``BodyMalformed``.
    """
    endpoint_id = request.path_parameters["endpoint_id"]
    from_ms, until_ms = moment_of(request.fields, "from"), moment_of(request.fields, "until", is_end=True)
    only = choice_of(request.fields, "only", ReplayOnly) or ReplayOnly.UNDELIVERED
    if from_ms is None or until_ms is None:
        missing = "from" if from_ms is None else "until"
        raise BodyMalformed("A replay needs the beginning and the end of a range of time.", field=missing)
    if until_ms < from_ms:
        raise BodyMalformed("The time range ends before it begins.", field="until")
    if only is ReplayOnly.HELD:
        raise BodyMalformed("only is one of: undelivered, all.", field="only")
    work = StartReplay(
        endpoint_id,
        merchant_id=request.require_merchant(),
        services=services.webhook_services,
        from_ms=from_ms,
        # The present minute is not over: its events so far are meant.
        until_ms=min(until_ms, request.now_ms),
        only=only,
    )
    body = {"from": str(from_ms), "until": str(until_ms), "only": only.value}
    execute(services, request, "replay_webhooks", work, body)
    return Done(f"/webhooks/{endpoint_id}", "The replay has begun: its progress is below.")


def change_status(services: Services, request: ActionRequest) -> Done:
    """Enable or disable the endpoint; enabling sends what was held. Raises ``NotFound`` and ``BodyMalformed``."""
    endpoint_id = request.path_parameters["endpoint_id"]
    status = choice_of(request.fields, "status", EndpointStatus)
    if status is None:
        raise BodyMalformed("status is one of: enabled, disabled.")
    work = UpdateEndpoint(
        endpoint_id,
        EndpointPatch(status=status),
        merchant_id=request.require_merchant(),
        services=services.webhook_services,
    )
    execute(services, request, "update_webhook_endpoint", work, {"status": status.value})
    said = {
        EndpointStatus.ENABLED: "The endpoint is enabled: what was held is being sent.",
        EndpointStatus.DISABLED: "The endpoint is disabled: its events are held.",
    }
    return Done(f"/webhooks/{endpoint_id}", said[status])
