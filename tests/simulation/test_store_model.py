"""Random transitions by owners old and new, compared with a model of the store port, on memory and on Redis.

PAYONCE_SIMULATION=long runs more.
"""

from __future__ import annotations

import os
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from local.redis_servers import running_redis
from payonce.domain.errors import LeaseLost
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, shard_of
from payonce.idempotency.record_store import ClaimTaken
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, close_client, new_address, new_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.idempotency.record_store import IdempotencyStore

LONG = os.environ.get("PAYONCE_SIMULATION") == "long"
IDS = st.sampled_from([f"m#op#{number}" for number in range(3)])
TIMES_MS = st.integers(1, 20)
RESPONSES = st.builds(
    StoredResponse,
    st.integers(200, 599),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    st.binary(max_size=8) | st.sampled_from([bytes(1_000), bytes(range(256)) * 8]),
)
PLANS = st.dictionaries(
    st.text(max_size=3) | st.sampled_from(["$bytes", "$$"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "$bytes"]), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=2,
)


class Model:
    """The port in its simplest form: one dict, and the rule of each transition in one line."""

    def __init__(self) -> None:
        self.records: dict[str, IdempotencyRecord] = {}

    def owns(self, record: IdempotencyRecord, status: RecordStatus = RecordStatus.IN_PROGRESS) -> bool:
        """Return whether a transition by the owner of ``record`` has to be taken."""
        stored = self.records.get(record.record_id)
        return stored is not None and (stored.claim_id, stored.fence, stored.status) == (
            record.claim_id,
            record.fence,
            status,
        )


class StoreMachine(RuleBasedStateMachine):
    """Owners remember records as they once saw them, and write with them whenever they like."""

    make_store: Callable[[], IdempotencyStore]
    # The database lists a claim in the shard of its own id; Redis in that of its record, which is its slot.
    listed_by: Callable[[IdempotencyRecord], str]

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).make_store()
        self.model = Model()
        self.seen: list[IdempotencyRecord] = []
        self.claims = 0

    def attempt(self, taken: bool, call: Callable[[], Any]) -> Any:
        """Make a transition that the model takes, or refuses."""
        if taken:
            return call()
        with pytest.raises(LeaseLost):
            call()
        return None

    @rule(record_id=IDS, lease_ms=TIMES_MS, plan=PLANS, again=st.booleans())
    def claim(self, record_id: str, lease_ms: int, plan: dict[str, Any], again: bool) -> None:
        stored = self.model.records.get(record_id)
        self.claims += 1
        sent_again = again and stored is not None
        claim_id = stored.claim_id if stored is not None and sent_again else f"c{self.claims}"
        record = new_record(claim_id, record_id=record_id, lease_expires_at_ms=lease_ms, plan=plan)
        if stored is None:
            assert self.store.claim(record) == record
            self.model.records[record_id] = record
            self.seen.append(record)
        elif sent_again and stored.fence == 1:
            assert self.store.claim(record) == stored
        else:
            with pytest.raises(ClaimTaken) as refused:
                self.store.claim(record)
            assert refused.value.record == stored

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), lease_ms=TIMES_MS)
    def take_over(self, data: st.DataObject, lease_ms: int) -> None:
        observed = data.draw(st.sampled_from(self.seen))
        taken = self.model.owns(observed, observed.status) and observed.status is not RecordStatus.COMPLETED
        result = self.attempt(taken, lambda: self.store.take_over(observed, lease_expires_at_ms=lease_ms))
        if taken:
            horizon_ms = observed.submit_horizon_ms
            if observed.status is RecordStatus.IN_PROGRESS:
                horizon_ms = max(horizon_ms, observed.lease_expires_at_ms)
            self.remember(
                result,
                replace(
                    observed,
                    fence=observed.fence + 1,
                    status=RecordStatus.IN_PROGRESS,
                    lease_expires_at_ms=lease_ms,
                    submit_horizon_ms=horizon_ms,
                ),
            )

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), response=RESPONSES)
    def complete(self, data: st.DataObject, response: StoredResponse) -> None:
        owned = data.draw(st.sampled_from(self.seen))
        taken = self.model.owns(owned)
        self.attempt(
            taken,
            lambda: self.store.complete(
                owned, response, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=()
            ),
        )
        if taken:
            self.remember(
                None,
                replace(
                    owned,
                    status=RecordStatus.COMPLETED,
                    response=response,
                    plan={},
                    purge_at_seconds=PURGE_AT_SECONDS,
                    ended_at_ms=ENDED_AT_MS,
                    lease_expires_at_ms=0,
                    submit_horizon_ms=0,
                ),
            )

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), response=RESPONSES, retry_ms=TIMES_MS, horizon_ms=TIMES_MS)
    def park(self, data: st.DataObject, response: StoredResponse, retry_ms: int, horizon_ms: int) -> None:
        owned = data.draw(st.sampled_from(self.seen))
        taken = self.model.owns(owned)
        result = self.attempt(
            taken,
            lambda: self.store.park(
                owned, response, submit_horizon_ms=horizon_ms, retry_at_ms=retry_ms, ended_at_ms=ENDED_AT_MS, writes=()
            ),
        )
        if taken:
            self.remember(
                result,
                replace(
                    owned,
                    status=RecordStatus.IN_DOUBT,
                    response=response,
                    lease_expires_at_ms=retry_ms,
                    submit_horizon_ms=horizon_ms,
                    ended_at_ms=ENDED_AT_MS,
                ),
            )

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        owned = data.draw(st.sampled_from(self.seen))
        taken = self.model.owns(owned, owned.status) and owned.status is not RecordStatus.COMPLETED
        self.attempt(taken, lambda: self.store.release(owned))
        if taken:
            del self.model.records[owned.record_id]

    def remember(self, result: IdempotencyRecord | None, expected: IdempotencyRecord) -> None:
        assert result in (None, expected)
        self.model.records[expected.record_id] = expected
        self.seen.append(expected)

    @invariant()
    def what_is_stored_is_what_the_model_has(self) -> None:
        for number in range(3):
            assert self.store.get(f"m#op#{number}") == self.model.records.get(f"m#op#{number}")

    @invariant()
    def what_is_open_is_listed_by_its_lease(self) -> None:
        for shard in range(OPEN_LEASE_SHARDS):
            found = self.store.open_claims(shard, lease_expired_at_ms=10, limit=9)
            expected = [
                (record.lease_expires_at_ms, record.record_id)
                for record in self.model.records.values()
                if record.status is not RecordStatus.COMPLETED
                and record.lease_expires_at_ms <= 10
                and shard_of(self.listed_by(record)) == shard
            ]
            assert found == [record_id for _, record_id in sorted(expected)]


@pytest.fixture(params=["memory", "redis"])
def machine(request: pytest.FixtureRequest) -> Iterator[type[StoreMachine]]:
    """The machine on a store; every run has an empty one."""
    if request.param == "memory":
        by_claim = {"make_store": staticmethod(new_address("memory").open), "listed_by": attrgetter("claim_id")}
        yield type("MemoryMachine", (StoreMachine,), by_claim)
        return
    with running_redis() as [server]:
        yield type(
            "RedisMachine",
            (StoreMachine,),
            {
                "make_store": staticmethod(lambda: new_address("redis", server.url).open()),
                "listed_by": attrgetter("record_id"),
            },
        )
        close_client(server.url)


def test_the_store_does_what_its_model_does(machine: type[StoreMachine]) -> None:
    """Fails when any condition of any transition is dropped, or an index or a response is not kept."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=1_000 if LONG else 200,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
