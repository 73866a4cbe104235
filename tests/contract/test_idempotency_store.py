"""The contract of the IdempotencyStore port, on every store; business writes on every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency.audit import ReleasedBy, claimed_entry, released_entry
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.open_claims import OpenClaim
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, response_attributes
from payonce.idempotency.record_store import ClaimTaken, DatabaseIdempotencyStore
from payonce.idempotency.records import RecordStatus, StoredResponse
from payonce.ports import Insert, Table
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, new_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Database, Write


def complete(store: IdempotencyStore, record: IdempotencyRecord, writes: Sequence[Write] = ()) -> None:
    store.complete(record, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=writes)


def park(store: IdempotencyStore, record: IdempotencyRecord) -> IdempotencyRecord:
    return store.park(record, RESPONSE, submit_horizon_ms=7, retry_at_ms=9, ended_at_ms=ENDED_AT_MS, writes=())


def open_ids(store: IdempotencyStore, lease_expired_at_ms: int) -> list[str]:
    return [
        open_id
        for shard in range(OPEN_LEASE_SHARDS)
        for open_id in store.open_claims(shard, lease_expired_at_ms=lease_expired_at_ms, limit=50)
    ]


def test_a_claim_is_stored_whole(store: IdempotencyStore) -> None:
    record = store.claim(new_record())
    assert store.get("m#op#k") == record == new_record()


def test_a_second_claim_sees_the_first(store: IdempotencyStore) -> None:
    """Fails when the claim is put without a condition."""
    store.claim(new_record())
    with pytest.raises(ClaimTaken) as taken:
        store.claim(new_record("c2", fingerprint="g"))
    assert taken.value.record == new_record()


def test_our_own_put_sent_again_is_our_claim(store: IdempotencyStore) -> None:
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


@pytest.mark.parametrize("readable", [True, False])
def test_a_claim_that_is_not_found_may_land_later(database: Database, readable: bool) -> None:
    """Fails when a look that finds nothing, or fails, is taken for "nothing was stored": the put may be on its way."""

    class Late:
        def write(self, writes: Sequence[Write]) -> None:
            raise OutcomeUnknown("no answer")

        def get(self, table: Table, key: Any) -> Any:
            if not readable:
                raise StoreUnavailable("throttled")
            return database.get(table, key)

    with pytest.raises(OutcomeUnknown):
        DatabaseIdempotencyStore(Late()).claim(new_record())  # type: ignore[arg-type]


def test_a_takeover_knows_itself_by_its_owner(store: IdempotencyStore) -> None:
    """Two takers see the same fence, and the answer of each may be lost. Fails when the second believes that it has it,
    or the first that it does not.
    """
    store.claim(new_record())
    first = store.take_over(new_record(), lease_expires_at_ms=5_000, owner="first")
    assert first == store.get("m#op#k")
    assert store.take_over(new_record(), lease_expires_at_ms=5_000, owner="first") == first
    for other in ("second", ""):
        with pytest.raises(LeaseLost):
            store.take_over(new_record(), lease_expires_at_ms=5_000, owner=other)
    complete(store, first)
    with pytest.raises(LeaseLost):  # what is concluded is nobody's
        store.take_over(new_record(), lease_expires_at_ms=5_000, owner="first")


def test_a_claim_joins_its_business_conditions(database: Database) -> None:
    store = DatabaseIdempotencyStore(database)
    reservation = Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})
    store.claim(new_record(), [reservation])
    with pytest.raises(ClaimTaken):  # the record is looked at before the reservation: a replay is never a conflict
        store.claim(new_record("c2"), [reservation])
    with pytest.raises(WriteConflict) as conflict:
        store.claim(new_record("c3", record_id="other"), [reservation])
    assert conflict.value.index == 0
    assert store.get("other") is None
    assert database.get(Table.PAYMENTS, {"pk": "p", "sk": "s"}) is not None


def test_a_takeover_keeps_the_identity_and_raises_the_fence(store: IdempotencyStore) -> None:
    store.claim(new_record())
    taken = store.take_over(new_record(), lease_expires_at_ms=5_000)
    assert taken == new_record(fence=2, lease_expires_at_ms=5_000, submit_horizon_ms=1_500)
    assert store.get("m#op#k") == taken
    with pytest.raises(LeaseLost):  # who still sees fence 1 comes too late
        store.take_over(new_record(), lease_expires_at_ms=6_000)


STALE_WRITES: dict[str, Callable[[IdempotencyStore, IdempotencyRecord], object]] = {
    "complete": complete,
    "park": park,
    "release": lambda store, record: store.release(record),
    "take_over": lambda store, record: store.take_over(record, lease_expires_at_ms=9_000),
}


@pytest.mark.parametrize("write", STALE_WRITES)
def test_a_stale_owner_changes_nothing(store: IdempotencyStore, write: str) -> None:
    """Fails for each write when the fence is dropped from its condition."""
    stale = store.claim(new_record())
    taken = store.take_over(stale, lease_expires_at_ms=5_000)
    with pytest.raises(LeaseLost):
        STALE_WRITES[write](store, stale)
    assert store.get("m#op#k") == taken
    assert open_ids(store, 4_999) == []
    assert open_ids(store, 5_000) == ["m#op#k"]


def test_a_stale_owners_business_writes_are_refused_with_it(database: Database) -> None:
    """Fails when the record's condition and the business writes are not one transaction."""
    store = DatabaseIdempotencyStore(database)
    stale = store.claim(new_record())
    store.take_over(stale, lease_expires_at_ms=5_000)
    before = database.get(Table.IDEMPOTENCY, {"id": "m#op#k"})
    with pytest.raises(LeaseLost):
        complete(store, stale, [Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})])
    assert database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) == before
    assert database.get(Table.PAYMENTS, {"pk": "p", "sk": "s"}) is None


