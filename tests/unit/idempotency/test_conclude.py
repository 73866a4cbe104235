"""Whose conclusion it is when the answer to a write was lost, and how long it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.errors import LeaseLost
from payonce.idempotency.conclude import Concluder
from payonce.idempotency.records import Claim, Completed, Draft, IdempotencyRecord, RecordStatus, StoredResponse
from payonce.idempotency.settings import IdempotencySettings
from payonce.idempotency.store import DatabaseIdempotencyStore
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
