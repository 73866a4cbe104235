"""What a ``SignalBook`` keeps of one route: counts per second, and the open claims of each of the stream's shards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from payonce.routing.signals.sketch import LatencySketch

SECOND_MS = 1000
KEEP_SECONDS = 60  # the longest window that is looked at
NEVER_OVERDUE_MS = 2**31


@dataclass(slots=True)
class Slot:
    """One second of a route."""

    second: int
    sketch: LatencySketch = field(default_factory=LatencySketch)
    started: int = 0
    refused: int = 0
    answered: int = 0
    technical: int = 0
    slow: int = 0

    def add(self, other: Slot) -> None:
        """Count the other's as this one's."""
        self.sketch.merge(other.sketch)
        self.started += other.started
        self.refused += other.refused
        self.answered += other.answered
        self.technical += other.technical
        self.slow += other.slow


@dataclass(slots=True)
class Demand:
    """One second of what was asked for, whatever route it took."""

    second: int
    merchants: dict[str, int] = field(default_factory=dict)
    priorities: dict[str, int] = field(default_factory=dict)

    def add(self, other: Demand) -> None:
        """Count the other's as this one's."""
        for own, more in ((self.merchants, other.merchants), (self.priorities, other.priorities)):
            for name, count in more.items():
                own[name] = own.get(name, 0) + count


@dataclass(slots=True)
class Route:
    """``open`` holds, per shard, attempt → claimed at, in the order of the stream.

    ``good`` and ``bad`` count what has ended since they were last taken.
    """

    open: dict[str, dict[str, int]] = field(default_factory=dict)
    slots: deque[Slot] = field(default_factory=deque)
    overdue_after_ms: int = NEVER_OVERDUE_MS
    good: int = 0
    bad: int = 0

    @property
    def in_flight(self) -> int:
        """How many attempts are open."""
        return sum(map(len, self.open.values()))

    def is_open(self, attempt_id: str) -> bool:
        """Whether the attempt was claimed and has not ended."""
        return any(attempt_id in claims for claims in self.open.values())

    def close(self, attempt_id: str) -> None:
        """The attempt has ended. It may have been claimed on another shard: shards split."""
        for claims in self.open.values():
            claims.pop(attempt_id, None)

    def slot(self, at_ms: int) -> Slot:
        """The slot of an event. One from the past (a shard that lagged) counts in the newest slot: it is news now."""
        second = at_ms // SECOND_MS
        if not self.slots or self.slots[-1].second < second:
            self.slots.append(Slot(second))
        return self.slots[-1]

    def take_ended(self) -> tuple[int, int]:
        """How many have ended well and how many slowly or with a technical error, each counted once."""
        ended = self.good, self.bad
        self.good = self.bad = 0
        return ended

    def overdue(self, now_ms: int, lags: dict[str, int]) -> list[int]:
        """Ages in milliseconds of the overdue, each by its own shard's time: a shard that lags may hold their commits.

        Those of one shard are in order of age, give or take a clock, so that the first that is not overdue ends it.
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
        """Drop the claims from before, and the counts that lie too far behind the newest one."""
        for shard, claims in list(self.open.items()):
            while claims and (oldest := next(iter(claims.items())))[1] < open_before_ms:
                del claims[oldest[0]]
            if not claims:
                del self.open[shard]
        while self.slots and self.slots[0].second <= self.slots[-1].second - KEEP_SECONDS:
            self.slots.popleft()

    def bring_to(self, now_ms: int) -> None:
        """Count what is stamped later as of now, so that it can't hide what comes after it."""
        for claims in self.open.values():
            claims.update({attempt: now_ms for attempt, at_ms in claims.items() if at_ms > now_ms})
        bring_to(self.slots, Slot(now_ms // SECOND_MS))


def bring_to[S: (Slot, Demand)](slots: deque[S], now: S) -> None:
    """Merge the slots that are later than ``now``, an empty slot, into it."""
    later = [slots.pop() for _ in range(len(slots)) if slots[-1].second >= now.second]
    if later:
        for slot in later:
            now.add(slot)
        slots.append(now)
