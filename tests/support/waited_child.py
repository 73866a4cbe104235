"""An owner of a key that says so, and then hangs: ``waited_child.py kind url prefix file before|after``.

``after``: it has acted by then. Its test kills it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.idempotency.attempt import Attempt, WasExecuted, WasNotExecuted
from payonce.idempotency.operation import current_attempt, idempotent_operation
from tests.support.stores import StoreAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.attempt import Verdict

TIMEOUT_SECONDS = 1.0


def guarded(address: StoreAddress, effects: Path, act: Callable[[], None], wait_seconds: float) -> Callable[..., str]:
    """Return the guarded function: it acts, and its result is the reference under which it has."""

    def resolve(attempt: Attempt) -> Verdict:
        acted = effects.exists() and attempt.reference in effects.read_text().split()
        return WasExecuted(attempt.reference) if acted else WasNotExecuted()

    @idempotent_operation(
        store=address.open(),
        operation="ship",
        scope="shop",
        key="order",
        timeout_seconds=TIMEOUT_SECONDS,
        wait_seconds=wait_seconds,
        resolve=resolve,
    )
    def ship(shop: str, order: str) -> str:
        act()
        return current_attempt().reference

    return ship


def write_down(effects: Path) -> None:
    """Act: leave the reference where everybody can look it up."""
    with effects.open("a") as file:
        file.write(f"{current_attempt().reference}\n")


def main() -> None:
    """Own the key, say so, and hang."""
    kind, url, prefix, path, moment = sys.argv[1:]
    effects = Path(path)

    def act() -> None:
        if moment == "after":
            write_down(effects)
        sys.stdout.write("owner\n")
        sys.stdout.flush()
        time.sleep(600)

    guarded(StoreAddress(kind, url, prefix), effects, act, 0)("s", "o")


if __name__ == "__main__":
    main()
