"""Workflows of corrections in this process, for tests and for runs without a cloud."""

from __future__ import annotations


class MemoryWorkflows:
    """``CorrectionStarter`` and ``ApprovalNotifier``. ``started`` and ``woken`` record the calls in order."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.woken: list[str] = []

    def start(self, break_id: str, attempt: int) -> None:
        """See ``CorrectionStarter``."""
        if (break_id, attempt) not in self.started:
            self.started.append((break_id, attempt))

    def decided(self, task_token: str) -> None:
        """See ``ApprovalNotifier``."""
        self.woken.append(task_token)
