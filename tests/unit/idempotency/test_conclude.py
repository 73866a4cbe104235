"""Whose conclusion it is when the answer to a write was lost, and how long it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown, PayonceError, StoreUnavailable
from payonce.idempotency.conclude import Concluder
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import (
    Claim,
    Completed,
    Draft,
    IdempotencyRecord,
    InDoubt,
    RecordStatus,
    StoredResponse,
)
from payonce.idempotency.window import IdempotencySettings
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

OURS = IdempotencyRecord(
    record_id="m#op#k",
    status=RecordStatus.IN_PROGRESS,
    claim_id="c1",
    fence=1,
    fingerprint="f",
    created_at_ms=1_000,
    expires_at_ms=2_000,
    lease_expires_at_ms=1_500,
)

DAY_SECONDS = 86_400


def answer(body: bytes) -> Completed:
    return Completed(lambda: Draft(StoredResponse(201, {}, body), ()))


@pytest.mark.parametrize("stored", [OURS, replace(OURS, claim_id="c2"), replace(OURS, fence=2)])
def test_only_ones_own_conclusion_is_ones_own(stored: IdempotencyRecord) -> None:
    """A second write of the same owner finds its first. Fails when claim id or fence is not compared: the conclusion of
    another owner, or of a claim made after ours was released, would be given out as ours.
    """
    clock = ManualClock()
    store = DatabaseIdempotencyStore(MemoryDatabase())
    concluder = Concluder(store=store, settings=IdempotencySettings(), clock=clock, sleep=clock.sleep)
    deadline = Deadline(clock.now_ms() + 1_000)
    store.claim(stored)
    concluder.write(Claim(stored, deadline), answer(b"stored"))
    if stored == OURS:
        assert concluder.write(Claim(OURS, deadline), answer(b"again")).response.body == b"stored"
    else:
        with pytest.raises(LeaseLost):
            concluder.write(Claim(OURS, deadline), answer(b"again"))


def test_a_completed_record_is_kept_through_the_guard_and_then_forgotten() -> None:
    """Fails when the table's TTL deletes at the end of the replay window (a very late retry would be a second charge),
    or is not in seconds (DynamoDB would never delete).
    """
    database, clock = MemoryDatabase(), ManualClock()
    store = DatabaseIdempotencyStore(database)
    concluder = Concluder(
        store=store,
        settings=IdempotencySettings(window_seconds=2 * DAY_SECONDS, guard_seconds=40 * DAY_SECONDS),
        clock=clock,
        sleep=clock.sleep,
    )
    claimed = store.claim(replace(OURS, created_at_ms=clock.now_ms()))
    concluder.write(Claim(claimed, Deadline(clock.now_ms() + 1_000)), answer(b""))
    item = database.get(Table.IDEMPOTENCY, {"id": OURS.record_id}) or {}
    assert item["purge_at"] == clock.now_ms() // 1000 + 40 * DAY_SECONDS
    assert IdempotencySettings().guard_seconds == 30 * DAY_SECONDS


def test_a_doubt_that_outlasts_the_guard_is_still_replayed_for_a_window() -> None:
    """Fails when a record concluded after its guard is forgotten at once: the next retry would execute again."""
    database, clock = MemoryDatabase(), ManualClock()
    store = DatabaseIdempotencyStore(database)
    settings = IdempotencySettings(window_seconds=DAY_SECONDS, guard_seconds=3 * DAY_SECONDS)
    concluder = Concluder(store=store, settings=settings, clock=clock, sleep=clock.sleep)
    claimed = store.claim(replace(OURS, created_at_ms=clock.now_ms()))
    clock.ms += 5 * DAY_SECONDS * 1000
    concluder.write(Claim(claimed, Deadline(clock.now_ms() + 1_000)), answer(b""))
    item = database.get(Table.IDEMPOTENCY, {"id": OURS.record_id}) or {}
    assert item["purge_at"] == clock.now_ms() // 1000 + DAY_SECONDS


class Failing(DatabaseIdempotencyStore):
    """Does not record the first conclusions, in the way that ``error`` says."""

    def __init__(self, error: PayonceError, times: int) -> None:
        super().__init__(MemoryDatabase())
        self.error, self.times = error, times

    def complete(self, *arguments: Any, **named: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        if self.times:
            self.times -= 1
            raise self.error
        return super().complete(*arguments, **named)

    def park(self, *arguments: Any, **named: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        if self.times:
            self.times -= 1
            raise self.error
        return super().park(*arguments, **named)


@pytest.mark.parametrize(
    ("error", "times"),
    [(OutcomeUnknown("no answer"), 1), (OutcomeUnknown("no answer"), 5), (StoreUnavailable("busy"), 20)],
)
def test_what_is_known_is_recorded_for_as_long_as_the_claim_lasts(error: PayonceError, times: int) -> None:
    """A short outage of the store. Fails when an effect that is known becomes a doubt after half a second."""
    clock, store = ManualClock(), Failing(error, times)
    concluder = Concluder(store=store, settings=IdempotencySettings(), clock=clock, sleep=clock.sleep)
    claimed = store.claim(replace(OURS, created_at_ms=clock.now_ms()))
    written = concluder.write(Claim(claimed, Deadline(clock.now_ms() + 30_000)), answer(b"known"))
    assert written.response.body == b"known"
    assert store.times == 0


@pytest.mark.parametrize("doubted", [False, True])
def test_a_conclusion_ended_when_its_owner_began_to_write_it(doubted: bool) -> None:
    """What a slow store adds is not the gateway's latency. Fails when each attempt takes the time anew."""
    clock, store = ManualClock(), Failing(StoreUnavailable("busy"), 5)
    concluder = Concluder(store=store, settings=IdempotencySettings(), clock=clock, sleep=clock.sleep)
    claimed = store.claim(replace(OURS, created_at_ms=clock.now_ms()))
    clock.ms += 700
    known = answer(b"known")
    conclusion = InDoubt(known.draft, retry_at_ms=clock.ms, submitted=True) if doubted else known  # type: ignore[arg-type]
    concluder.write(Claim(claimed, Deadline(clock.now_ms() + 30_000)), conclusion)
    stored = store.get(OURS.record_id)
    assert stored is not None
    assert clock.ms > claimed.created_at_ms + 700
    assert stored.ended_at_ms == claimed.created_at_ms + 700
