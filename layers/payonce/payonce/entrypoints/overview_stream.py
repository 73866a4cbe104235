"""Adds what the outbox's stream, the cases' stream and the log's subscription tell to what the overview shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.entrypoints.log_messages import lines_of
from payonce.observability import get_logger
from payonce.overview.breaks import add_move, moved
from payonce.overview.from_events import told_of
from payonce.overview.from_log import add_lines, counts_of_line
from payonce.stores.dynamodb_requests import from_stream_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.overview.minutes import MinuteCounts, Told
    from payonce.ports import Clock, Database

ONLY_SHARD = "0"  # for sources that do not name their shards
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)
EVENT_ATTRIBUTES = frozenset({"pk", "sk", "merchant_id", "list_shard", "created_at_ms", "packed"})
CASE_ATTRIBUTES = frozenset({"break_id", "break_class", "case_status", "version", "merchant_id", "opened_at_ms"})


def serve_overview(event: Mapping[str, Any], counts: MinuteCounts, database: Database, clock: Clock) -> dict[str, Any]:
    """Add one batch. What can't be read is skipped, and its number is logged.

    Raises ``StoreUnavailable`` and ``OutcomeUnknown``: the batch comes again, and nothing of it is counted twice. The
    result is a tumbling window's (see template.yaml), with no state carried over.
    """
    if "awslogs" in event:
        unreadable = _add_log(event["awslogs"], database)
    else:
        records = list(event.get("Records", []))
        events = [record for record in records if "packed" in (record["dynamodb"].get("NewImage") or {})]
        others = [record for record in records if "packed" not in (record["dynamodb"].get("NewImage") or {})]
        unreadable = _add_events(str(event.get("shardId") or ONLY_SHARD), events, counts)
        unreadable += _add_cases(others, database, clock.now_ms())
    if unreadable:
        get_logger().warning("not counted", extra={"unreadable": unreadable})
    return {"state": {}}


def _add_events(shard: str, records: list[Mapping[str, Any]], counts: MinuteCounts) -> int:
    told: list[Told] = []
    unreadable = 0
    for record in records:
        if record.get("eventName") != "INSERT":
            continue
        change = record["dynamodb"]
        try:
            found = told_of(_image(change["NewImage"], EVENT_ATTRIBUTES), str(change["SequenceNumber"]))
        except UNREADABLE:
            unreadable += 1
            continue
        if found is not None:
            told.append(found)
    counts.add(shard, told)
    return unreadable


def _add_cases(records: list[Mapping[str, Any]], database: Database, now_ms: int) -> int:
    unreadable = 0
    for record in records:
        change = record["dynamodb"]
        try:
            images = (change.get("OldImage"), change.get("NewImage"))
            before, after = (None if image is None else _image(image, CASE_ATTRIBUTES) for image in images)
            found = moved(before, after)
        except UNREADABLE:
            unreadable += 1
            continue
        if found is not None:
            add_move(database, found, now_ms=now_ms)
    return unreadable


def _add_log(wrapped: Mapping[str, Any], database: Database) -> int:
    lines, unreadable = lines_of(wrapped)
    found = []
    for line in lines:
        try:
            counts = counts_of_line(line.parsed)
        except ValueError:
            unreadable += 1
            continue
        if counts is not None:
            found.append((line.identity, line.at_ms, counts))
    try:
        add_lines(database, found)
    except PayonceError:
        get_logger().warning("requests not counted", extra={"lines": len(found)})
        raise
    return unreadable


def _image(image: Mapping[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return from_stream_image({name: image[name] for name in wanted & image.keys()})