@pytest.mark.parametrize("write", STALE_WRITES)
@pytest.mark.parametrize("last", ["complete", "park", "release"])
def test_a_concluded_claim_is_no_longer_its_owners(store: IdempotencyStore, write: str, last: str) -> None:
    """The same claim and fence, another status. Fails for each write when the status is dropped from its condition."""
    owned = store.claim(new_record())
    STALE_WRITES[last](store, owned)
    stored = store.get("m#op#k")
    with pytest.raises(LeaseLost):
        STALE_WRITES[write](store, owned)
    assert store.get("m#op#k") == stored


def test_nobody_takes_over_what_is_completed(store: IdempotencyStore) -> None:
    """Fails (a second execution) when a takeover requires just the status that it saw."""
    complete(store, store.claim(new_record()))
    stored = store.get("m#op#k")
    assert stored is not None
    with pytest.raises(LeaseLost):
        store.take_over(stored, lease_expires_at_ms=5_000)
    assert store.get("m#op#k") == stored


def test_a_parked_record_is_taken_over_and_completed(store: IdempotencyStore) -> None:
    """Fails when a takeover forgets the horizon, or keeps the provisional response in place of the final one."""
    parked = park(store, store.claim(new_record()))
    assert (parked.status, parked.response) == (RecordStatus.IN_DOUBT, RESPONSE)
    assert store.get("m#op#k") == parked
    taken = store.take_over(parked, lease_expires_at_ms=5_000)
    assert (taken.fence, taken.submit_horizon_ms, taken.response) == (2, 7, RESPONSE)
    assert store.get("m#op#k") == taken
    final = StoredResponse(402, {}, b"declined")
    store.complete(taken, final, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())
    stored = store.get("m#op#k")
    assert stored is not None
    assert stored.response == final


@pytest.mark.parametrize("conclude", [complete, park])
def test_when_the_work_ended_is_in_the_record(
    store: IdempotencyStore, conclude: Callable[[IdempotencyStore, IdempotencyRecord], object]
) -> None:
    """Beside the time of the claim: how long the work took. Fails when a conclusion forgets it, or a claim has one."""
    claimed = store.claim(new_record())
    assert claimed.ended_at_ms == 0
    conclude(store, claimed)
    stored = store.get("m#op#k")
    assert stored is not None
    assert (stored.created_at_ms, stored.ended_at_ms) == (1_000, ENDED_AT_MS)


def test_a_released_key_is_free(store: IdempotencyStore) -> None:
    """Fails when a release leaves the record, or its entry in the index of open leases."""
    store.release(store.claim(new_record()))
    assert store.get("m#op#k") is None
    assert open_ids(store, 10_000) == []
    assert store.claim(new_record("c2")) == new_record("c2")


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"text": "\u00fc\U0001f4b6\x00", "none": None, "yes": True, "large": 2**53 + 1, "negative": -1},
        {"body": b"\x00\xff", "nested": {"list": [b"", {"$bytes": "eA=="}, {"$$": "$", "$bytes": b"x"}]}},
    ],
)
def test_a_plan_comes_back_as_it_was(store: IdempotencyStore, plan: dict[str, Any]) -> None:
    """Fails when binaries, or names that look like the encoding of one, are lost or changed."""
    store.claim(new_record(plan=plan))
    stored = store.get("m#op#k")
    assert stored is not None
    assert stored.plan == plan


