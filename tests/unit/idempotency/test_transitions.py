"""The effect of each transition on a record, and what a lost answer to one of them proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.idempotency.transitions import (
    ClaimTaken,
    claimed_after_all,
    completed,
    own_or_taken,
    taken_over,
    taken_over_after_all,
)

RECORD = IdempotencyRecord(
    record_id="m#op#k",
    status=RecordStatus.IN_PROGRESS,
    claim_id="c1",
    fence=1,
    fingerprint="f",
    created_at_ms=1_000,
    expires_at_ms=9_000,
    lease_expires_at_ms=1_500,
    submit_horizon_ms=700,
    owner="me",
)
UNKNOWN = OutcomeUnknown("no answer")


def no_read(_record_id: str) -> IdempotencyRecord:
    raise StoreUnavailable("busy")


@pytest.mark.parametrize("other", [replace(RECORD, claim_id="c2"), replace(RECORD, fence=2)])
def test_a_claim_is_ones_own_by_its_id_and_its_fence(other: IdempotencyRecord) -> None:
    assert own_or_taken(RECORD, RECORD) is RECORD
    with pytest.raises(ClaimTaken) as taken:
        own_or_taken(RECORD, other)
    assert taken.value.record is other
    assert taken.value.contested is False
    assert str(taken.value) == RECORD.record_id  # what a log shows


def test_a_claim_that_can_not_be_read_or_is_not_there_proves_nothing() -> None:
    assert claimed_after_all(RECORD, UNKNOWN, lambda _id: RECORD) is RECORD
    for read in (no_read, lambda _id: None):
        with pytest.raises(OutcomeUnknown) as raised:
            claimed_after_all(RECORD, UNKNOWN, read)
        assert raised.value is UNKNOWN


@pytest.mark.parametrize("error", [UNKNOWN, LeaseLost("refused")])
def test_a_takeover_is_ones_own_by_its_owner(error: OutcomeUnknown | LeaseLost) -> None:
    """Fails when a takeover that can't be recognised, or is somebody else's, is taken for one's own."""
    assert taken_over_after_all(RECORD, error, lambda _id: RECORD) is RECORD
    nameless = replace(RECORD, owner="")
    others = [replace(RECORD, owner="another"), replace(RECORD, claim_id="c2"), replace(RECORD, fence=2), None]
    for taken, stored in [(nameless, nameless), *((RECORD, other) for other in others)]:
        with pytest.raises(type(error)) as raised:
            taken_over_after_all(taken, error, lambda _id, stored=stored: stored)
        assert raised.value is error
    with pytest.raises(type(error)) as raised:
        taken_over_after_all(RECORD, error, no_read)
    assert raised.value is error


@pytest.mark.parametrize(
    ("status", "lease_ms", "horizon_ms"),
    [
        (RecordStatus.IN_PROGRESS, 1_500, 1_500),  # cut off: it may have sent until then
        (RecordStatus.IN_PROGRESS, 600, 700),
        (RecordStatus.IN_DOUBT, 1_500, 700),  # parked: that is when to ask again, and nothing was sent since
    ],
)
def test_a_takeover_knows_until_when_others_may_have_sent(status: RecordStatus, lease_ms: int, horizon_ms: int) -> None:
    observed = replace(RECORD, status=status, lease_expires_at_ms=lease_ms)
    taken = taken_over(observed, 5_000, "next")
    assert taken == replace(RECORD, fence=2, lease_expires_at_ms=5_000, submit_horizon_ms=horizon_ms, owner="next")


def test_what_is_completed_has_its_answer_and_when_it_ended() -> None:
    response = StoredResponse(201, {}, b"done")
    done = completed(RECORD, response, ended_at_ms=1_234)
    assert done == replace(RECORD, status=RecordStatus.COMPLETED, response=response, ended_at_ms=1_234)
    with pytest.raises(LeaseLost):
        taken_over(done, 5_000)
