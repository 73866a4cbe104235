"""The audit trail of the whole run, checked against the specification when its tests are over."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from payonce.idempotency.audit_items import entries_from
from payonce.idempotency.record_items import from_item
from payonce.stores.dynamodb_requests import from_attributes
from spec.trails import trail_faults

if TYPE_CHECKING:
    from local.stack import Stack
    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.records import IdempotencyRecord

PATIENCE_SECONDS = 120  # the trail follows its stream, and recovery may be at work


def check_trails(stack: Stack) -> None:
    """Raise ``AssertionError`` with what the specification does not allow in the trail of any key."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        trails, records = _trails(stack), _records(stack)
        assert trails, "there is no audit trail"
        faults = [
            fault
            for record_id in sorted(trails.keys() | records.keys())
            for fault in trail_faults(trails.get(record_id, []), records.get(record_id))
        ]
        if not faults or time.monotonic() > give_up:
            break
        time.sleep(2)
    assert not faults, "\n".join(faults)


def _trails(stack: Stack) -> dict[str, list[AuditEntry]]:
    found: dict[str, list[AuditEntry]] = defaultdict(list)
    for item in _items(stack, "AuditTableName"):
        if "transition" in item:  # a test adds an item of its own, to see that it may
            for entry in entries_from(from_attributes(item)):
                found[entry.record_id].append(entry)
    return found


def _records(stack: Stack) -> dict[str, IdempotencyRecord]:
    records = [from_item(from_attributes(item)) for item in _items(stack, "IdempotencyTableName")]
    return {record.record_id: record for record in records}


def _items(stack: Stack, table: str) -> list[dict[str, Any]]:
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table], ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]
