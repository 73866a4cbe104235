"""Turns the idempotency table's stream into audit entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.each import InThreads
from payonce.idempotency.audit import Transition
from payonce.idempotency.audit_stream import claim_left, entry_of
from payonce.observability import get_logger
from payonce.stores.dynamodb_requests import from_stream_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.audit_items import DatabaseAuditTrail
    from payonce.ports import Item

CONCURRENT_WRITES = 8  # entries are independent, and each is one small put
UNREADABLE_ID = "unreadable"


def serve_audit(event: Mapping[str, Any], trail: DatabaseAuditTrail) -> dict[str, Any]:
    """Write one entry for each transition after a claim, and report the first that could not be written.

    The stream continues from there; writing an entry again is idempotent. A record's content never prevents its entry:
    an unreadable record gives an entry that says so, and does not stop the others.
    """
    records = list(event.get("Records", []))
    entries = [entries_of_record(record) for record in records]

    def write(told: tuple[AuditEntry, AuditEntry | None]) -> PayonceError | None:
        entry, claimed = told
        if entry.transition is Transition.CLAIMED:
            return None  # it is stored with the transition that follows
        try:
            trail.add(entry, claimed)
        except PayonceError as error:
            return error
        if entry.transition is Transition.UNFORESEEN:
            get_logger().error("claim changed by hand", extra={"record_id": entry.record_id, "claim": entry.claim_id})
        return None

    failures = InThreads(CONCURRENT_WRITES)(write, entries)
    failed = [(record, error) for record, error in zip(records, failures, strict=True) if error is not None]
    get_logger().info("claims audited", extra={"entries": len(entries) - len(failed)})
    if not failed:
        return {"batchItemFailures": []}
    first, error = failed[0]
    get_logger().error("claim not audited", extra={"failed": len(failed), "error": repr(error)})
    return {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}


def entries_of_record(record: Mapping[str, Any]) -> tuple[AuditEntry, AuditEntry | None]:
    """Return the entry of one stream record, and that of the claim which the change leaves behind.

    The record is one of ``NEW_AND_OLD_IMAGES``, as a Lambda function receives it.
    """
    change = record["dynamodb"]
    record_id = change.get("Keys", {}).get("id", {}).get("S") or UNREADABLE_ID
    before, after = _image(change, "OldImage"), _image(change, "NewImage")
    identity = record.get("userIdentity") or {}
    entry = entry_of(
        record_id,
        before,
        after,
        # In seconds, which some sources give with a fraction; equal whenever the record is read.
        at_ms=int(change.get("ApproximateCreationDateTime", 0) * 1000),
        sequence=str(change.get("SequenceNumber", "")),
        deleted_by=str(identity.get("principalId", "")) if identity.get("type") == "Service" else "",
    )
    return entry, claim_left(record_id, before, after)


def _image(change: Mapping[str, Any], name: str) -> Item | None:
    if not change.get(name):
        return None
    try:
        return from_stream_image(change[name])
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
