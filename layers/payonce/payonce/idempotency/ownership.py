"""How an execution becomes the owner of a key, even when the store's answers are lost.

::

    claim      put ─ answer lost ─ read back ─┬ there: owned
                                              └ not there, or not readable: it may still arrive
               put again, the same claim ─────┬ there by now, or stored now: owned
                                              └ until the deadline: OutcomeUnknown

Recovery finishes a stored claim whether or not its client learns of it. So "nothing was executed" is said only of a
claim that was refused at its first try.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency.transitions import ClaimTaken
from payonce.idempotency.window import LEASE_MARGIN_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Clock, Deadline, Write

FIRST_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 1.0
MAX_TRIES = 100  # a bound in case the clock stands still; normally time ends the tries
LAST_TRY_MS = 4_000  # a write may take 3 s to fail, and the answer has to leave before the deadline
UNKNOWN = (
    "It is not known whether the request was recorded, so it may be executed. Retry with the same key: nothing is "
    "executed twice. Do not use another key or another provider until you know."
)


@dataclass(frozen=True, slots=True)
class Owned:
    """A claim of this execution.

    ``contested``: an earlier put of the same claim may still arrive. It is refused while the record exists, but after a
    release it would be stored again, and recovery would execute it.
    """

    record: IdempotencyRecord
    contested: bool = False


class Patience:
    """Exponential backoff between tries, until ``until_ms``."""

    def __init__(self, clock: Clock, sleep: Callable[[float], None], until_ms: int) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until_ms = until_ms
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._left = MAX_TRIES

    def wait(self) -> bool:
        """Pause and return ``True``; return ``False`` at once when there is no time for another try."""
        self._left -= 1
        if self._left <= 0 or self._clock.now_ms() + self._pause_seconds * 1000 > self._until_ms:
            return False
        self._sleep(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, MAX_PAUSE_SECONDS)
        return True


class Ownership:
    """Claims keys and takes them over, on any store."""

    def __init__(self, *, store: IdempotencyStore, clock: Clock, sleep: Callable[[float], None]) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep

    def claim(
        self, record: IdempotencyRecord, writes: Sequence[Write], deadline: Deadline, *, contested: bool = False
    ) -> Owned:
        """Store the claim. ``contested``: an earlier put of it, from before others had the key, may still arrive.

        Raises ``ClaimTaken``; ``StoreUnavailable`` and ``WriteConflict`` when nothing was or will be stored;
        ``OutcomeUnknown`` when it may be.
        """
        doubt = OutcomeUnknown(UNKNOWN) if contested else None
        patience = Patience(self._clock, self._sleep, deadline.at_ms - LAST_TRY_MS)
        while True:
            try:
                return Owned(self._store.claim(record, writes), contested=doubt is not None)
            except ClaimTaken as taken:
                taken.contested = doubt is not None
                raise
            except OutcomeUnknown as unknown:
                doubt = unknown
            except StoreUnavailable:
                if doubt is None:
                    raise
            except WriteConflict:
                if doubt is None:
                    raise
                # Refused now, but an earlier try may have found another state, or may still arrive.
                raise OutcomeUnknown(UNKNOWN) from doubt
            if not patience.wait():
                raise OutcomeUnknown(UNKNOWN) from doubt

    def take_over(self, observed: IdempotencyRecord, deadline: Deadline, *, give_up_at_ms: int) -> IdempotencyRecord:
        """Become the owner after ``observed``.

        Raises ``LeaseLost`` when it has changed since, and otherwise ``OutcomeUnknown``: what earlier owners did is
        unknown, so nobody can say that nothing was executed.
        """
        owner = uuid.uuid4().hex  # two takers may see the same fence, and each must know which of them has it
        patience = Patience(self._clock, self._sleep, give_up_at_ms)
        while True:
            try:
                return self._store.take_over(
                    observed, lease_expires_at_ms=deadline.at_ms + LEASE_MARGIN_MS, owner=owner
                )
            except (OutcomeUnknown, StoreUnavailable) as error:
                if not patience.wait():
                    raise OutcomeUnknown(UNKNOWN) from error
