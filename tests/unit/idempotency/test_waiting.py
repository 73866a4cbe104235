"""How long a duplicate waits for the owner of its key."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from payonce.domain.errors import KeyInProgress, StoreUnavailable
from payonce.idempotency.waiting import Waiting
from tests.support.world import ManualClock

FIRST_POLL_MS = 50  # half of what a gateway call takes


class Gone:
    """A store whose record is gone, so that it may be claimed. ``reads`` counts how often it is read."""

    reads = 0

    def get(self, _record_id: str) -> None:
        """See ``IdempotencyStore``."""
        self.reads += 1


@pytest.mark.parametrize("left_ms", [FIRST_POLL_MS, FIRST_POLL_MS - 1])
def test_a_duplicate_looks_as_long_as_it_may_wait_and_says_when_to_come_again(left_ms: int) -> None:
    """Fails when the last look within the limit is left out, or when one is made after it."""
    clock, store = ManualClock(), Gone()
    gone: Any = store

    def sleep(seconds: float) -> None:
        clock.ms += int(seconds * 1000)

    waiting = Waiting(gone, clock, sleep)
    give_up_at_ms = clock.ms + left_ms
    if left_ms >= FIRST_POLL_MS:
        waiting.for_change("record", give_up_at_ms)
    else:
        with pytest.raises(KeyInProgress) as refused:
            waiting.for_change("record", give_up_at_ms)
        assert refused.value.retry_after_seconds == 1
    assert (store.reads, clock.ms <= give_up_at_ms) == (int(left_ms >= FIRST_POLL_MS), True)


def test_an_answer_is_seen_soon_after_it_is_there_and_a_long_wait_costs_two_reads_a_second() -> None:
    """Fails when pauses grow so fast that a duplicate waits twice as long as its owner, or not at all."""
    clock, polls = ManualClock(), list[int]()
    began_ms = clock.ms

    def sleep(seconds: float) -> None:
        clock.ms += round(seconds * 1000)
        polls.append(clock.ms - began_ms)

    class Held:
        def get(self, _record_id: str) -> Any:
            return type("Record", (), {"response": None, "lease_expires_at_ms": clock.ms + 30_000})

    held: Any = Held()
    with pytest.raises(KeyInProgress):
        Waiting(held, clock, sleep).for_change("record", began_ms + 20_000)
    for seen_ms, next_ms in pairwise([0, *polls]):
        assert next_ms <= 1.5 * seen_ms + FIRST_POLL_MS + 1
    assert 35 <= len(polls) <= 50


NOW_MS = ManualClock().ms
HELD_MS, OVER_MS = NOW_MS, NOW_MS - 1  # a lease holds in its last millisecond, too


@pytest.mark.parametrize(
    ("answered", "lease_expires_at_ms", "changed"),
    [(False, HELD_MS, False), (False, OVER_MS, True), (True, HELD_MS, True), (True, OVER_MS, True)],
)
def test_a_record_has_changed_once_it_is_answered_or_its_lease_is_over(
    answered: bool, lease_expires_at_ms: int, changed: bool
) -> None:
    """Fails when a duplicate waits for the end of a lease although the answer is there, or overtakes the owner."""
    record = {"response": object() if answered else None, "lease_expires_at_ms": lease_expires_at_ms}
    store: Any = type("Store", (), {"get": lambda _self, _record_id: type("Record", (), record)})()
    assert Waiting(store, ManualClock(), lambda _seconds: None).has_changed("record") is changed


def test_a_record_that_is_gone_may_be_claimed_and_one_that_can_not_be_read_is_waited_for() -> None:
    """Fails when an outage of the store ends the wait with an error, or lets two owners start."""
    gone: Any = Gone()
    assert Waiting(gone, ManualClock(), lambda _seconds: None).has_changed("record")

    class Silent:
        def get(self, _record_id: str) -> None:
            raise StoreUnavailable("no answer")

    silent: Any = Silent()
    assert not Waiting(silent, ManualClock(), lambda _seconds: None).has_changed("record")
