"""How an execution becomes the owner of a key when the store's answers are lost, and for how long it tries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown, PayonceError, StoreUnavailable, WriteConflict
from payonce.idempotency.ownership import LAST_TRY_MS, MAX_TRIES, Ownership, Patience
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.idempotency.transitions import ClaimTaken
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

CONFLICT = WriteConflict("reserved by another", index=0, current=None)
NO_ANSWER = OutcomeUnknown("no answer")
BUSY = StoreUnavailable("busy")


class Failing(DatabaseIdempotencyStore):
    """Raises ``errors`` first, and the last of them again and again where it is to be ``always``."""

    def __init__(self, *errors: Exception, always: bool = False) -> None:
        super().__init__(MemoryDatabase())
        self.errors, self.always = list(errors), always

    def claim(self, *arguments: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        self._fail()
        return super().claim(*arguments)

    def take_over(self, *arguments: Any, **named: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        self._fail()
        return super().take_over(*arguments, **named)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors[0] if self.always and len(self.errors) == 1 else self.errors.pop(0)


class Taker:
    """Somebody who wants the key, with 25 s to the deadline."""

    def __init__(self, store: Failing) -> None:
        self.clock, self.store = ManualClock(), store
        self.deadline = Deadline(self.clock.ms + 25_000)
        self.ownership = Ownership(store=store, clock=self.clock, sleep=self.clock.sleep)
        self.record = IdempotencyRecord(
            record_id="m#op#k",
            status=RecordStatus.IN_PROGRESS,
            claim_id="c1",
            fence=1,
            fingerprint="f",
            created_at_ms=self.clock.ms,
            expires_at_ms=self.clock.ms,
            lease_expires_at_ms=self.clock.ms - 1,
        )

    def claim(self, *, contested: bool = False) -> bool:
        """Claim the key; return whether the claim is contested."""
        return self.ownership.claim(self.record, (), self.deadline, contested=contested).contested

    def take_over(self, give_up_in_ms: int = 1_000) -> IdempotencyRecord:
        """Take the claim of a dead owner over."""
        kept, self.store.errors = self.store.errors, []
        observed = self.store.claim(self.record)
        self.store.errors = kept
        return self.ownership.take_over(observed, self.deadline, give_up_at_ms=self.clock.ms + give_up_in_ms)


@pytest.mark.parametrize(
    ("errors", "before", "contested"),
    [((), False, False), ((), True, True), ((NO_ANSWER,), False, True), ((NO_ANSWER, BUSY), False, True)],
)
def test_a_claim_knows_whether_an_earlier_put_may_still_arrive(
    errors: tuple[PayonceError, ...], before: bool, contested: bool
) -> None:
    """Fails when a doubt is forgotten: a release would then be told as "nothing is executed"."""
    assert Taker(Failing(*errors)).claim(contested=before) is contested


@pytest.mark.parametrize(("errors", "before"), [((), True), ((NO_ANSWER,), False), ((), False)])
def test_so_does_a_claim_that_is_refused(errors: tuple[PayonceError, ...], before: bool) -> None:
    taker = Taker(Failing())
    taker.store.claim(replace(taker.record, claim_id="another"))
    taker.store.errors = list(errors)
    with pytest.raises(ClaimTaken) as taken:
        taker.claim(contested=before)
    assert taken.value.contested is (before or bool(errors))
    assert taken.value.record.claim_id == "another"


@pytest.mark.parametrize("refusal", [BUSY, CONFLICT])
def test_a_first_try_that_is_refused_has_stored_nothing(refusal: PayonceError) -> None:
    with pytest.raises(type(refusal)):
        Taker(Failing(refusal)).claim()


def test_a_conflict_after_a_doubt_is_unknown() -> None:
    """The earlier put may have found another state, or may still arrive."""
    with pytest.raises(OutcomeUnknown):
        Taker(Failing(NO_ANSWER, CONFLICT)).claim()


def test_a_claim_is_tried_until_there_is_just_time_to_answer() -> None:
    taker = Taker(Failing(NO_ANSWER, BUSY, always=True))
    with pytest.raises(OutcomeUnknown):
        taker.claim()
    last_ms = taker.deadline.at_ms - LAST_TRY_MS
    assert last_ms - 1_000 < taker.clock.ms <= last_ms
    assert last_ms <= taker.deadline.at_ms - 3_500  # a try may take 3 s


@pytest.mark.parametrize("error", [NO_ANSWER, BUSY])
def test_a_takeover_is_tried_again_and_has_a_lease_of_its_own(error: PayonceError) -> None:
    taker = Taker(Failing(error))
    taken = taker.take_over()
    assert (taken.fence, taken.lease_expires_at_ms) == (2, taker.deadline.at_ms + LEASE_MARGIN_MS)
    assert taken.owner


def test_a_takeover_gives_up_in_time() -> None:
    taker = Taker(Failing(BUSY, always=True))
    started_ms = taker.clock.ms
    with pytest.raises(OutcomeUnknown):
        taker.take_over()
    assert started_ms < taker.clock.ms <= started_ms + 1_000


def test_a_takeover_that_came_too_late_is_not_tried_again() -> None:
    taker = Taker(Failing(LeaseLost("too late")))
    with pytest.raises(LeaseLost):
        taker.take_over()


def test_the_pauses_double_up_to_a_second_and_end_with_the_time() -> None:
    clock, pauses = ManualClock(), list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.ms += round(seconds * 1000)

    patience = Patience(clock, sleep, clock.ms + 3_550)
    while patience.wait():
        pass
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]  # 3.55 s: the last one ends just in time


def test_a_clock_that_stands_still_ends_it_too() -> None:
    clock, tries = ManualClock(), 1
    patience = Patience(clock, lambda _seconds: None, clock.ms + 10_000)
    while patience.wait():
        tries += 1
    assert tries == MAX_TRIES
