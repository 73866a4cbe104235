"""The table of recall and precision at the end of the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import hand_over, take_over

LINES: list[str] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand this worker's lines over."""
    hand_over(session, "reconciliation", LINES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's lines."""
    take_over(node, "reconciliation", LINES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    if LINES:
        terminalreporter.write_sep("=", "reconciliation: planted and found")
        for line in LINES:
            terminalreporter.write_line(line)
