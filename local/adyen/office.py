"""All that one fake holds, and the thread that does what is due."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.adyen.behaviour import Behaviours
from local.adyen.clock import Clock
from local.adyen.tasks import do_due

if TYPE_CHECKING:
    from local.adyen.books import Books
    from local.adyen.delivery import Delivery

LOOK_AGAIN_SECONDS = 0.25


@dataclass(slots=True)
class Office:
    """Books, clock, behaviours and delivery of one fake."""

    books: Books
    delivery: Delivery
    clock: Clock = field(default_factory=Clock)
    behaviours: Behaviours = field(default_factory=Behaviours)
    _wake: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _closed: bool = False

    def catch_up(self) -> tuple[int, int]:
        """Do every task and send every notification that is due; return the numbers of tasks and of attempts."""
        now_ms = self.clock.now_ms()
        tasks = do_due(self.books, self.behaviours.settings(), now_ms)
        return tasks, self.delivery.deliver_due(now_ms)

    def wake(self) -> None:
        """Have what is due done soon, by the office's own thread."""
        self._wake.set()

    def start(self) -> None:
        """Start the office's own thread."""
        self._thread = threading.Thread(target=self._work, name="adyen-office", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread after what it has under way, and close the books."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.books.close()

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(LOOK_AGAIN_SECONDS)
            self._wake.clear()
            if not self._closed:
                self.catch_up()
