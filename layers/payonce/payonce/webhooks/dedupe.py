"""Deduplication for consumers: handle each webhook once, although it may arrive many times.

::

    begin(id)   unknown ──▶ IN_PROGRESS (under a lease) ──▶ DONE until the window is over
                                │  lease expired: NEW again
                                └─ forget ─▶ NEW again

Handling and recording are two writes, so a crash can fall between them. The order makes such a crash safe::

    consumer   begin: new ─ handles ─ ✗ dies before done
    sender     ............................ no 2xx ── tries again ──────── tries again
    consumer                                          begin: in_progress   lease ends, begin: new ─ handles again ─ done

So a webhook is handled at least once, and twice only after a crash or a lease that was too short. Either make the
handling idempotent by the webhook's id, or commit it together with ``done`` in one database. A slow handler whose lease
has expired can't take the claim from its successor: ``forget`` requires the fencing token that ``begin`` returned::

    A   begin: new, fence 1 ─ slow ....................... fails ─ forget(fence 1): nothing happens
    B                        lease expired ─ begin: new, fence 2 ─ handles ──────────────── done
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

# The sender repeats a webhook until its retry horizon, and clocks may differ by the tolerance. With a shorter window,
# the last repetition would be handled a second time.
MIN_WINDOW_SECONDS = RETRY_HORIZON_SECONDS + MAX_TOLERANCE_SECONDS
DEFAULT_WINDOW_SECONDS = 7 * 24 * 3600  # leaves time for a manual replay after an outage over a long weekend
MAX_WINDOW_SECONDS = 366 * 24 * 3600
DEFAULT_LEASE_SECONDS = 60  # longer than a sender waits (30 s), so that its next attempt meets the lease
MAX_MEMORY_ENTRIES = 100_000  # about 30 MB
IN_PROGRESS_RETRY_AFTER_SECONDS = 30


class Outcome(StrEnum):
    """What a consumer should do with a webhook."""

    NEW = "new"  # handle it, then call done
    DUPLICATE = "duplicate"  # it was handled before: answer 2xx
    IN_PROGRESS = "in_progress"  # another call is handling it: answer 503, and the sender comes back


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to ``begin``. ``fence`` increases with every new claim of this id."""

    outcome: Outcome
    fence: int


class DedupeStore(Protocol):
    """Remembers which webhooks were handled. All methods are atomic and raise ``StoreUnavailable``."""

    def begin(self, message_id: str) -> Begun:
        """Claim the webhook. Exactly one of several concurrent callers gets ``NEW``."""
        ...

    def done(self, message_id: str) -> None:
        """Remember, for a window from now, that the webhook was handled. Needs no fence: it is true whoever says it."""
        ...

    def forget(self, message_id: str, fence: int) -> None:
        """Release the claim after the handling failed. Does nothing for a handled webhook or a newer claim."""
        ...


@contextlib.contextmanager
def handled_once(store: DedupeStore, message_id: str) -> Iterator[None]:
    """Run the block if the webhook is new. Afterwards it is done, or forgotten if the block raised.

    Raises ``Duplicate`` or ``InProgress`` before the block, and the block's own error.
    """
    begun = store.begin(message_id)
    if begun.outcome is Outcome.DUPLICATE:
        raise Duplicate("This webhook was handled before.")
    if begun.outcome is Outcome.IN_PROGRESS:
        raise InProgress("This webhook is being handled.", retry_after_seconds=IN_PROGRESS_RETRY_AFTER_SECONDS)
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreUnavailable):  # the lease will free it; the block's error matters more
            store.forget(message_id, begun.fence)
        raise
    store.done(message_id)


@dataclass(slots=True)
class Entry:
    """The stored entry: a lease until it is done, a memory afterwards. ``until`` is the end of either."""

    done: bool
    fence: int
    until: float


def claim(entry: Entry | None, fence: int, now: float, lease_seconds: int) -> tuple[Outcome, Entry]:
    """Return the outcome of ``begin`` and the entry to store. ``fence`` is used for a new claim."""
    if entry is not None and entry.until > now:
        return (Outcome.DUPLICATE if entry.done else Outcome.IN_PROGRESS), entry
    return Outcome.NEW, Entry(done=False, fence=fence, until=now + lease_seconds)


def check_times(window_seconds: int, lease_seconds: int) -> None:
    """Raise ``MisconfiguredError`` for a window shorter than the sender's retries, or a lease out of range."""
    if not MIN_WINDOW_SECONDS <= window_seconds <= MAX_WINDOW_SECONDS:
        raise MisconfiguredError(
            f"window_seconds must be from {MIN_WINDOW_SECONDS} to {MAX_WINDOW_SECONDS}: the sender repeats a webhook "
            f"for {RETRY_HORIZON_SECONDS} seconds, and one that is forgotten earlier is handled twice."
        )
    if not 1 <= lease_seconds <= RETRY_HORIZON_SECONDS:
        raise MisconfiguredError(f"lease_seconds must be from 1 to {RETRY_HORIZON_SECONDS}.")


class MemoryDedupeStore:
    """Keeps entries in one process's memory; thread-safe. For tests, and where handling twice after a restart is fine.

    When it is full, it raises ``StoreUnavailable`` rather than forget a webhook that the sender may still repeat.
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
        self._fences = itertools.count(1)  # one counter for the whole store: a dropped entry's fence is never reused
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
