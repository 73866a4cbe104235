"""Calls of a function for many values, in turn or some at the same time. Injected, so that tests decide which."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Each(Protocol):
    """Calls a function for each value and returns the results in order."""

    def __call__[A, B](self, call: Callable[[A], B], values: Sequence[A], /) -> list[B]:
        """See the class. An error of one call is raised, at the latest when all have ended."""
        ...


def in_turn[A, B](call: Callable[[A], B], values: Sequence[A], /) -> list[B]:
    """Make the calls one after the other. See ``Each``."""
    return [call(value) for value in values]


@dataclass(frozen=True, slots=True)
class InThreads:
    """Makes the calls in up to ``most`` threads, a single one without any. See ``Each``."""

    most: int

    def __call__[A, B](self, call: Callable[[A], B], values: Sequence[A], /) -> list[B]:
        """See the class."""
        if len(values) < 2:
            return in_turn(call, values)
        with ThreadPoolExecutor(min(self.most, len(values))) as pool:
            return list(pool.map(call, values))
