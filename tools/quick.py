"""Lint, and the tests of what changed since main, in less than a minute: ``make quick``.

The linters run beside the tests. The tests that say the most about the change come first; what the time does not
suffice for is named at the end, and left to ``make test``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tools.affected import ROOT, Imports, in_order

TESTS_END_SECONDS: Final = 40  # after the start; the last test and the linters may go on for some more
MOST_FILES: Final = 60  # to collect each of them takes time, too
BIN: Final = Path(sys.executable).parent
LINTERS: Final = (
    (str(BIN / "ruff"), "check", "."),
    (str(BIN / "ruff"), "format", "--check", "."),
    (str(BIN / "lint-imports"),),
    (sys.executable, "-m", "mypy"),
)


def changed_files() -> list[Path]:
    """Return what differs from main's merge base, or on main from the commit before; untracked files included."""
    base = _git("merge-base", "HEAD", "main")[0]
    if base == _git("rev-parse", "HEAD")[0]:
        base = "HEAD~1"
    names = _git("diff", "--name-only", base) + _git("ls-files", "--others", "--exclude-standard")
    return [ROOT / name for name in dict.fromkeys(names)]


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S603, S607


class Budget:
    """A plugin of pytest that stops the run at its deadline, and knows what was not run."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self.left: dict[str, str] = {}
        self.failed = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember what is to be run."""
        self.left = {item.nodeid: item.nodeid.partition("::")[0] for item in session.items}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        """Run the test, and stop after it when the time is over."""
        result = yield
        self.left.pop(item.nodeid, None)
        if time.monotonic() > self._deadline and self.left:
            item.session.shouldstop = "the time of make quick is over"
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the failures: a run that was stopped has the exit code of an interruption."""
        self.failed += report.failed


def main() -> int:
    """Return 1 when a linter or a test fails."""
    started = time.monotonic()
    changed = changed_files()
    commands = list(LINTERS)
    if ROOT / "template.yaml" in changed:
        commands.append((str(BIN / "cfn-lint"), "template.yaml"))
    linters = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        for command in commands
    ]
    files, slow = in_order(Imports().tests_reached(changed))
    print(f"{len(changed)} files changed, {len(files)} test files are reached", flush=True)
    budget = Budget(started + TESTS_END_SECONDS)
    code = 0
    if files:
        names = [str(file.relative_to(ROOT)) for file in files[:MOST_FILES]]
        code = int(pytest.main(["-q", "--maxfail=5", *names], plugins=[budget]))
    failed = bool(budget.failed) or code not in {0, int(pytest.ExitCode.INTERRUPTED)}
    for command, linter in zip(commands, linters, strict=True):
        output, _ = linter.communicate()
        if linter.returncode:
            failed = True
            print(f"\n{' '.join(command)}\n{output}")
    left = Counter(budget.left.values()) + Counter(str(file.relative_to(ROOT)) for file in files[MOST_FILES:] + slow)
    _tell_left_out(left)
    print(f"{'FAILED' if failed else 'passed'} after {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def _tell_left_out(left: Counter[str]) -> None:
    suites = Counter(name.split("/")[1] for name in left)
    if suites:
        listed = ", ".join(f"{count} of {suite}" for suite, count in suites.items())
        print(f"left out, in whole or in part: {sum(suites.values())} test files ({listed}); make test runs them")


if __name__ == "__main__":
    sys.exit(main())
