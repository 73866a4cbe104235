"""docs/evidence.md is made from results: its sources exist, and no suite that it names failed or was left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY
from tools import evidence
from tools.evidence_list import PROMISES, Page, Suite

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (REPOSITORY / "docs/evidence.md").read_text("utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text("utf-8")
TRIED = [tried for promise in PROMISES for tried in promise.tried]


def test_every_promise_of_the_design_is_there() -> None:
    assert [promise.name for promise in PROMISES] == [f"P{number}" for number in range(1, 11)]
    assert re.findall(r"^## (P\d+)$", PAGE, re.MULTILINE) == [promise.name for promise in PROMISES]


def test_every_source_exists() -> None:
    """Fails when a suite or a page is renamed and the evidence goes on naming it."""
    for tried in TRIED:
        if isinstance(tried, Suite):
            assert [path for path in tried.paths if not (REPOSITORY / path).exists()] == []
            assert re.search(rf"^{tried.suite}:", MAKEFILE, re.MULTILINE), tried.suite
        else:
            assert evidence.block(tried)


def test_the_page_says_what_the_pages_say_now() -> None:
    """Fails when a long run was done again and the evidence still has the figures of the last one."""
    for tried in TRIED:
        if isinstance(tried, Page):
            assert evidence.said(tried) in PAGE, tried.command


def test_nothing_on_the_page_failed_or_was_not_run() -> None:
    assert "not run" not in PAGE
    assert "failed**" not in PAGE
    assert "skipped" not in PAGE


def test_results_are_counted_by_path(tmp_path: Path) -> None:
    """Fails when a failure counts as passed, or a folder takes its neighbour's tests."""
    (tmp_path / "unit.xml").write_text(
        '<testsuites><testsuite timestamp="2026-11-29T10:00:00">'
        '<testcase classname="tests.unit.a.test_x" time="1.5"/>'
        '<testcase classname="tests.unit.a.test_x.TestK" time="1"><failure/></testcase>'
        '<testcase classname="tests.unit.ab.test_y" time="1"/>'
        '<testcase classname="tests.unit.a.test_z" time="1"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    found = evidence.ran(("tests/unit/a",), tmp_path)
    assert (found.passed, found.failed, found.skipped, found.seconds) == (1, 1, 1, 3.5)
    assert evidence.ran(("tests/unit/a/test_x.py",), tmp_path).skipped == 0
    assert evidence.ran(("tests/unit/none",), tmp_path).text() == "not run"
    assert found.text() == "1 passed, **1 failed**, 1 skipped in 4 s (2026-11-29)"


@pytest.mark.parametrize("pattern", ["^nothing like it$"])
def test_a_page_without_its_figures_is_told(pattern: str) -> None:
    with pytest.raises(LookupError, match="run make simulate-page"):
        evidence.block(Page("x", "make simulate-page", "docs/simulation.md", pattern))
