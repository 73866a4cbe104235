"""Reads the stored signals into the predictor's book every second, and estimates the store's time.

Three kinds of clocks meet here, and any of them may be half a minute wrong. The store's clock is authoritative: events
and cursors use it. Its present time can only be estimated from the age that the newest batch had for the function that
wrote it and has for us; each has its own clock, and the smaller age is believed::

    newest event (store) ──── lag ────┤ now
                         d_writer = written - newest, by the writer's clock, plus at most one step until it was read
                         d_reader = read - newest,    by our clock
                         lag = the smaller of both, at least 0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.routing.control.routing_settings import SLO_MS
from payonce.routing.signals.book import SignalBook
from payonce.routing.signals.events import Claimed, Ended, Refused
from payonce.routing.signals.signal_store import REFUSALS_SHARD, SignalBatch, newest_signal_ms, signals_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock, Database
    from payonce.routing.signals.events import SignalEvent

FIRST_LOOK_MS = 60_000  # the first read goes back as far as the longest window
OVERLAP_MS = 5_000  # how far behind the newest batch each read begins, because a shard may be that late
LONG_OVERLAP_MS = 20_000  # the same every few seconds; later signals are ignored
MAX_AHEAD_MS = 60_000  # a batch further ahead of our clock is an error: following it would hide all others
NEVER_MS = -(2**53)


class SignalFeed:
    """Reads each batch once. ``newest_ms`` is the store's time of the newest event, 0 while there is none.

    ``heard`` is called once for every attempt that ended. ``unreadable`` counts malformed batches, which are skipped.
    Events of gateways that are not configured are ignored, because payments reject a document that names one.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gateways: frozenset[str],
        heard: Callable[[Ended], None],
        slo_ms: int = SLO_MS,
    ) -> None:
        self._database = database
        self._heard = heard
        self._clock = clock
        self._gateways = gateways
        self._seen: dict[str, int] = {}
        self._read_at_ms = NEVER_MS
        self._news_at_ms = NEVER_MS  # when the last newer event was read, by our clock
        self._ahead_ms = 0  # the store's time less our clock's
        self.book = SignalBook(slo_ms)
        self.newest_ms = 0
        self.is_first_look = True
        self.unreadable = 0

    def now_ms(self) -> int:
        """Return the estimated time of the store; our own clock's until something was read."""
        return self._clock.now_ms() + self._ahead_ms

    def lag_ms(self) -> int:
        """Return how far the newest event is behind the store's time, in milliseconds."""
        return self.now_ms() - self.newest_ms

    def read(self, *, overlap_ms: int = OVERLAP_MS) -> bool:
        """Read the new batches; return whether there is a newer event than before. Raises ``StoreUnavailable``."""
        own_ms = self._clock.now_ms()
        until_ms = own_ms + MAX_AHEAD_MS
        self.is_first_look = self._read_at_ms == NEVER_MS
        if not self.newest_ms:
            newest_ms = newest_signal_ms(self._database, until_ms=until_ms)
            if newest_ms is None:
                self._read_at_ms = own_ms
                return False
            from_ms = newest_ms - FIRST_LOOK_MS
        elif own_ms - self._news_at_ms > LONG_OVERLAP_MS:
            from_ms = self.newest_ms  # later arrivals would be ignored, so the overlap is not read again every second
        else:
            from_ms = self.newest_ms - overlap_ms
        batches = self._new_batches(from_ms, until_ms)
        since_ms = own_ms - self._read_at_ms
        self._read_at_ms = own_ms
        events = [(batch.shard, event) for batch in batches for event in batch.events]
        for shard, event in sorted(events, key=lambda pair: pair[1].at_ms):
            if event.cell.gateway in self._gateways:
                self._take(event, shard)
        horizon_ms = self.newest_ms - FIRST_LOOK_MS
        self._seen = {key: at_ms for key, at_ms in self._seen.items() if at_ms >= horizon_ms}
        of_the_store = (batch for batch in batches if batch.shard != REFUSALS_SHARD)
        newest = max(of_the_store, key=lambda batch: batch.at_ms, default=None)
        if newest is None or newest.at_ms <= self.newest_ms:
            return False
        self.newest_ms = newest.at_ms
        # On the first read a batch may have been stored long ago, so that only our own clock can tell its age.
        lag_ms = min(max(0, own_ms - newest.at_ms), max(0, newest.observed_at_ms - newest.at_ms) + max(0, since_ms))
        self._ahead_ms = newest.at_ms + lag_ms - own_ms
        self._news_at_ms = own_ms if lag_ms <= LONG_OVERLAP_MS or not self.is_first_look else NEVER_MS
        return True

    def _new_batches(self, from_ms: int, until_ms: int) -> list[SignalBatch]:
        batches = []
        for batch in signals_between(self._database, from_ms, until_ms, known=self._seen.keys()):
            if isinstance(batch, SignalBatch):
                batches.append(batch)
                self._seen[batch.key] = batch.at_ms
            else:
                self.unreadable += 1
        return batches

    def _take(self, event: SignalEvent, shard: str) -> None:
        match event:
            case Claimed(at_ms, attempt, cell, merchant_id, priority):
                self.book.claimed(at_ms, attempt, cell, merchant_id, priority, shard)
            case Ended(at_ms, attempt, cell, latency_ms, outcome):
                if self.book.committed(at_ms, attempt, cell, latency_ms, outcome, shard):
                    self._heard(event)
            case Refused(at_ms, cell, merchant_id, priority):
                self.book.refused(at_ms, cell, merchant_id, priority, shard)
