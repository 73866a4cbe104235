"""What is started here is interrupted as from a terminal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let the children of this process be interrupted, also where the suite itself ignores SIGINT.

    A shell starts ``make test &`` with SIGINT ignored, and a program that is started by one that ignores a signal
    ignores it as well (POSIX, "Signals and Error Handling" of the Shell Command Language, and ``execve``).
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
