"""What may be asked about an earlier owner's effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.idempotency.attempt import Attempt, NotKnown, check_resolve

if TYPE_CHECKING:
    from collections.abc import Callable


class Asks:
    """Asks by being called."""

    def __call__(self, attempt: Attempt) -> NotKnown:
        """Ask."""
        return NotKnown()


class AsksInALoop:
    """Asks by being called, in an event loop."""

    async def __call__(self, attempt: Attempt) -> NotKnown:
        """Ask."""
        return NotKnown()


async def ask_in_a_loop(attempt: Attempt) -> NotKnown:
    return NotKnown()


def test_who_asks_in_an_event_loop_is_refused_before_the_first_doubt() -> None:
    """Fails when a coroutine is taken for a verdict: the outcome would stay unknown until somebody looks at the log."""
    for asking in (ask_in_a_loop, AsksInALoop()):
        refused: Callable[[Attempt], object] = asking
        with pytest.raises(ValueError, match="resolve is an ordinary function"):
            check_resolve(refused)
    check_resolve(Asks())
    assert 1 <= NotKnown().ask_again_seconds <= 60  # not at once: nobody knows more by then
    check_resolve(lambda _attempt: NotKnown())
