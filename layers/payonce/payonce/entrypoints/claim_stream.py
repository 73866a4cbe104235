"""Turns the idempotency table's stream into audit entries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
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
    entries = [entry_of_record(record) for record in records]
    claims = [claim_left_by(record) for record in records]

    def write(entry: AuditEntry, claimed: AuditEntry | None) -> PayonceError | None:
        if entry.transition is Transition.CLAIMED:
            return None  # it is stored with the transition that follows
        try:
            trail.add(entry, claimed)
        except PayonceError as error:
            return error
        if entry.transition is Transition.UNFORESEEN:
            get_logger().error("claim changed by hand", extra={"record_id": entry.record_id, "claim": entry.claim_id})
        return None

    with ThreadPoolExecutor(max_workers=CONCURRENT_WRITES) as pool:
        failures = list(pool.map(write, entries, claims))
    failed = [(record, error) for record, error in zip(records, failures, strict=True) if error is not None]
    get_logger().info("claims audited", extra={"entries": len(entries) - len(failed)})
    if not failed:
        return {"batchItemFailures": []}
    first, error = failed[0]
    get_logger().error("claim not audited", extra={"failed": len(failed), "error": repr(error)})
    return {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}


def entry_of_record(record: Mapping[str, Any]) -> AuditEntry:
    """Return the entry of one stream record (``NEW_AND_OLD_IMAGES``), as a Lambda function receives it."""
    change = record["dynamodb"]
    key = change.get("Keys", {}).get("id", {}).get("S")
    identity = record.get("userIdentity") or {}
    return entry_of(
        key or UNREADABLE_ID,
        _image(change, "OldImage"),
        _image(change, "NewImage"),
        # In seconds, which some sources give with a fraction; equal whenever the record is read.
        at_ms=int(change.get("ApproximateCreationDateTime", 0) * 1000),
        sequence=str(change.get("SequenceNumber", "")),
        deleted_by=str(identity.get("principalId", "")) if identity.get("type") == "Service" else "",
    )


def claim_left_by(record: Mapping[str, Any]) -> AuditEntry | None:
    """Return the entry of the claim that one stream record leaves behind, ``None`` if it leaves none."""
    change = record["dynamodb"]
    key = change.get("Keys", {}).get("id", {}).get("S")
    return claim_left(key or UNREADABLE_ID, _image(change, "OldImage"), _image(change, "NewImage"))


def _image(change: Mapping[str, Any], name: str) -> Item | None:
    if not change.get(name):
        return None
    try:
        return from_stream_image(change[name])
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
