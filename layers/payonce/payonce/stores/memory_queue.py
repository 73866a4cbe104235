"""The queue port in memory, for tests: messages in the order in which they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import QueueMessage


class MemoryQueue:
    """Keeps messages in ``messages``, for a test to take."""

    def __init__(self) -> None:
        self.messages: list[QueueMessage] = []

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        self.messages.extend(messages)
