"""The laboratory's simulated time."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Clockwork:
    """A discrete-event clock: callbacks in the order of their times, equal times in the order they were scheduled.

    ``now`` is in seconds since the trial began.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._number = count()

    def after(self, seconds: float, call: Callable[[Any], None], argument: Any) -> None:
        """Call ``call(argument)`` after ``seconds``."""
        heappush(self._calls, (self.now + seconds, next(self._number), call, argument))

    def every(self, seconds: float, call: Callable[[], None], offset: float = 0.0) -> None:
        """Call ``call()`` every ``seconds``, first after ``offset`` seconds."""

        def again(_: None) -> None:
            call()
            self.after(seconds, again, None)

        self.after(offset, again, None)

    def run(self, until: float) -> None:
        """Make all calls before the second ``until``, and set the clock to it."""
        calls = self._calls
        while calls and calls[0][0] < until:
            self.now, _, call, argument = heappop(calls)
            call(argument)
        self.now = until
