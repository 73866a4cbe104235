"""Crews whose works are not at the same time, for tests that decide by themselves what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class OneByOne:
    """Does each work at once, in the caller's thread."""

    most = 1

    def start(self, work: Callable[[], None]) -> None:
        """See ``Crew``."""
        work()

    def join(self) -> None:
        """See ``Crew``."""
