"""The table of recall and precision at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LINES: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    if LINES:
        terminalreporter.write_sep("=", "reconciliation: planted and found")
        for line in LINES:
            terminalreporter.write_line(line)
