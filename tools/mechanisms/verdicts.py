"""A plugin of pytest that writes what each test came to, as JSON lines: ``pytest -p tools.mechanisms.verdicts``.

The file is named by ``PAYONCE_VERDICTS``. Each line has the test's ``nodeid``, ``seconds``, and ``verdict``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

VERDICTS_VARIABLE: Final = "PAYONCE_VERDICTS"
# "refuted": an assertion of the test failed, or the test met an error of payonce's closed tree that it does not expect.
# "broken": anything else went wrong, such as an import or a misspelt name.
type Verdict = Literal["passed", "refuted", "broken"]


def is_refutation(error: BaseException) -> bool:
    """Return whether the error is an assertion's, a failed ``pytest.raises``', payonce's own, or a group of those."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_refutation(each) for each in error.exceptions)
    # By name: the plugin is imported before the package, so that the package comes from where the tests take it.
    is_ours = any(base.__name__ == "PayonceError" for base in type(error).__mro__)
    return is_ours or isinstance(error, AssertionError | pytest.fail.Exception)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the verdict of a test's call, or of a set-up or tear-down that failed."""
    report = yield
    if report.when == "call" or not report.passed:
        verdict: Verdict = "passed" if report.passed else "broken"
        if report.when == "call" and call.excinfo is not None and is_refutation(call.excinfo.value):
            verdict = "refuted"
        line = {"nodeid": item.nodeid, "verdict": verdict, "seconds": call.duration}
        with Path(os.environ[VERDICTS_VARIABLE]).open("a") as file:
            file.write(json.dumps(line) + "\n")
    return report
