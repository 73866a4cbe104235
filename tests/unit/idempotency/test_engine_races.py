"""What the engine says, and does next, when somebody else is quicker, the store fails, or its work does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError

from payonce.domain.errors import (
    KeyInProgress,
    LeaseLost,
    NotStarted,
    OutcomeUnknown,
    PayonceError,
    StoreUnavailable,
    WriteConflict,
)
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.execution import Flow, directly
from payonce.idempotency.keys import record_id
from payonce.idempotency.ownership import LAST_TRY_MS
from payonce.idempotency.persistence import FencedPersistence, with_powertools
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import (
    Claim,
    Completed,
    Conclusion,
    Draft,
    IdempotencyRecord,
    KeyedRequest,
    Plan,
    RecordStatus,
    StoredResponse,
)
from payonce.idempotency.window import IdempotencySettings
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

LEASE_MS = 10_000
CONFLICT = WriteConflict("reserved by another", index=0, current=None)
REFUSED = NotStarted("refused by the business")
type Step = Callable[..., Any]


class Steps(DatabaseIdempotencyStore):
    """Each call of a method first takes the next of its ``steps``, which may raise; ``calls`` counts them."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase())
        self.steps: dict[str, list[Step]] = {}
        self.calls: list[str] = []

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if self.steps.get(name):
            self.steps[name].pop(0)()

    def claim(self, *arguments: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        self._step("claim")
        return super().claim(*arguments)

    def take_over(self, *arguments: Any, **named: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        self._step("take_over")
        return super().take_over(*arguments, **named)

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``."""
        self._step("get")
        return super().get(record_id)


class Job:
    """Work that a test decides about."""

    def __init__(self) -> None:
        self.on_conflict: Callable[[WriteConflict], PayonceError] | None = lambda _conflict: REFUSED
        self.answer: Conclusion | Exception = Completed(lambda: Draft(StoredResponse(201, {}, b"done"), ()))
        self.resumed = 0

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(claim_id="ours", resource="/x", data={}, on_conflict=self.on_conflict)

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return StoredResponse(201, {}, b"done")

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def adopt(self, record: IdempotencyRecord) -> Job:
        """See ``Work``."""
        return self

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        self.resumed += 1
        return self.start(claim)


class Place:
    """An engine, its store, and another owner of the same key."""

    def __init__(self, flow: Flow) -> None:
        self.clock, self.store, self.job = ManualClock(), Steps(), Job()
        self.engine = IdempotencyEngine(
            store=self.store, settings=IdempotencySettings(), clock=self.clock, sleep=self.clock.sleep, flow=flow
        )
        self.id = record_id("m", "op", "k")

    def execute(self, wait_seconds: float = 0) -> bytes:
        """Execute the job under the key, with 25 s to the deadline; return the body."""
        deadline = Deadline(self.clock.ms + 25_000)
        request = KeyedRequest(
            scope="m", operation="op", key="k", fingerprint="f", deadline=deadline, wait_seconds=wait_seconds
        )
        return self.engine.execute(request, self.job).response.body

    def another(self, lease_ms: int = LEASE_MS) -> IdempotencyRecord:
        """Have another owner claim the key."""
        record = IdempotencyRecord(
            record_id=self.id,
            status=RecordStatus.IN_PROGRESS,
            claim_id="another",
            fence=1,
            fingerprint="f",
            created_at_ms=self.clock.ms,
            expires_at_ms=self.clock.ms + 86_400_000,
            lease_expires_at_ms=self.clock.ms + lease_ms,
        )
        return DatabaseIdempotencyStore.claim(self.store, record)

    def raising(self, error: Exception) -> Step:
        """Return a step that raises."""

        def step() -> None:
            raise error

        return step

    def stored(self) -> IdempotencyRecord | None:
        """Return what is stored."""
        return DatabaseIdempotencyStore.get(self.store, self.id)

    def recover(self) -> bool:
        """Recover the claim."""
        return self.engine.recover(self.id, lambda _record: self.job, Deadline(self.clock.ms + 20_000))


@pytest.fixture(params=[directly, with_powertools])
def place(request: pytest.FixtureRequest) -> Place:
    """A key that nobody has, under each flow."""
    return Place(request.param)


def test_a_store_that_fails_at_once_has_executed_nothing(place: Place) -> None:
    place.store.steps["claim"] = [place.raising(StoreUnavailable("busy"))]
    with pytest.raises(StoreUnavailable):
        place.execute()


def test_who_saw_another_owner_does_not_say_that_nothing_happened(place: Place) -> None:
    """The other owner gave the key back, and then the store fails: that owner may have executed the request."""
    other = place.another()

    def gone() -> None:
        place.store.release(other)
        place.store.steps["claim"] = [place.raising(StoreUnavailable("busy"))]

    place.store.steps["get"] = [gone]
    with pytest.raises(OutcomeUnknown):
        place.execute(wait_seconds=5)


def lose_the_race(place: Place) -> None:
    """Another request takes the key over between our read and our write."""
    observed = place.another(lease_ms=0)
    place.clock.ms += 1

    def quicker() -> None:
        DatabaseIdempotencyStore.take_over(
            place.store, observed, lease_expires_at_ms=place.clock.ms + LEASE_MS, owner="quicker"
        )
        raise LeaseLost("too late")

    place.store.steps["take_over"] = [quicker]


def test_who_lost_a_race_does_not_say_that_nothing_happened(place: Place) -> None:
    lose_the_race(place)
    place.store.steps["claim"] = [lambda: None, place.raising(StoreUnavailable("busy"))]

    def released() -> None:
        stored = place.stored()
        assert stored is not None
        place.store.release(stored)

    place.store.steps["get"] = [released]
    with pytest.raises(OutcomeUnknown):
        place.execute(wait_seconds=5)


def test_who_lost_a_race_waits_for_the_winner(place: Place) -> None:
    """It looks once, and claims again only when the winner's lease is over. Fails when it claims in a loop instead."""
    lose_the_race(place)
    until_ms = place.clock.ms + LEASE_MS
    assert place.execute(wait_seconds=20) == b"done"
    assert place.clock.ms > until_ms
    assert place.store.calls.count("claim") == 2
    assert place.job.resumed == 1


def test_who_lost_a_race_answers_in_its_time(place: Place) -> None:
    lose_the_race(place)
    with pytest.raises(KeyInProgress):
        place.execute(wait_seconds=1)


def test_who_waits_has_a_second_left_to_answer(place: Place) -> None:
    """Fails when the wait takes the time in which the function has to answer."""
    place.another(lease_ms=60_000)
    deadline_ms = place.clock.ms + 25_000
    with pytest.raises(KeyInProgress):
        place.execute(wait_seconds=60)
    assert deadline_ms - 3_000 < place.clock.ms <= deadline_ms - 1_000


def test_work_that_says_not_started_under_a_claim_is_unknown(place: Place) -> None:
    """The claim stays open and recovery may still execute it. Fails when the client is told to use another key."""
    place.job.answer = NotStarted("a read failed")
    with pytest.raises(OutcomeUnknown):
        place.execute()
    assert place.stored() is not None


@pytest.mark.parametrize(
    ("error", "on_conflict", "said"),
    [
        (CONFLICT, True, REFUSED),
        (CONFLICT, False, CONFLICT),
        (StoreUnavailable("busy"), True, None),
    ],
)
def test_a_refused_claim_is_explained_by_its_plan(
    place: Place, error: PayonceError, on_conflict: bool, said: PayonceError | None
) -> None:
    place.store.steps["claim"] = [place.raising(error)]
    if not on_conflict:
        place.job.on_conflict = None
    with pytest.raises(PayonceError) as raised:
        place.execute()
    assert raised.value is (said or error)


def test_a_conflict_of_the_work_itself_is_not_a_refusal(place: Place) -> None:
    """The claim is stored, and the effect may have happened. Fails when the client is told that it was refused."""
    place.job.answer = CONFLICT
    with pytest.raises(PayonceError) as raised:
        place.execute()
    assert raised.value is not REFUSED


def test_a_takeover_is_tried_until_there_is_just_time_to_answer(place: Place) -> None:
    place.another(lease_ms=0)
    place.clock.ms += 1
    last_ms = place.clock.ms + 25_000 - LAST_TRY_MS
    place.store.steps["take_over"] = [place.raising(StoreUnavailable("busy"))] * 1_000
    with pytest.raises(OutcomeUnknown):
        place.execute()
    assert last_ms - 1_000 < place.clock.ms <= last_ms


def test_powertools_has_no_write_or_read_that_is_not_fenced() -> None:
    """Its versions differ in what they call: none of these may quietly do nothing, or write without the fence."""
    layer = FencedPersistence.__new__(FencedPersistence)
    for unfenced in (layer._get_record, layer._update_record, layer._delete_record):
        with pytest.raises(NotImplementedError):
            unfenced(None)  # type: ignore[arg-type]


def test_what_the_work_met_in_powertools_of_its_own_is_raised_as_it_is(place: Place) -> None:
    """A gateway's adapter uses Powertools too. Fails when its error is taken for a refused claim of ours."""
    place.job.answer = IdempotencyAlreadyInProgressError("the adapter's own")
    with pytest.raises(IdempotencyAlreadyInProgressError, match="the adapter's own"):
        place.execute()


def test_nothing_is_recovered_where_there_is_no_record(place: Place) -> None:
    assert not place.recover()
    assert "take_over" not in place.store.calls


def test_what_is_completed_is_not_recovered(place: Place) -> None:
    place.execute()
    before = place.stored()
    place.clock.ms += 86_400_000
    assert not place.recover()
    assert place.stored() == before
    assert "take_over" not in place.store.calls
    assert place.job.resumed == 0


def test_recovery_tries_again_when_the_store_fails_for_a_moment(place: Place) -> None:
    place.another(lease_ms=0)
    place.clock.ms += 1
    place.store.steps["take_over"] = [place.raising(StoreUnavailable("busy"))]
    assert place.recover()
    assert place.job.resumed == 1


def test_a_doubt_is_recovered_at_its_time_unless_there_is_news_of_it(place: Place) -> None:
    """Fails when each sweep asks about each doubt at once: the gateways would be asked without a pause."""
    place.store.park(
        place.another(lease_ms=0),
        StoredResponse(202, {}, b"pending"),
        submit_horizon_ms=0,
        retry_at_ms=place.clock.ms + 60_000,
        ended_at_ms=0,
        writes=(),
    )
    before = place.stored()
    place.clock.ms += 60_000
    assert not place.recover()
    assert (place.stored(), place.job.resumed) == (before, 0)
    place.clock.ms += 1
    assert place.recover()
    assert place.job.resumed == 1


@pytest.mark.parametrize("error", [LeaseLost("taken"), KeyInProgress("locked", retry_after_seconds=1)])
def test_recovery_leaves_a_claim_to_who_has_it(place: Place, error: PayonceError) -> None:
    place.another(lease_ms=0)
    place.clock.ms += 1
    place.store.steps["take_over"] = [place.raising(error)]
    assert place.recover() is False
    assert place.job.resumed == 0


def test_a_doubt_is_replayed_after_the_window_too(place: Place) -> None:
    """Its first request is not known to have been executed. Fails when it is told so, and to use a new key."""
    other = place.another(lease_ms=0)
    place.store.park(
        other,
        StoredResponse(202, {}, b"pending"),
        submit_horizon_ms=0,
        retry_at_ms=other.expires_at_ms + LEASE_MS,
        ended_at_ms=0,
        writes=(),
    )
    place.clock.ms = other.expires_at_ms + 1
    assert place.execute() == b"pending"


def test_an_open_claim_shows_its_lane_and_resource(place: Place) -> None:
    plan = replace(place.job.plan(), lane="bank")
    place.job.plan = lambda: plan  # type: ignore[method-assign]
    place.job.answer = NotStarted("a read failed")
    with pytest.raises(OutcomeUnknown):
        place.execute()
    stored = place.stored()
    assert stored is not None
    assert (stored.lane, stored.resource) == ("bank", "/x")
