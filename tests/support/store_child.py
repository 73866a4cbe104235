"""An owner in a process of its own, killed at a named step: ``store_child.py kind url prefix effects step``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.stores import FileEffects, FileWork, StoreAddress, execute
from tests.support.world import RealClock

STEPS = ("claiming", "claimed", "acted", "completing", "completed")


def main() -> None:
    """Execute the key, and die by SIGKILL at the step."""
    kind, url, prefix, effects, fatal = sys.argv[1:]

    def step(name: str) -> None:
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    store = Stepping(StoreAddress(kind, url, prefix).open(), step)
    execute(store, FileWork(FileEffects(Path(effects)), step=step), RealClock())  # type: ignore[arg-type]


class Stepping:
    """Names the steps before and after what a store does."""

    def __init__(self, store: Any, step: Any) -> None:
        self._store = store
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim(self, *arguments: Any, **named: Any) -> Any:
        """See ``IdempotencyStore``."""
        self._step("claiming")
        return self._store.claim(*arguments, **named)

    def complete(self, *arguments: Any, **named: Any) -> Any:
        """See ``IdempotencyStore``."""
        self._step("completing")
        stored = self._store.complete(*arguments, **named)
        self._step("completed")
        return stored


if __name__ == "__main__":
    main()
