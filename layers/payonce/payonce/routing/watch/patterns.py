"""What a series has looked like: a bounded memory of patterns, and how far a new one is from its nearest."""

from __future__ import annotations

import base64
import math
import struct
from heapq import nsmallest
from typing import Any

NEAREST = 3  # one lookalike may be chance
LEARN_EVERY = 5  # samples: neighbours in time look alike, and the memory is bounded
FIRST_PATTERNS = 8  # are all learned before anything is judged
DELAY_SAMPLES = 50  # before a pattern is learned: else a slow failure is always near to what it was just before
EPISODE_SURPRISE = 1.5  # a pattern this surprising goes to the memory of episodes: the next like it is known
_MULTIPLIER, _INCREMENT, _MODULUS = 1_664_525, 1_013_904_223, 2**32  # Numerical Recipes' generator

type Pattern = tuple[float, ...]


class PatternMemory:
    """Half of the ordinary memory forgets (a few hundred samples), half is a fair sample of all the past.

    Rare patterns would hardly ever be in either, so there is a third part for them: a nightly job surprises a few
    times, not each night. Numbers are rounded to single precision on the way in, so that a stored memory is the same.
    """

    __slots__ = (
        "capacity",
        "dimensions",
        "episode_capacity",
        "episodes",
        "generator",
        "learned",
        "patterns",
        "pending",
        "pending_due",
        "seen",
    )

    def __init__(self, dimensions: int, capacity: int, episode_capacity: int) -> None:
        self.dimensions = dimensions
        self.capacity = capacity
        self.episode_capacity = episode_capacity
        self.patterns: list[Pattern] = []
        self.episodes: list[Pattern] = []
        self.pending: list[Pattern] = []  # to be learned, the oldest first
        self.pending_due: list[int] = []  # the sample number at which each is; negative: into the episodes
        self.seen = 0
        self.learned = 0
        self.generator = 1

    def distance(self, pattern: Pattern) -> float | None:
        """Return the mean distance to the nearest few, or None while there are none to compare with."""
        if self.seen < FIRST_PATTERNS:
            return None
        distances = [math.dist(pattern, known) for known in self.patterns]
        distances += [math.dist(pattern, known) for known in self.episodes]
        return sum(nsmallest(NEAREST, distances)) / NEAREST

    def learn(self, pattern: Pattern, surprise: float) -> None:
        """Take a pattern in, after it was judged; it is compared with only after a while."""
        self.seen += 1
        if self.seen <= FIRST_PATTERNS:
            self._keep(_single(pattern))
        elif surprise > EPISODE_SURPRISE or self.seen % LEARN_EVERY == 1:
            due = self.seen + DELAY_SAMPLES
            self.pending.append(_single(pattern))
            self.pending_due.append(-due if surprise > EPISODE_SURPRISE else due)
        while self.pending and abs(self.pending_due[0]) <= self.seen:
            kept, due = self.pending.pop(0), self.pending_due.pop(0)
            if due < 0:
                self._keep_episode(kept)
            else:
                self._keep(kept)

    def _keep_episode(self, pattern: Pattern) -> None:
        if len(self.episodes) == self.episode_capacity:
            self.episodes.pop(self._below(self.episode_capacity // 2))  # one of the older half
        self.episodes.append(pattern)

    def _keep(self, pattern: Pattern) -> None:
        self.learned += 1
        half = self.capacity // 2
        if len(self.patterns) < self.capacity:
            self.patterns.append(pattern)
        elif self.learned % 2:
            self.patterns[self._below(half)] = pattern
        else:
            slot = self._below(self.learned)  # reservoir sampling
            if slot < half:
                self.patterns[half + slot] = pattern

    def _below(self, limit: int) -> int:
        # Not the random module: the generator is part of the state, and one number is enough of it.
        self.generator = (self.generator * _MULTIPLIER + _INCREMENT) % _MODULUS
        return self.generator * limit // _MODULUS

    def state(self) -> list[Any]:
        """Numbers and packed patterns for ``restore``."""
        packed = [pack(self.patterns), pack(self.episodes), pack(self.pending)]
        return [self.seen, self.learned, self.generator, *packed, list(self.pending_due)]

    def restore(self, state: list[Any]) -> None:
        """Go on where ``state`` was taken. Raises ValueError for patterns of another size."""
        seen, learned, generator, patterns, episodes, pending, due = state
        self.seen, self.learned, self.generator = int(seen), int(learned), int(generator)
        self.patterns = unpack(patterns, self.dimensions, self.capacity)
        self.episodes = unpack(episodes, self.dimensions, self.episode_capacity)
        self.pending = unpack(pending, self.dimensions, DELAY_SAMPLES)
        self.pending_due = [int(number) for number in due]
        if len(self.pending) != len(self.pending_due):
            raise ValueError("the stored patterns are not whole")


def _single(pattern: Pattern) -> Pattern:
    return struct.unpack(f"<{len(pattern)}f", struct.pack(f"<{len(pattern)}f", *pattern))


def pack(patterns: list[Pattern]) -> str:
    """Return single-precision numbers as base64: a third of what they take as decimals."""
    flat = [number for pattern in patterns for number in pattern]
    return base64.b64encode(struct.pack(f"<{len(flat)}f", *flat)).decode()


def unpack(packed: str, dimensions: int, capacity: int) -> list[Pattern]:
    """Return the inverse of ``pack``. Raises ValueError when it does not hold so many whole patterns."""
    data = base64.b64decode(packed, validate=True)
    if len(data) % (4 * dimensions) or len(data) > 4 * dimensions * capacity:
        raise ValueError("the stored patterns are not whole")
    flat = struct.unpack(f"<{len(data) // 4}f", data)
    if not all(map(math.isfinite, flat)):
        raise ValueError("the stored patterns are not finite")
    return [flat[i : i + dimensions] for i in range(0, len(flat), dimensions)]
