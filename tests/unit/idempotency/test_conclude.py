"""Whose conclusion it is, when the answer to a write was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.errors import LeaseLost
from payonce.idempotency.conclude import Concluder
from payonce.idempotency.records import Claim, Completed, Draft, IdempotencyRecord, RecordStatus, StoredResponse
from payonce.idempotency.settings import IdempotencySettings
from payonce.idempotency.store import DatabaseIdempotencyStore
from payonce.ports import Deadline
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
