"""How long a duplicate waits for the owner of its key."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.errors import KeyInProgress
from payonce.idempotency.waiting import FIRST_POLL_SECONDS, Waiting
from tests.support.world import ManualClock

FIRST_POLL_MS = int(FIRST_POLL_SECONDS * 1000)


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
