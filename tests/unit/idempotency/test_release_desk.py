"""Until when a release is refused, and what the refusal tells the operator."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import ReleaseRefused
from payonce.idempotency.audit import MAX_NOTE_CHARACTERS
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.idempotency.release import ReleaseDesk, ReleaseOrder
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = ReleaseOrder(record_id="m#op#k", claim_id="c1", fence=1, operator="ada", reason="ticket 7", finding="nothing")


def clock_time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S} UTC"


class Desk:
    """A desk, and one claim whose gateway's "not found" is final after ``settles_after_seconds``."""

    def __init__(self, settles_after_seconds: float = 0) -> None:
        self.clock, self.store = ManualClock(), DatabaseIdempotencyStore(MemoryDatabase())
        self.desk = ReleaseDesk(
            store=self.store,
            clock=self.clock,
            undo=lambda _record: (),
            may_have_happened=lambda _record: True,
            settles_after_seconds=lambda _record: settles_after_seconds,
        )
        self.claim = self.store.claim(
            IdempotencyRecord(
                record_id="m#op#k",
                status=RecordStatus.IN_PROGRESS,
                claim_id="c1",
                fence=1,
                fingerprint="f",
                created_at_ms=self.clock.ms,
                expires_at_ms=self.clock.ms,
                lease_expires_at_ms=self.clock.ms + 9_000,
            )
        )

    def park(self, *, horizon_ms: int, retry_ms: int) -> None:
        """Leave the claim in doubt."""
        now_ms = self.clock.ms
        self.store.park(
            self.claim,
            StoredResponse(202, {}, b""),
            submit_horizon_ms=now_ms + horizon_ms,
            retry_at_ms=now_ms + retry_ms,
            ended_at_ms=now_ms,
            writes=(),
        )

    def release(self) -> bool:
        """Release the claim, and return whether it is gone."""
        self.desk.release(ORDER)
        return self.store.get("m#op#k") is None


def test_a_doubt_is_released_once_nothing_can_be_sent_any_more() -> None:
    """Whenever recovery asks next. Fails when that moment is taken for one until which somebody is at work."""
    desk = Desk()
    desk.park(horizon_ms=2_000, retry_ms=60_000)
    with pytest.raises(ReleaseRefused, match=f"at work until {clock_time(desk.clock.ms + 2_000)}"):
        desk.release()
    desk.clock.ms += 2_000
    assert desk.release()


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this machine another zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
def test_a_running_claims_refusal_says_when_its_lease_ends() -> None:
    desk = Desk()
    with pytest.raises(ReleaseRefused, match=f"at work until {clock_time(desk.clock.ms + 9_000)}"):
        desk.release()


def test_a_not_found_counts_from_the_moment_that_is_said() -> None:
    desk = Desk(settles_after_seconds=1.5)
    desk.park(horizon_ms=2_000, retry_ms=0)
    final_ms = desk.clock.ms + 3_500
    desk.clock.ms = final_ms - 1
    with pytest.raises(ReleaseRefused, match=f"final from {clock_time(final_ms)}"):
        desk.release()
    desk.clock.ms = final_ms
    assert desk.release()


def test_a_refusal_names_the_operator_that_is_missing() -> None:
    with pytest.raises(ReleaseRefused, match=r"needs an operator\. Its name"):
        Desk().desk.release(replace(ORDER, operator=""))


@pytest.mark.parametrize(("characters", "fits"), [(MAX_NOTE_CHARACTERS, True), (MAX_NOTE_CHARACTERS + 1, False)])
def test_a_note_has_its_length(characters: int, *, fits: bool) -> None:
    desk, order = Desk(), replace(ORDER, reason="x" * characters)
    desk.clock.ms += 9_001
    if fits:
        assert desk.desk.release(order).reason == order.reason
    else:
        with pytest.raises(ReleaseRefused):
            desk.desk.release(order)


@pytest.mark.parametrize("missing", ["reason", "finding"])
def test_a_refusal_names_what_is_missing(missing: str) -> None:
    with pytest.raises(ReleaseRefused, match=f"needs a {missing} of 1 to"):
        Desk().desk.release(replace(ORDER, **{missing: "  "}))
