"""What a ``SignalBook`` keeps of one route: counts per second, and the open claims per shard of the stream."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from payonce.domain.durations import SECOND_MS
from payonce.routing.signals.sketch import LatencySketch

KEEP_SECONDS = 60  # the longest window
NEVER_OVERDUE_MS = 2**31


@dataclass(slots=True)
class Slot:
    """The counts of one second of a route."""

    second: int
    sketch: LatencySketch = field(default_factory=LatencySketch)
    started: int = 0
    refused: int = 0
    answered: int = 0
    technical: int = 0
    slow: int = 0

    def add(self, other: Slot) -> None:
        """Add the other's counts to this one's."""
        self.sketch.merge(other.sketch)
        self.started += other.started
        self.refused += other.refused
        self.answered += other.answered
        self.technical += other.technical
        self.slow += other.slow


@dataclass(slots=True)
class Demand:
    """The requests of one second, whatever their route."""

    second: int
    merchants: Counter[str] = field(default_factory=Counter)
    priorities: Counter[str] = field(default_factory=Counter)

    def add(self, other: Demand) -> None:
        """Add the other's counts to this one's."""
        self.merchants.update(other.merchants)
        self.priorities.update(other.priorities)


@dataclass(slots=True)
class Route:
    """The counts of one route. ``open`` maps shard → attempt id → time of the claim, in the order of the stream.

    ``good``, ``bad`` and ``failed`` count the attempts judged since the last ``take_judged``: a late one is judged when
    it passes the SLO, whether it has ended or not. ``late`` holds those judged that have not ended.
    """

    open: dict[str, dict[str, int]] = field(default_factory=dict)
    slots: deque[Slot] = field(default_factory=deque)
    overdue_after_ms: int = NEVER_OVERDUE_MS
    late: set[str] = field(default_factory=set)
    good: int = 0
    bad: int = 0
    failed: int = 0

    def close(self, attempt_id: str) -> None:
        """Remove an attempt that has ended, from whatever shard: shards split, so its claim may be on another one."""
        for claims in self.open.values():
            claims.pop(attempt_id, None)

    def slot(self, at_ms: int) -> Slot:
        """Return the slot of an event. A late one, from a lagging shard, counts in the newest slot."""
        second = at_ms // SECOND_MS
        if not self.slots or self.slots[-1].second < second:
            self.slots.append(Slot(second))
        return self.slots[-1]

    def judge(self, attempt_id: str, latency_ms: int, slo_ms: int, *, failed: bool) -> None:
        """Count an attempt that has ended, unless it has been counted as late before."""
        self.failed += failed
        if attempt_id in self.late:
            self.late.discard(attempt_id)
        elif failed or latency_ms > slo_ms:
            self.bad += 1
        else:
            self.good += 1

    def take_judged(self, now_ms: int, lags: dict[str, int], slo_ms: int) -> tuple[int, int, int]:
        """Count the open attempts that have passed the SLO; return and reset ``good``, ``bad`` and ``failed``."""
        for shard, claims in self.open.items():
            passed_ms = now_ms - lags.get(shard, 0) - slo_ms
            for attempt_id, claimed_at_ms in claims.items():
                if claimed_at_ms >= passed_ms:
                    break
                if attempt_id not in self.late:
                    self.late.add(attempt_id)
                    self.bad += 1
        judged = self.good, self.bad, self.failed
        self.good = self.bad = self.failed = 0
        return judged

    def overdue(self, now_ms: int, lags: dict[str, int]) -> list[int]:
        """Return the ages in milliseconds of overdue attempts, by their own shard's time.

        ``lags`` is how far each shard is behind, in milliseconds: a lagging shard may hold the attempts' commits. The
        claims of a shard are nearly in order of age, so the search of a shard stops at the first that is not overdue.
        """
        ages = []
        for shard, claims in self.open.items():
            shard_ms = now_ms - lags.get(shard, 0)
            for claimed_at_ms in claims.values():
                if shard_ms - claimed_at_ms <= self.overdue_after_ms:
                    break
                ages.append(shard_ms - claimed_at_ms)
        return ages

    def forget(self, open_before_ms: int) -> None:
        """Drop claims made before ``open_before_ms``, and counts older than ``KEEP_SECONDS``."""
        for shard, claims in list(self.open.items()):
            while claims and (oldest := next(iter(claims.items())))[1] < open_before_ms:
                del claims[oldest[0]]
                self.late.discard(oldest[0])
            if not claims:
                del self.open[shard]
        while self.slots and self.slots[0].second <= self.slots[-1].second - KEEP_SECONDS:
            self.slots.popleft()

    def bring_to(self, now_ms: int) -> None:
        """Count events stamped later than ``now_ms`` as of ``now_ms``, so that they can't hide those that follow."""
        for claims in self.open.values():
            claims.update({attempt: now_ms for attempt, at_ms in claims.items() if at_ms > now_ms})
        bring_to(self.slots, Slot(now_ms // SECOND_MS))


def bring_to[S: (Slot, Demand)](slots: deque[S], now: S) -> None:
    """Merge the slots that are later than ``now``, an empty slot, into it and append it."""
    later = [slots.pop() for _ in range(len(slots)) if slots[-1].second >= now.second]
    if later:
        for slot in later:
            now.add(slot)
        slots.append(now)