def test_parking_may_bring_a_new_plan_and_only_under_the_fence(store: IdempotencyStore) -> None:
    """Fails when the next owner goes on with the old plan, and so does not ask about what may have been sent since."""
    first = store.claim(new_record(plan={"submission": 1, "metadata": {"a": "b"}}))
    times = {"submit_horizon_ms": 7, "retry_at_ms": 9, "ended_at_ms": ENDED_AT_MS}
    parked = store.park(first, RESPONSE, **times, writes=(), plan={"submission": 2})
    assert parked.plan == {"submission": 2}
    taken = store.take_over(parked, lease_expires_at_ms=5_000)
    assert (taken.plan, store.get("m#op#k")) == ({"submission": 2}, taken)
    with pytest.raises(LeaseLost):
        store.park(first, RESPONSE, **times, writes=(), plan={"submission": 3})
    again = store.park(taken, RESPONSE, **times, writes=())
    assert (again.plan, store.get("m#op#k")) == ({"submission": 2}, again)


def test_a_released_claims_fence_does_not_open_the_next_claim(store: IdempotencyStore) -> None:
    """After a release fences start at 1 again. Fails when the claim id is dropped from the condition."""
    stale = store.claim(new_record("c1"))
    taken = store.take_over(stale, lease_expires_at_ms=5_000)
    store.release(taken)
    store.claim(new_record("c2"))
    for write in (lambda: complete(store, stale), lambda: park(store, stale), lambda: store.release(stale)):
        with pytest.raises(LeaseLost):
            write()
    assert store.get("m#op#k") == new_record("c2")


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff binary", b'{"a":0}', b"x" * 300_000, bytes(range(256)) * 4, b"\r\n$-1\r\n"]
)
def test_a_completed_record_gives_back_the_bytes(store: IdempotencyStore, body: bytes) -> None:
    record = store.claim(new_record())
    response = StoredResponse(201, {"location": "/p"}, body)
    store.complete(record, response, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())
    stored = store.get("m#op#k")
    assert stored is not None
    assert stored.response == response
    assert stored.status is RecordStatus.COMPLETED
    assert stored.plan == {}


def test_only_a_completed_record_may_be_forgotten(database: Database) -> None:
    """Fails when the TTL attribute is set at the claim: TTL would delete the only trace of a charge in doubt."""
    store = DatabaseIdempotencyStore(database)
    record = park(store, store.claim(new_record()))
    assert "purge_at" not in (database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) or {})
    complete(store, store.take_over(record, lease_expires_at_ms=5_000))
    item = database.get(Table.IDEMPOTENCY, {"id": "m#op#k"}) or {}
    assert item["purge_at"] == PURGE_AT_SECONDS
    assert "open_shard" not in item


def test_open_claims_are_listed_when_their_lease_ends(store: IdempotencyStore) -> None:
    for number in range(30):
        store.claim(new_record(record_id=f"r{number}", lease_expires_at_ms=100 + number))
    complete(store, new_record(record_id="r3", lease_expires_at_ms=103))
    found = open_ids(store, 109)
    assert sorted(found) == sorted(f"r{number}" for number in range(10) if number != 3)


def test_the_lane_of_an_open_claim_comes_back_and_is_dropped_at_completion(store: IdempotencyStore) -> None:
    record = store.claim(replace(new_record(), lane="bank"))
    assert store.get(record.record_id) == record
    assert record.lane == "bank"
    taken = store.take_over(record, lease_expires_at_ms=99)
    assert taken.lane == "bank"
    complete(store, taken)
    stored = store.get(record.record_id)
    assert stored is not None
    assert stored.lane == ""


def test_all_open_claims_are_read_page_by_page_in_the_order_in_which_they_are_due(database: Database) -> None:
    """Fails when a page ends too early, a claim is listed twice, or the index lacks what its reader needs."""
    store = DatabaseIdempotencyStore(database)
    for number in range(12):
        lane = "bank" if number % 2 else ""
        store.claim(
            replace(new_record(f"c{number}"), record_id=f"m#op#{number}", lane=lane, lease_expires_at_ms=100 - number)
        )
    complete(store, replace(new_record("c3"), record_id="m#op#3"))
    found: list[OpenClaim] = []
    for shard in range(OPEN_LEASE_SHARDS):
        listed: list[OpenClaim] = []
        start = None
        while True:
            page = store.open_page(shard, limit=1, start=start)
            listed += page.claims
            start = page.next_key
            if start is None:
                break
        assert [claim.due_at_ms for claim in listed] == sorted(claim.due_at_ms for claim in listed)
        found += listed
    created_at_ms = new_record().created_at_ms
    assert sorted(found, key=lambda claim: -claim.due_at_ms) == [
        OpenClaim(f"m#op#{number}", "bank" if number % 2 else "", 100 - number, created_at_ms)
        for number in range(12)
        if number != 3
    ]


