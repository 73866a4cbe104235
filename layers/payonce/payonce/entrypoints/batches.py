"""Batches of a queue or a stream: each record is handled on its own, and only those that failed come again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.observability import get_logger
from payonce.outbox import is_event
from payonce.stores.dynamodb_requests import from_stream_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Item
    from payonce.webhooks.relay import Relay


def serve_queue(event: Mapping[str, Any], handle: Callable[[str], object]) -> dict[str, Any]:
    """Handle the bodies of an SQS batch concurrently, and return which messages have to come again.

    A receiver that takes all its time does not delay the others of its batch, and a message that fails does not bring
    the others back. Never raises, even when all fail: a batch that fails as a whole would slow the queue's polling for
    everybody.
    """
    records = list(event.get("Records", []))
    if not records:
        return {"batchItemFailures": []}

    def one(record: Mapping[str, Any]) -> bool:
        try:
            outcome = handle(str(record["body"]))
        except PayonceError as error:
            get_logger().warning(
                "message not handled",
                extra={"message_id": record["messageId"], "error": type(error).__name__, "detail": error.detail},
            )
            return False
        except Exception:
            get_logger().exception("message not handled", extra={"message_id": record["messageId"]})
            return False
        get_logger().info("message handled", extra={"message_id": record["messageId"], "outcome": str(outcome)})
        return True

    with ThreadPoolExecutor(max_workers=len(records)) as pool:
        handled = list(pool.map(one, records))
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record, done in zip(records, handled, strict=True) if not done
        ]
    }


def serve_stream(event: Mapping[str, Any], relay: Relay) -> dict[str, Any]:
    """Relay the new items of a DynamoDB stream batch.

    A stream continues from the first record reported as failed, so later ones come again too; relaying is idempotent.
    Events that keep failing are left to the sweeper, which finds that their deliveries are missing.
    """
    images = [
        (record, from_stream_image(record["dynamodb"]["NewImage"]))
        for record in event.get("Records", [])
        if record.get("eventName") == "INSERT"
    ]
    records = [record for record, item in images if is_event(item)]
    events: list[Item] = [item for _, item in images if is_event(item)]
    report = relay.relay(events)
    for position, error in sorted(report.failed.items()):
        get_logger().error(
            "event not relayed", extra={"event_id": events[position].get("event_id"), "error": repr(error)}
        )
    get_logger().info("events relayed", extra={"events": len(events), "deliveries": report.deliveries})
    if not report.failed:
        return {"batchItemFailures": []}
    first = records[min(report.failed)]
    return {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}
