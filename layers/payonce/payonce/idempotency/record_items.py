"""The stored form of idempotency records."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.packing import pack, unpack

if TYPE_CHECKING:
    from payonce.ports import Item

# One index partition takes about 1,000 writes a second, and each payment makes two, when it is claimed and when it is
# concluded: 32 shards take 10,000 payments a second with a third to spare. Recovery reads each once a run.
OPEN_LEASE_SHARDS = 32

# Claims that wait for somebody else, for days if need be, have shards of their own: only those that are due are read.
# A million of them at a time are 125,000 a shard.
WAITING_SHARDS = range(OPEN_LEASE_SHARDS, OPEN_LEASE_SHARDS + 8)

# Attributes that recovery needs and a replay does not. Dropping them makes replays cheaper, which are billed by the
# item's size, and an item without a shard leaves the index.
DROPPED_AT_COMPLETION = ("plan", "open_shard", "lease_expires_at_ms", "submit_horizon_ms", "owner", "lane")


def shard_of(identity: str) -> int:
    """Return the shard of an identity. The open leases' index lists a record in the shard of its ``claim_id``.

    So whoever knows a claim's id finds its record in one shard: see ``DatabaseIdempotencyStore.open_claim``.
    """
    return zlib.crc32(identity.encode()) % OPEN_LEASE_SHARDS


def waiting_shard_of(record_id: str) -> str:
    """Return the shard, as it is stored, of a claim that nobody holds while it waits."""
    return str(WAITING_SHARDS[zlib.crc32(record_id.encode()) % len(WAITING_SHARDS)])


def response_attributes(response: StoredResponse) -> dict[str, Any]:
    """Return the attributes that hold a response. Its body is packed: a replay is billed by the stored item's size."""
    return {
        "response_status": response.status,
        # A list where the order or repetition of lines matters, otherwise a map. One attribute holds either, so that a
        # completion overwrites the provisional response entirely.
        "response_headers": [list(line) for line in response.lines] if response.lines else dict(response.headers),
        "response_body": pack(response.body),
    }


def ownership_attributes(record: IdempotencyRecord) -> dict[str, Any]:
    """Return the attributes that say who owns an open claim, and until when."""
    return {
        "fence": record.fence,
        "status": record.status.value,
        "lease_expires_at_ms": record.lease_expires_at_ms,
        "submit_horizon_ms": record.submit_horizon_ms,
        **({"owner": record.owner} if record.owner else {}),
    }


def to_item(record: IdempotencyRecord) -> Item:
    """Return the stored form of an open claim."""
    return {
        "id": record.record_id,
        "claim_id": record.claim_id,
        "fingerprint": record.fingerprint,
        "created_at_ms": record.created_at_ms,
        "expires_at_ms": record.expires_at_ms,
        **ownership_attributes(record),
        "open_shard": str(shard_of(record.claim_id)),
        "resource": record.resource,
        "plan": dict(record.plan),
        **({"lane": record.lane} if record.lane else {}),
    }


def from_item(item: Item) -> IdempotencyRecord:
    """Return the record of a stored item."""
    response = None
    if "response_status" in item:
        body, headers = item["response_body"], item["response_headers"]
        in_lines = isinstance(headers, list)
        response = StoredResponse(
            status=item["response_status"],
            headers={} if in_lines else headers,
            body=unpack(body),
            lines=tuple((name, value) for name, value in headers) if in_lines else (),
        )
    return IdempotencyRecord(
        record_id=item["id"],
        status=RecordStatus(item["status"]),
        claim_id=item["claim_id"],
        fence=item["fence"],
        fingerprint=item["fingerprint"],
        created_at_ms=item["created_at_ms"],
        expires_at_ms=item["expires_at_ms"],
        lease_expires_at_ms=item.get("lease_expires_at_ms", 0),
        submit_horizon_ms=item.get("submit_horizon_ms", 0),
        resource=item["resource"],
        plan=item.get("plan", {}),
        response=response,
        purge_at_seconds=item.get("purge_at", 0),
        ended_at_ms=item.get("ended_at_ms", 0),
        owner=item.get("owner", ""),
        lane=item.get("lane", ""),
    )
