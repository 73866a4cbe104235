"""A trial's process: a fork that says which test failed first, or that one did not end."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

# Of a test's processor time, which a busy machine does not stretch: so many times that without a mutant, and 1 s.
CPU_FACTOR: Final = 5
CPU_SECONDS: Final = 1
WAIT_SECONDS: Final = 30  # by the clock, for what waits without end; and the factor, since the machine may be busy
MEMORY_BYTES: Final = 2 * 1024**3  # beside what is there at the fork: an endless loop may gather something
DATA_FIELD: Final = 5  # of /proc/self/statm: pages of data and stacks
NO_END: Final = "(no end)"
BROKEN: Final = "(the trial itself failed) "
END: Final = b"\0"


def in_fork(action: Callable[[int], None], seconds: float) -> str:
    """Run ``action`` in a fork, with a descriptor to write to. Return what it wrote, or ``NO_END`` when it did not end.

    ``seconds`` is what it should take, see ``WAIT_SECONDS``. Raises ``RuntimeError`` when the action itself raises.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _act(action, writing)
    os.close(writing)
    said, deadline = b"", time.monotonic() + WAIT_SECONDS + CPU_FACTOR * seconds
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        got = os.read(reading, 1 << 16)
        said += got
        if not got or said.endswith(END):
            break
    os.close(reading)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # of its own group: what its tests started, too
    os.waitpid(child, 0)
    answer = said.removesuffix(END).decode()
    if answer.startswith(BROKEN):
        raise RuntimeError(answer)
    return answer if said.endswith(END) else NO_END


def _act(action: Callable[[int], None], writing: int) -> None:
    try:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        action(writing)
        os.write(writing, END)
    except KeyboardInterrupt:  # pytest lets it pass, and a mutant may raise it
        os.write(writing, NO_END.encode() + END)
    except BaseException as error:  # this is the process's end
        os.write(writing, f"{BROKEN}{error!r}".encode() + END)
    finally:
        os._exit(0)


def limit_memory() -> None:
    """Let this process take ``MEMORY_BYTES`` more than it has.

    The limit is on data: each thread reserves addresses for its allocator, and most of them are never memory.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[DATA_FIELD])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class FirstFailure:
    """A plugin that ends the process at the first test that fails, or does not end, after it has said which."""

    def __init__(self, descriptor: int, tests: Mapping[str, Any]) -> None:
        self._descriptor, self._tests = descriptor, tests
        signal.signal(signal.SIGPROF, lambda _signal, _frame: self._end(NO_END))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Give the test its time."""
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS + CPU_FACTOR * self._tests[nodeid]["cpu"])

    def pytest_runtest_logfinish(self) -> None:
        """Stop the time."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End here: nothing of this process is needed any more."""
        if report.failed:
            self._end(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A test file that can't be imported has seen the mutant, too."""
        if report.failed:
            self._end(report.nodeid)

    def _end(self, said: str) -> None:
        os.write(self._descriptor, said.encode() + END)
        os._exit(0)
