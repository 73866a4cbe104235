"""Virtual time for code that blocks: threads that sleep wake in order of time, one at a time, and nobody waits.

::

    main   pop the earliest ─ set the clock ─ wake its thread ─ wait ··········· pop the next
    thread                                       └ run ─ sleep(0.05): push, wake main ┘

So thousands of seconds with hundreds of "processes" pass in seconds, and the same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class VirtualTime:
    """A clock, and the threads that live by it. ``now_ms`` makes it a ``Clock``."""

    def __init__(self, start_ms: int = 1_800_000_000_000) -> None:
        self._start_ms = start_ms
        self.seconds = 0.0
        self._heap: list[tuple[float, int, threading.Event]] = []
        self._numbers = itertools.count()
        self._main = threading.Event()
        self._errors: list[BaseException] = []

    def now_ms(self) -> int:
        """See ``Clock``."""
        return self._start_ms + int(self.seconds * 1000)

    def start(self, work: Callable[[], None], *, after_seconds: float = 0.0) -> None:
        """Run ``work`` as a thread of its own, from ``after_seconds`` on."""
        turn = threading.Event()

        def run() -> None:
            turn.wait()
            try:
                work()
            except BaseException as error:
                self._errors.append(error)
            self._main.set()

        threading.Thread(target=run, daemon=True).start()
        self._push(after_seconds, turn)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass. Called by threads that ``start`` has made."""
        turn = threading.Event()
        self._push(seconds, turn)
        self._main.set()
        turn.wait()

    def run_until(self, seconds: float) -> None:
        """Let threads run until then, or until none has anything left to do. Raises what a thread raised."""
        while self._heap and self._heap[0][0] <= seconds:
            self.seconds, _, turn = heapq.heappop(self._heap)
            self._main.clear()
            turn.set()
            self._main.wait()
            if self._errors:
                raise self._errors[0]

    def _push(self, seconds: float, turn: threading.Event) -> None:
        heapq.heappush(self._heap, (self.seconds + seconds, next(self._numbers), turn))
