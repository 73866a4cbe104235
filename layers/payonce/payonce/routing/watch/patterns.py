"""A bounded memory of a series' past patterns, and a new pattern's distance to its nearest neighbours."""

from __future__ import annotations

import base64
import math
import struct
from heapq import nsmallest
from typing import Any

NEAREST = 3  # neighbours averaged, because a single one may be near by chance
LEARN_EVERY = 5  # every fifth sample is learned: consecutive patterns are similar, and the memory is bounded
FIRST_PATTERNS = 8  # the first patterns, all of which are learned before any is judged
DELAY_SAMPLES = 50  # delay before a pattern is learned; without it a slow failure would always be near its recent past
EPISODE_SURPRISE = 1.5  # a pattern this surprising goes to the memory of episodes, so that its repetition is known
_MULTIPLIER, _INCREMENT, _MODULUS = 1_664_525, 1_013_904_223, 2**32  # Numerical Recipes' generator

type Pattern = tuple[float, ...]


class PatternMemory:
    """A memory in three parts: recent patterns (a few hundred samples), a uniform sample of all the past, and episodes.

    The episodes are rare patterns, which the first two would hardly ever hold, so that a nightly job surprises a few
    times and not every night. Numbers are rounded to single precision on input, so that storing them loses nothing.
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
        self.pending: list[Pattern] = []  # waiting to be learned, oldest first
        self.pending_due: list[int] = []  # the sample number at which each is learned; negative for an episode
        self.seen = 0
        self.learned = 0
        self.generator = 1

    def distance(self, pattern: Pattern) -> float | None:
        """Return the mean distance to the ``NEAREST`` patterns, or None before ``FIRST_PATTERNS`` were learned."""
        if self.seen < FIRST_PATTERNS:
            return None
        distances = [math.dist(pattern, known) for known in self.patterns]
        distances += [math.dist(pattern, known) for known in self.episodes]
        return sum(nsmallest(NEAREST, distances)) / NEAREST

    def learn(self, pattern: Pattern, surprise: float) -> None:
        """Queue a judged pattern for learning after ``DELAY_SAMPLES``."""
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
        # Not the random module: the generator's state is stored, and this one's is a single number.
        self.generator = (self.generator * _MULTIPLIER + _INCREMENT) % _MODULUS
        return self.generator * limit // _MODULUS

    def state(self) -> list[Any]:
        """Return the numbers and packed patterns for ``restore``."""
        packed = [pack(self.patterns), pack(self.episodes), pack(self.pending)]
        return [self.seen, self.learned, self.generator, *packed, list(self.pending_due)]

    def restore(self, state: list[Any]) -> None:
        """Continue from ``state``. Raises ValueError for patterns of another size."""
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
    """Return the numbers in single precision as base64, a third of their size as decimals."""
    flat = [number for pattern in patterns for number in pattern]
    return base64.b64encode(struct.pack(f"<{len(flat)}f", *flat)).decode()


def unpack(packed: str, dimensions: int, capacity: int) -> list[Pattern]:
    """Return the patterns, the inverse of ``pack``. Raises ValueError for incomplete, too many or infinite ones."""
    data = base64.b64decode(packed, validate=True)
    if len(data) % (4 * dimensions) or len(data) > 4 * dimensions * capacity:
        raise ValueError("the stored patterns are not whole")
    flat = struct.unpack(f"<{len(data) // 4}f", data)
    if not all(map(math.isfinite, flat)):
        raise ValueError("the stored patterns are not finite")
    return [flat[i : i + dimensions] for i in range(0, len(flat), dimensions)]
