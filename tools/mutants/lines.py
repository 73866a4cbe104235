"""Which test executes which lines of the mutated modules, and how long it takes: a plugin of pytest."""

from __future__ import annotations

import gc
import sys
import time
from collections import defaultdict
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping


TOOL: Final = sys.monitoring.COVERAGE_ID


def functions_of(files: Collection[str]) -> dict[tuple[str, str], list[FunctionType]]:
    """Return the functions of the given files that exist now, by file and qualified name."""
    found = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename in files:
            found[thing.__code__.co_filename, thing.__code__.co_qualname].append(thing)
    return dict(found)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


class Lines:
    """Records for each test, by its node id: seconds (by the clock and of the processor), whether it passed, its lines.

    ``files`` are the recorded files, each with the name that its lines are kept under.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self._files = files
        self._now: dict[str, set[int]] = defaultdict(set)
        self._functions = functions_of(files)

    def start(self) -> None:
        """Begin to listen, to the mutated modules alone."""
        sys.monitoring.use_tool_id(TOOL, "mutants")
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, self._seen)
        for functions in self._functions.values():
            for function in functions:
                for code in codes_in(function.__code__):
                    sys.monitoring.set_local_events(TOOL, code, sys.monitoring.events.LINE)

    def _seen(self, code: CodeType, line: int) -> object:
        self._now[code.co_filename].add(line)
        return sys.monitoring.DISABLE  # once a test

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Collect the lines of one test, its fixtures included."""
        self._now = defaultdict(set)
        sys.monitoring.restart_events()
        kept = self.tests[item.nodeid] = {"seconds": 0.0, "cpu": 0.0, "passed": True, "lines": {}}
        started, cpu = time.monotonic(), time.process_time()
        result = yield
        kept["seconds"] = round(time.monotonic() - started, 4)
        kept["cpu"] = round(time.process_time() - cpu, 4)
        kept["lines"] = {self._files[file]: sorted(lines) for file, lines in self._now.items()}
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a test that does not pass: it can say nothing of a mutant."""
        if not report.passed:
            self.tests[report.nodeid]["passed"] = False
