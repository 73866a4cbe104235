"""For consumers: handle each webhook once, though it may come many times.

::

    begin(id)   unknown ──▶ IN_PROGRESS (a lease runs) ──▶ DONE until the window is over
                                │  lease over: NEW again
                                └─ forget ─▶ NEW again

Handling and remembering are two writes, so a crash can fall between them. It is made to fall on the safe side::

    consumer   begin: new ─ handles ─ ✗ dies before done
    sender     ............................ no 2xx ── tries again ──────── tries again
    consumer                                          begin: in_progress   lease over, begin: new ─ handles again ─ done

So handling happens at least once, and twice only after a crash or a lease that was too short: either make the handling
idempotent by the webhook's id, or let it commit together with ``done`` in one database. A slow handler whose lease ran
out can not take the claim away from the one that came after it: ``forget`` needs the fence that ``begin`` gave::

    A   begin: new, fence 1 ─ slow ....................... fails ─ forget(fence 1): nothing happens
    B                        lease over ─ begin: new, fence 2 ─ handles ─────────────────── done
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from payonce.domain.errors import MisconfiguredError, StoreUnavailable
from payonce.domain.webhooks import RETRY_HORIZON_SECONDS
from payonce.webhooks.rejections import Duplicate, InProgress
from payonce.webhooks.verify import MAX_TOLERANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The sender repeats a webhook until its retry horizon; the clocks may differ by the tolerance. Forgotten earlier, the
# last repetition would be handled a second time.
MIN_WINDOW_SECONDS = RETRY_HORIZON_SECONDS + MAX_TOLERANCE_SECONDS
DEFAULT_WINDOW_SECONDS = 7 * 24 * 3600  # leaves time to replay by hand after an outage over a long weekend
MAX_WINDOW_SECONDS = 366 * 24 * 3600
DEFAULT_LEASE_SECONDS = 60  # longer than a sender waits for the answer (30 s), so that its next attempt finds the lease
MAX_MEMORY_ENTRIES = 100_000  # some 30 MB
IN_PROGRESS_RETRY_AFTER_SECONDS = 30


class Outcome(StrEnum):
    """What to do with a webhook."""

    NEW = "new"  # handle it, then done
    DUPLICATE = "duplicate"  # handled before: answer 2xx
    IN_PROGRESS = "in_progress"  # somebody has it: answer 503, the sender comes back


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to ``begin``. ``fence`` is higher for every new claim of this id."""

    outcome: Outcome
    fence: int


class DedupeStore(Protocol):
    """Remembers which webhooks were handled. All methods are atomic; they raise ``StoreUnavailable``."""

    def begin(self, message_id: str) -> Begun:
        """Claim the webhook. Of many callers at once, one gets ``NEW``."""
        ...

    def done(self, message_id: str) -> None:
        """Remember for the window, from now, that the webhook was handled. True whoever says it: it needs no fence."""
        ...

    def forget(self, message_id: str, fence: int) -> None:
        """Give the claim back, as the handling failed. Does nothing for a done webhook or a newer claim."""
        ...


@contextlib.contextmanager
def handled_once(store: DedupeStore, message_id: str) -> Iterator[None]:
    """Run the block if the webhook is new; done after it, forgotten when it raises.

    Raises ``Duplicate`` or ``InProgress`` before the block, and what the block raises.
    """
    begun = store.begin(message_id)
    if begun.outcome is Outcome.DUPLICATE:
        raise Duplicate("This webhook was handled before.")
    if begun.outcome is Outcome.IN_PROGRESS:
        raise InProgress("This webhook is being handled.", retry_after_seconds=IN_PROGRESS_RETRY_AFTER_SECONDS)
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreUnavailable):  # the lease frees it later, and the block's error says more
            store.forget(message_id, begun.fence)
        raise
    store.done(message_id)


@dataclass(slots=True)
class Entry:
    """What is stored: a lease while it is not done, a memory once it is. ``until`` is the end of either."""

    done: bool
    fence: int
    until: float


def claim(entry: Entry | None, fence: int, now: float, lease_seconds: int) -> tuple[Outcome, Entry]:
    """Return what ``begin`` answers, and what is stored then. ``fence`` is for a new claim."""
    if entry is not None and entry.until > now:
        return (Outcome.DUPLICATE if entry.done else Outcome.IN_PROGRESS), entry
    return Outcome.NEW, Entry(done=False, fence=fence, until=now + lease_seconds)


def check_times(window_seconds: int, lease_seconds: int) -> None:
    """Raise ``MisconfiguredError`` for a window that the sender's repetitions outlive, or a lease out of bounds."""
    if not MIN_WINDOW_SECONDS <= window_seconds <= MAX_WINDOW_SECONDS:
        raise MisconfiguredError(
            f"window_seconds must be from {MIN_WINDOW_SECONDS} to {MAX_WINDOW_SECONDS}: the sender repeats a webhook "
            f"for {RETRY_HORIZON_SECONDS} seconds, and one that is forgotten earlier is handled twice."
        )
    if not 1 <= lease_seconds <= RETRY_HORIZON_SECONDS:
        raise MisconfiguredError(f"lease_seconds must be from 1 to {RETRY_HORIZON_SECONDS}.")


class MemoryDedupeStore:
    """In one process's memory, safe for threads: for tests, and where a restart may handle a webhook again.

    Full, it refuses with ``StoreUnavailable`` instead of forgetting what the sender may still repeat.
    """

    def __init__(
        self,
        *,
        window_seconds: int = DEFAULT_WINDOW_SECONDS,
        lease_seconds: int = DEFAULT_LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
        max_entries: int = MAX_MEMORY_ENTRIES,
    ) -> None:
        check_times(window_seconds, lease_seconds)
        self._window_seconds = window_seconds
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._max_entries = max_entries
        self._entries: dict[str, Entry] = {}
        self._fences = itertools.count(1)  # of the whole store: what is dropped never gives its fence to another
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, message_id: str) -> Begun:
        """See ``DedupeStore``."""
        now = self._clock()
        with self._lock:
            if message_id not in self._entries and len(self._entries) >= self._max_entries:
                self._drop_expired(now)
            known = self._entries.get(message_id)
            outcome, entry = claim(known, next(self._fences), now, self._lease_seconds)
            self._entries[message_id] = entry
            return Begun(outcome, entry.fence)

    def done(self, message_id: str) -> None:
        """See ``DedupeStore``."""
        with self._lock:
            known = self._entries.get(message_id)
            fence = known.fence if known else next(self._fences)
            self._entries[message_id] = Entry(done=True, fence=fence, until=self._clock() + self._window_seconds)

    def forget(self, message_id: str, fence: int) -> None:
        """See ``DedupeStore``."""
        with self._lock:
            entry = self._entries.get(message_id)
            if entry is not None and not entry.done and entry.fence == fence:
                del self._entries[message_id]

    def _drop_expired(self, now: float) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}
        if len(self._entries) >= self._max_entries:
            raise StoreUnavailable(
                f"The dedupe store holds {self._max_entries} webhooks that may still be repeated. Nothing was handled; "
                "raise max_entries, or use the store in a file."
            )
