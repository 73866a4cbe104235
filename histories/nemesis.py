"""The nemesis: every few seconds it kills or freezes a server, and restarts what it has killed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from histories.history import History
    from histories.servers import Server
    from histories.worlds import World

PAUSE_SECONDS = (1.5, 3.5)  # between two faults: claims are made, and left, in every state
DOWN_SECONDS = (0.2, 1.0)
FROZEN_SECONDS = (1.0, 3.0)  # around the clients' read timeouts of two seconds: some answers come, some are given up


class Nemesis:
    """Strikes at one world from a thread of its own, until ``stop``. Everything runs again after that."""

    def __init__(self, world: World, history: History, random: Random, *, only: str = "") -> None:
        """``only``: strike with the faults whose names hold this."""
        self._world = world
        self._history = history
        self._random = random
        self._only = only
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._strike_again_and_again, daemon=True)
        self._error: Exception | None = None
        self.faults: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with every server running. Raises what went wrong in the thread."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._restart_the_dead()

    def _strike_again_and_again(self) -> None:
        world = self._world
        faults: dict[str, Callable[[], None]] = {
            "killed a worker": lambda: self._kill("a worker", [self._random.choice(world.workers)]),
            "killed all workers": lambda: self._kill("all workers", world.workers),
            "killed the store": lambda: self._kill("the store", [world.store]),
            "froze the store": lambda: self._freeze("the store", world.store),
        }
        chosen = [fault for name, fault in faults.items() if self._only in name]
        try:
            while not self._stopping.wait(self._random.uniform(*PAUSE_SECONDS)):
                self._random.choice(chosen)()
                self._restart_the_dead()
        except Exception as error:
            self._error = error

    def _kill(self, name: str, victims: Sequence[Server]) -> None:
        self._note(f"killed {name}")
        for server in victims:
            server.kill()
        self._stopping.wait(self._random.uniform(*DOWN_SECONDS))
        for server in victims:
            server.start()
        self._history.note(f"restarted {name}")

    def _freeze(self, name: str, server: Server) -> None:
        self._note(f"froze {name}")
        server.pause()
        self._stopping.wait(self._random.uniform(*FROZEN_SECONDS))
        server.resume()
        self._history.note(f"thawed {name}")

    def _note(self, text: str) -> None:
        self.faults.append(text)
        self._history.note(text)

    def _restart_the_dead(self) -> None:
        """Start the workers that ended by themselves, as those do whose invocation ran past its timeout."""
        for worker in self._world.workers:
            if not worker.is_running():
                self._note("a worker ended at its timeout")
                worker.start()
