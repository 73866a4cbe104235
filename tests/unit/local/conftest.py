"""What is started here is interrupted as from a terminal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let the children of this process be interrupted, also where the suite itself ignores these signals.

    A shell starts ``make test &`` with SIGINT ignored, ``nohup`` ignores SIGHUP, and a program inherits what its parent
    ignores (POSIX, ``exec``: "Signals set to be ignored by the calling process image shall be set to be ignored").
    """
    ignored = {one: handler for one in ENDING if (handler := signal.getsignal(one)) is signal.SIG_IGN}
    for one in ignored:
        signal.signal(one, signal.default_int_handler if one is signal.SIGINT else signal.SIG_DFL)
    yield
    for one, handler in ignored.items():
        signal.signal(one, handler)
