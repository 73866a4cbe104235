"""The queue port in memory, for tests: messages in the order of sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import QueueMessage


class MemoryQueue:
    """``MessageQueue`` that appends to ``messages``, from which a test takes them."""

    def __init__(self) -> None:
        self.messages: list[QueueMessage] = []

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        self.messages.extend(messages)
