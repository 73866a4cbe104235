"""What clients ask: Jepsen's idempotence workload with one key to a request.

After ``jepsen.tigerbeetle.workload.idempotence``: half of the requests repeat an id that is known, half of these with
the value that it came with and half with another; which id is drawn by Zipf's law from a memory of 1,024
(https://github.com/jepsen-io/tigerbeetle). Here rank 1 is the newest key, so that most repeats meet a request that is
still under way, and some come long after.
"""

from __future__ import annotations

import threading
from bisect import bisect
from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

REPEATED_SHARE = 0.5
SAME_BODY_SHARE = 0.5
MEMORY = 1_024
SKEW = 1.1  # of Zipf's law: the newest key is drawn one time in five
OTHER_BODIES = "bcd"  # the bodies of repeats; a key's first request has body a


class Workload:
    """Draws requests. Thread-safe. The draws are the seed's; which client gets which, the threads'."""

    def __init__(self, random: Random, *, prefix: str) -> None:
        self._random = random
        self._prefix = prefix
        self._made = 0
        self._memory: deque[str] = deque(maxlen=MEMORY)  # the newest first
        self._weights = list(accumulate(rank**-SKEW for rank in range(1, MEMORY + 1)))
        self._lock = threading.Lock()

    def draw(self) -> tuple[str, str]:
        """Return the key and the body of the next request."""
        with self._lock:
            if not self._memory or self._random.random() >= REPEATED_SHARE:
                self._made += 1
                key = f"{self._prefix}-{self._made:012}"  # a key has at least 16 characters
                self._memory.appendleft(key)
                return key, "a"
            weights = self._weights[: len(self._memory)]
            key = self._memory[bisect(weights, self._random.random() * weights[-1])]
            if self._random.random() < SAME_BODY_SHARE:
                return key, "a"
            return key, self._random.choice(OTHER_BODIES)
