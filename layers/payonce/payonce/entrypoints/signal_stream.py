"""Stores what the claims' stream and the request log say about gateways, for the predictor; late data is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.entrypoints.log_messages import UNREADABLE, lines_of
from payonce.observability import get_logger
from payonce.routing.signals.from_claims import refusal_of, signal_of
from payonce.routing.signals.signal_store import REFUSALS_SHARD, add_signals
from payonce.stores.dynamodb_requests import from_stream_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Database
    from payonce.routing.signals.events import SignalEvent

ONLY_SHARD = "0"  # for sources that do not name their shards
# The attributes that are read. Most of an image is a response or a payment, which would be expensive to decode.
ATTRIBUTES = frozenset({"status", "fence", "claim_id", "created_at_ms", "ended_at_ms", "response_status"})
PLAN_MEMBERS = frozenset({"kind", "merchant_id", "gateway", "payment_method_type", "priority"})


def serve_signals(event: Mapping[str, Any], database: Database, clock: Clock) -> dict[str, Any]:
    """Store the signals of one batch, from the stream or from the log's subscription.

    Unreadable records are skipped, and their number is logged. Raises ``StoreUnavailable`` and ``OutcomeUnknown``, so
    that the batch comes again once. The result is a tumbling window's (see template.yaml), with no state carried over.
    """
    now_ms = clock.now_ms()
    if "awslogs" in event:
        shard, events, unreadable = REFUSALS_SHARD, *_refusals(event["awslogs"], now_ms)
    else:
        shard, events, unreadable = str(event.get("shardId") or ONLY_SHARD), *_changes(event.get("Records", []))
    add_signals(database, shard, events, now_ms=now_ms)
    if unreadable:
        get_logger().warning("signals skipped", extra={"unreadable": unreadable, "stored": len(events)})
    return {"state": {}}


def _changes(records: list[Mapping[str, Any]]) -> tuple[list[tuple[str, SignalEvent]], int]:
    events, unreadable = [], 0
    for record in records:
        try:
            change = record["dynamodb"]
            identity = record.get("userIdentity") or {}
            found = signal_of(
                _image(change.get("OldImage")),
                _image(change.get("NewImage")),
                store_second=int(change["ApproximateCreationDateTime"]),
                deleted_by=str(identity.get("principalId", "")) if identity.get("type") == "Service" else "",
            )
            if found is not None:
                events.append((str(change["SequenceNumber"]), found))
        except UNREADABLE:
            unreadable += 1
    return events, unreadable


def _image(image: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if image is None:
        return None
    wanted = {name: image[name] for name in ATTRIBUTES & image.keys()}
    if "plan" in image:
        plan = image["plan"]["M"]
        wanted["plan"] = {"M": {name: plan[name] for name in PLAN_MEMBERS & plan.keys()}}
    return from_stream_image(wanted)


def _refusals(wrapped: Mapping[str, Any], now_ms: int) -> tuple[list[tuple[str, SignalEvent]], int]:
    events: list[tuple[str, SignalEvent]] = []
    lines, unreadable = lines_of(wrapped)
    for line in lines:
        try:
            found = refusal_of(line.parsed, at_ms=line.at_ms, now_ms=now_ms)
            if found is not None:
                events.append((line.identity, found))
        except UNREADABLE:
            unreadable += 1
    return events, unreadable