def test_a_conflict_in_completion_leaves_the_claim(database: Database) -> None:
    store = DatabaseIdempotencyStore(database)
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


def test_header_lines_keep_their_order_and_repetitions(store: IdempotencyStore) -> None:
    """Fails when repeated headers collapse, or a provisional response's lines are left behind."""
    lines = (("Set-Cookie", "a=1"), ("X-A", ""), ("set-cookie", "b=2"), ("Set-Cookie", "a=1"))
    record = store.claim(new_record())
    parked = store.park(
        record,
        StoredResponse(409, {}, b"", lines),
        submit_horizon_ms=7,
        retry_at_ms=9,
        ended_at_ms=ENDED_AT_MS,
        writes=(),
    )
    assert store.get(record.record_id) == parked
    taken = store.take_over(parked, lease_expires_at_ms=99)
    complete(store, taken)
    stored = store.get(record.record_id)
    assert stored is not None
    assert stored.response == RESPONSE
    assert RESPONSE.header_lines() == tuple(RESPONSE.headers.items())


def test_records_from_before_header_lines_are_read(store: IdempotencyStore) -> None:
    """The stored form of a response with plain headers is what it always was: a map."""
    complete(store, store.claim(new_record()))
    assert response_attributes(RESPONSE)["response_headers"] == dict(RESPONSE.headers)


def test_many_records_are_read_at_once(store: IdempotencyStore) -> None:
    """Fails when one of them is left out, or what is not stored is an error."""
    made = {f"m#op#{n}": store.claim(new_record(record_id=f"m#op#{n}")) for n in range(60)}
    complete(store, made["m#op#7"])
    found = {record.record_id: record for record in store.get_many([*made, *(f"m#none#{n}" for n in range(40))])}
    assert set(found) == set(made)
    assert found["m#op#8"] == made["m#op#8"]
    assert (found["m#op#7"].status, found["m#op#7"].purge_at_seconds) == (RecordStatus.COMPLETED, PURGE_AT_SECONDS)


@pytest.mark.parametrize("doubted", [False, True])
def test_an_operators_release_frees_the_key_and_is_in_the_trail(database: Database, doubted: bool) -> None:
    """Fails when a claim in doubt can't be released, or the entry is not in the same transaction."""
    store = DatabaseIdempotencyStore(database)
    owned = store.claim(new_record())
    if doubted:
        owned = park(store, owned)
    by = ReleasedBy(operator="ada", reason="ticket", finding="nothing", at_ms=5, forced=True)
    write = Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})
    store.release(owned, [write], by=by)
    assert store.get("m#op#k") is None
    assert database.get(Table.PAYMENTS, {"pk": "p", "sk": "s"}) is not None
    history = DatabaseAuditTrail(database, 1).history("m#op#k")
    assert history == [*([] if doubted else [claimed_entry(owned)]), released_entry(owned, by)]
    store.claim(new_record("c2"))


def test_a_release_that_comes_too_late_leaves_no_trace(database: Database) -> None:
    """Fails when the entry is written before, or apart from, the release."""
    store = DatabaseIdempotencyStore(database)
    shown = park(store, store.claim(new_record()))
    taken = store.take_over(shown, lease_expires_at_ms=5_000)
    by = ReleasedBy(operator="ada", reason="ticket", at_ms=5)
    with pytest.raises(LeaseLost):
        store.release(shown, by=by)
    complete(store, taken)
    for record in (taken, replace(taken, status=RecordStatus.COMPLETED)):
        with pytest.raises(LeaseLost):
            store.release(record, by=by)
    assert DatabaseAuditTrail(database, 1).history("m#op#k") == []


def test_a_business_conflict_keeps_the_claim_at_an_operators_release(database: Database) -> None:
    store = DatabaseIdempotencyStore(database)
    owned = store.claim(new_record())
    write = Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})
    database.write([write])
    with pytest.raises(WriteConflict) as conflict:
        store.release(owned, [write], by=ReleasedBy(operator="ada", reason="ticket", at_ms=5))
    assert conflict.value.index == 0
    assert store.get("m#op#k") == owned
