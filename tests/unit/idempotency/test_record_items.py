"""The stored form of a record: member by member, as every release has to read and write it."""

from __future__ import annotations

from dataclasses import replace

from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import (
    DROPPED_AT_COMPLETION,
    OPEN_LEASE_SHARDS,
    WAITING_SHARDS,
    from_item,
    ownership_attributes,
    response_attributes,
    shard_of,
    to_item,
    waiting_shard_of,
)
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.packing import pack
from payonce.ports import Table
from tests.support.world import MERCHANT, World

RECORD = IdempotencyRecord(
    record_id="mer_1#create_payment#1",
    status=RecordStatus.IN_DOUBT,
    claim_id="pay_1",
    fence=3,
    fingerprint="f",
    created_at_ms=1,
    expires_at_ms=2,
    lease_expires_at_ms=3,
    submit_horizon_ms=4,
    resource="/payments/pay_1",
    plan={"kind": "payment"},
    owner="an owner",
    lane="bank",
)
OWNED = {
    "fence": 3,
    "status": "IN_DOUBT",
    "lease_expires_at_ms": 3,
    "submit_horizon_ms": 4,
    "owner": "an owner",
}
ITEM = {
    "id": "mer_1#create_payment#1",
    "claim_id": "pay_1",
    "fingerprint": "f",
    "created_at_ms": 1,
    "expires_at_ms": 2,
    **OWNED,
    "open_shard": "10",
    "resource": "/payments/pay_1",
    "plan": {"kind": "payment"},
    "lane": "bank",
}
BODY = b'{"status":"captured"}' * 9


def test_an_open_claim_is_stored_member_by_member() -> None:
    """Fails when a release stores a member elsewhere: another one's recovery and fences would not see it."""
    assert (to_item(RECORD), from_item(ITEM)) == (ITEM, RECORD)
    assert ownership_attributes(RECORD) == OWNED


def test_what_a_claim_does_not_have_is_not_stored() -> None:
    """Each attribute is paid for. Fails when a first owner, or a claim without a lane, stores an empty one."""
    plain = replace(RECORD, owner="", lane="")
    item = to_item(plain)
    assert {*ITEM} - {*item} == {"owner", "lane"}
    assert "owner" not in ownership_attributes(plain)
    assert from_item(item) == plain


def test_a_concluded_record_is_read_without_what_it_has_dropped() -> None:
    """Fails when a replay needs what is dropped, or a member of the conclusion is lost."""
    answer = StoredResponse(201, {"location": "/payments/pay_1"}, BODY)
    item = {name: value for name, value in ITEM.items() if name not in DROPPED_AT_COMPLETION}
    item |= {"status": "COMPLETED", "purge_at": 5, "ended_at_ms": 6, **response_attributes(answer)}
    assert from_item(item) == replace(
        RECORD,
        status=RecordStatus.COMPLETED,
        lease_expires_at_ms=0,
        submit_horizon_ms=0,
        plan={},
        owner="",
        lane="",
        response=answer,
        purge_at_seconds=5,
        ended_at_ms=6,
    )
    assert set(DROPPED_AT_COMPLETION) == {
        "plan",
        "open_shard",
        "lease_expires_at_ms",
        "submit_horizon_ms",
        "owner",
        "lane",
    }


def test_a_completed_record_has_left_what_only_recovery_needs() -> None:
    """A replay is billed by its item's size. Fails when an attribute stays, in the index of open claims above all."""
    world = World()
    world.create("key")
    item = world.database.get(Table.IDEMPOTENCY, {"id": record_id(MERCHANT, "create_payment", "key")})
    assert item is not None
    assert set(item) == {
        *("id", "claim_id", "fingerprint", "created_at_ms", "expires_at_ms", "fence", "status", "resource"),
        *("response_status", "response_headers", "response_body", "purge_at", "ended_at_ms"),
    }


def test_a_response_is_stored_as_a_map_of_headers_or_as_its_lines() -> None:
    """Fails when lines lose their order or repetition, or headers come back as both."""
    mapped = StoredResponse(201, {"location": "/x"}, BODY)
    assert response_attributes(mapped) == {
        "response_status": 201,
        "response_headers": {"location": "/x"},
        "response_body": pack(BODY),
    }
    lines = StoredResponse(200, {}, BODY, (("set-cookie", "a"), ("set-cookie", "b")))
    assert response_attributes(lines)["response_headers"] == [["set-cookie", "a"], ["set-cookie", "b"]]
    for response in (mapped, lines):
        assert from_item({**ITEM, **response_attributes(response)}).response == response


def test_a_claims_shard_is_the_same_in_every_release_and_process() -> None:
    """Known vectors. Fails when one release's recovery looks for another one's claims in other shards."""
    assert [shard_of(claim) for claim in ("pay_1", "pay_2", "cor_1")] == [10, 16, 10]
    assert [waiting_shard_of(record) for record in ("m#o#1", "m#o#2")] == ["39", "37"]
    assert {shard_of(f"pay_{number}") for number in range(1_000)} == set(range(OPEN_LEASE_SHARDS)) == set(range(32))
    waiting = {waiting_shard_of(f"m#o#{number}") for number in range(1_000)}
    assert waiting == {str(shard) for shard in WAITING_SHARDS} == {str(shard) for shard in range(32, 40)}
