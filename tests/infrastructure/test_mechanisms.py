"""The table of mechanisms fits the code, and its runner tells a fault that is seen from one that survives."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tools.mechanisms.__main__ import try_all
from tools.mechanisms.page import BEGIN, END, PAGE
from tools.mechanisms.table import Mechanism, TableError, patched, read_table
from tools.mechanisms.trial import ROOT, copy_sources, try_fault

if TYPE_CHECKING:
    from pathlib import Path

MECHANISMS = read_table()
QUICKEST = ("Deterministic event ids", "Journal entries balance", "Retries end within the consumer's memory")


def named(name: str) -> Mechanism:
    return next(mechanism for mechanism in MECHANISMS if mechanism.name == name)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.name)
def test_each_fault_can_be_planted_and_each_test_is_there(mechanism: Mechanism) -> None:
    source = (ROOT / mechanism.path).read_text("utf-8")
    assert ast.dump(ast.parse(patched(mechanism, source))) != ast.dump(ast.parse(source))
    for test in mechanism.tests:
        file, _, case = test.partition("::")
        name = case.partition("[")[0]
        defined = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if _is_function(node)}
        assert name in defined, f"{file} has no test {name}: follow its new name in table.toml"


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_the_page_has_every_mechanism_with_its_tests() -> None:
    generated = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line for line in generated.splitlines() if line.startswith("| ")][1:]
    shown = [tuple(cell.strip() for cell in row.split(" | ")) for row in rows]
    assert [cells[0].removeprefix("| ") for cells in shown] == [mechanism.name for mechanism in MECHANISMS]
    for cells, mechanism in zip(shown, MECHANISMS, strict=True):
        assert cells[1:3] == (mechanism.promise, mechanism.fault)
        assert all(f"[{test.partition('::')[2]}](" in cells[4] for test in mechanism.tests)


def test_three_mechanisms_are_taken_out_and_their_tests_fail() -> None:
    tried = try_all([named(name) for name in QUICKEST], processes=1)
    assert [(outcome.mechanism.name, outcome.problem) for outcome in tried] == [(name, "") for name in QUICKEST]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sources")
    copy_sources(target)
    return target


def test_a_fault_that_survives_is_told(copy: Path) -> None:
    same = "if 0 != sum(posting.amount_minor for posting in self.postings):"
    harmless = replace(named("Journal entries balance"), after=same)
    assert try_fault(copy, harmless).problem == f"the fault survives {harmless.tests[0]}"


def test_a_test_that_can_not_be_imported_has_seen_nothing(copy: Path) -> None:
    missing = "import nothing_of_this_name\nCORRECTION_NAMESPACE ="
    broken = replace(named("Journal entries balance"), before="CORRECTION_NAMESPACE =", after=missing)
    assert "not by an assertion" in try_fault(copy, broken).problem
    assert (copy / broken.path).read_bytes() == (ROOT / broken.path).read_bytes()


def test_a_text_that_is_gone_or_there_twice_is_told() -> None:
    mechanism = named("Journal entries balance")
    source = (ROOT / mechanism.path).read_text("utf-8")
    with pytest.raises(TableError, match="occurs 0 times"):
        patched(mechanism, source.replace(mechanism.before, ""))
    with pytest.raises(TableError, match="occurs 2 times"):
        patched(mechanism, source + mechanism.before)
    with pytest.raises(TableError, match="does not compile"):
        patched(replace(mechanism, after="if"), source)
