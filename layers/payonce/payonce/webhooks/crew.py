"""Work at the same time, as one execution does it. Injected, so that tests decide what is at the same time."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Protocol

from payonce.each import InThreads
from payonce.webhooks.pace import MOST_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_THREADS = 16  # database calls of a batch at a time: what 512 MB of Lambda keep busy, at 5 ms each
each_in_threads = InThreads(BATCH_THREADS)


class Crew(Protocol):
    """Runs works at the same time, at most ``most``. A work handles its own errors, and may start others."""

    @property
    def most(self) -> int:
        """How many works may run at the same time."""
        ...

    def start(self, work: Callable[[], None]) -> None:
        """Start a work."""
        ...

    def join(self) -> None:
        """Return when all works have ended, those included that were started meanwhile."""
        ...


class ThreadCrew:
    """A thread for each work."""

    most = MOST_WIDTH

    def __init__(self) -> None:
        self._threads: list[Thread] = []

    def start(self, work: Callable[[], None]) -> None:
        """See ``Crew``."""
        thread = Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """See ``Crew``."""
        while self._threads:
            self._threads.pop(0).join()
