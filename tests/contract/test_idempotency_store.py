"""The contract of the IdempotencyStore port, on every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown, WriteConflict
from payonce.idempotency.items import OPEN_LEASE_SHARDS, response_attributes
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.idempotency.store import ClaimTaken, DatabaseIdempotencyStore
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database, Write

RESPONSE = StoredResponse(201, {"content-type": "application/json"}, b'{"a":1}')


@pytest.fixture
def store(database: Database) -> DatabaseIdempotencyStore:
    return DatabaseIdempotencyStore(database)


def new_record(claim_id: str = "c1", **changes: Any) -> IdempotencyRecord:
    record = IdempotencyRecord(
        record_id="m#op#k",
        status=RecordStatus.IN_PROGRESS,
        claim_id=claim_id,
        fence=1,
        fingerprint="f",
        created_at_ms=1_000,
        expires_at_ms=2_000,
        lease_expires_at_ms=1_500,
        resource="/payments/p",
        plan={"amount_minor": 5, "metadata": {}},
    )
    return replace(record, **changes)


def complete(store: DatabaseIdempotencyStore, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> None:
    store.complete(record, RESPONSE, purge_at_seconds=99, writes=writes)


def park(store: DatabaseIdempotencyStore, record: IdempotencyRecord) -> IdempotencyRecord:
    return store.park(record, RESPONSE, submit_horizon_ms=7, retry_at_ms=9, writes=())


def test_a_claim_is_stored_whole(store: DatabaseIdempotencyStore) -> None:
    record = store.claim(new_record())
    assert store.get("m#op#k") == record == new_record()


def test_a_second_claim_sees_the_first(store: DatabaseIdempotencyStore) -> None:
    """Fails when the claim is put without a condition."""
    store.claim(new_record())
    with pytest.raises(ClaimTaken) as taken:
        store.claim(new_record("c2", fingerprint="g"))
    assert taken.value.record == new_record()


def test_our_own_put_sent_again_is_our_claim(store: DatabaseIdempotencyStore) -> None:
    """The SDK repeats a put whose answer was lost. Fails without the comparison of claim ids: we would wait for us."""
    store.claim(new_record())
    assert store.claim(new_record()) == new_record()


def test_a_claim_whose_answer_was_lost_is_found_by_reading(database: Database) -> None:
    class LosesAnswers:
        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

        def write(self, writes: Sequence[Write]) -> None:
            database.write(writes)
            raise OutcomeUnknown("no answer")

    assert DatabaseIdempotencyStore(LosesAnswers()).claim(new_record()) == new_record()


def test_a_claim_joins_its_business_conditions(store: DatabaseIdempotencyStore, database: Database) -> None:
    reservation = Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})
    store.claim(new_record(), [reservation])
    with pytest.raises(ClaimTaken):  # the record is looked at before the reservation: a replay is never a conflict
        store.claim(new_record("c2"), [reservation])
    with pytest.raises(WriteConflict) as conflict:
        store.claim(new_record("c3", record_id="other"), [reservation])
    assert conflict.value.index == 0
    assert store.get("other") is None
    assert database.get(Table.PAYMENTS, {"pk": "p", "sk": "s"}) is not None


def test_a_takeover_keeps_the_identity_and_raises_the_fence(store: DatabaseIdempotencyStore) -> None:
    store.claim(new_record())
    taken = store.take_over(new_record(), lease_expires_at_ms=5_000)
    assert taken == new_record(fence=2, lease_expires_at_ms=5_000, submit_horizon_ms=1_500)
    assert store.get("m#op#k") == taken
    with pytest.raises(LeaseLost):  # who still sees fence 1 comes too late
        store.take_over(new_record(), lease_expires_at_ms=6_000)


@pytest.mark.parametrize("write", ["complete", "park", "release", "take_over"])
def test_a_stale_owner_changes_nothing(store: DatabaseIdempotencyStore, database: Database, write: str) -> None:
    """Fails for each write when the fence is dropped from its condition."""
    stale = store.claim(new_record())
    store.take_over(stale, lease_expires_at_ms=5_000)
    before = database.get(Table.IDEMPOTENCY, {"id": "m#op#k"})
    with pytest.raises(LeaseLost):
        {
            "complete": lambda: complete(store, stale, [Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})]),
            "park": lambda: park(store, stale),
            "release": lambda: store.release(stale),
            "take_over": lambda: store.take_over(stale, lease_expires_at_ms=9_000),
        }[write]()
    assert database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) == before
    assert database.get(Table.PAYMENTS, {"pk": "p", "sk": "s"}) is None


def test_a_released_claims_fence_does_not_open_the_next_claim(store: DatabaseIdempotencyStore) -> None:
    """After a release fences start at 1 again. Fails when the claim id is dropped from the condition."""
    stale = store.claim(new_record("c1"))
    taken = store.take_over(stale, lease_expires_at_ms=5_000)
    store.release(taken)
    store.claim(new_record("c2"))
    for write in (lambda: complete(store, stale), lambda: park(store, stale), lambda: store.release(stale)):
        with pytest.raises(LeaseLost):
            write()
    assert store.get("m#op#k") == new_record("c2")


@pytest.mark.parametrize("body", [b"", b"\x00\xff binary", b'{"a":0}', b"x" * 50_000, bytes(range(256)) * 4])
def test_a_completed_record_gives_back_the_bytes(store: DatabaseIdempotencyStore, body: bytes) -> None:
    record = store.claim(new_record())
    response = StoredResponse(201, {"location": "/p"}, body)
    store.complete(record, response, purge_at_seconds=99, writes=())
    stored = store.get("m#op#k")
    assert stored is not None
    assert stored.response == response
    assert stored.status is RecordStatus.COMPLETED
    assert stored.plan == {}


def test_only_a_completed_record_may_be_forgotten(store: DatabaseIdempotencyStore, database: Database) -> None:
    """Fails when the TTL attribute is set at the claim: TTL would delete the only trace of a charge in doubt."""
    record = park(store, store.claim(new_record()))
    assert "purge_at" not in (database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) or {})
    complete(store, store.take_over(record, lease_expires_at_ms=5_000))
    item = database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) or {}
    assert item["purge_at"] == 99
    assert "open_shard" not in item


def test_open_claims_are_listed_when_their_lease_ends(store: DatabaseIdempotencyStore) -> None:
    for number in range(30):
        store.claim(new_record(record_id=f"r{number}", lease_expires_at_ms=100 + number))
    complete(store, new_record(record_id="r3", lease_expires_at_ms=103))
    found = [
        open_id
        for shard in range(OPEN_LEASE_SHARDS)
        for open_id in store.open_claims(shard, lease_expired_at_ms=109, limit=50)
    ]
    assert sorted(found) == sorted(f"r{number}" for number in range(10) if number != 3)


def test_a_conflict_in_completion_leaves_the_claim(store: DatabaseIdempotencyStore, database: Database) -> None:
    record = store.claim(new_record())
    database.write([Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})])
    with pytest.raises(WriteConflict) as conflict:
        complete(
            store,
            record,
            [Insert(Table.OUTBOX, {"pk": "p", "sk": "s"}), Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})],
        )
    assert conflict.value.index == 1
    assert store.get("m#op#k") == record


def test_header_lines_keep_their_order_and_repetitions(store: DatabaseIdempotencyStore) -> None:
    """Fails when repeated headers collapse, or a provisional response's lines are left behind."""
    lines = (("Set-Cookie", "a=1"), ("X-A", ""), ("set-cookie", "b=2"), ("Set-Cookie", "a=1"))
    record = store.claim(new_record())
    parked = store.park(
        record,
        StoredResponse(409, {}, b"", lines),
        submit_horizon_ms=7,
        retry_at_ms=9,
        writes=(),
    )
    assert store.get(record.record_id) == parked
    taken = store.take_over(parked, lease_expires_at_ms=99)
    store.complete(taken, RESPONSE, purge_at_seconds=99, writes=())
    stored = store.get(record.record_id)
    assert stored is not None
    assert stored.response == RESPONSE
    assert RESPONSE.header_lines() == tuple(RESPONSE.headers.items())


def test_records_from_before_header_lines_are_read(store: DatabaseIdempotencyStore) -> None:
    """The stored form of a response with plain headers is what it always was: a map."""
    complete(store, store.claim(new_record()))
    assert response_attributes(RESPONSE)["response_headers"] == dict(RESPONSE.headers)
