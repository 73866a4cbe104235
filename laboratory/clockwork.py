"""The laboratory's simulated time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy

if TYPE_CHECKING:
    from collections.abc import Callable


class Clockwork:
    """A minimal interface to SimPy's environment: schedules callbacks in simulated seconds."""

    def __init__(self) -> None:
        self._environment = simpy.Environment()

    @property
    def now(self) -> float:
        """Return the seconds since the trial began."""
        return self._environment._now

    def after(self, seconds: float, call: Callable[[Any], None], argument: Any) -> None:
        """Call ``call(argument)`` after ``seconds``."""
        timeout = self._environment.timeout(seconds)
        timeout.callbacks.append(lambda _event: call(argument))

    def every(self, seconds: float, call: Callable[[], None], offset: float = 0.0) -> None:
        """Call ``call()`` every ``seconds``, first after ``offset`` seconds."""

        def again(_event: Any) -> None:
            call()
            self._environment.timeout(seconds).callbacks.append(again)

        self._environment.timeout(offset).callbacks.append(again)

    def run(self, until: float) -> None:
        """Run the simulation up to the second ``until``."""
        self._environment.run(until=until)
