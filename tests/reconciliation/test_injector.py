"""The injector knows no matcher, and a seed is a case."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.taxonomy import BreakClass
from tests.support import reconciliation_injector
from tests.support.reconciliation_injector.compose import compose
from tests.support.reconciliation_injector.files import bank_csv, gateway_csv
from tests.support.reconciliation_injector.maker import PLAIN

ALLOWED = {
    "payonce.reconciliation.taxonomy",
    "payonce.reconciliation.model",
    "payonce.reconciliation.readers.rows",
}


def test_the_injector_imports_nothing_of_the_matcher() -> None:
    """Fails when a module of the injector imports rules, an engine or anything else of payonce."""
    assert reconciliation_injector.__file__ is not None
    files = sorted(Path(reconciliation_injector.__file__).parent.glob("*.py"))
    imported = {name for file in files for name in _imports(ast.parse(file.read_text("utf-8")))}
    own = {name for name in imported if name.split(".")[0] in ("payonce", "tests")}
    assert {name for name in own if not name.startswith("tests.support.reconciliation_injector.")} == ALLOWED
    assert not imported & {"importlib", "duckdb"}


def test_equal_seeds_make_equal_cases_with_every_class_and_no_row_twice() -> None:
    """Fails when something in a case depends on more than the seed, or two faults touch one row."""
    case = compose(7, 5)
    assert case == compose(7, 5) != compose(8, 5)
    assert Counter(one.break_class for one in case.planted) == dict.fromkeys(BreakClass, 5)
    touched = [row for one in case.planted for row in one.rows]
    assert len(set(touched)) == len(touched)


def test_files_are_read_as_the_rows_they_were_written_from() -> None:
    """Fails when a currency's decimals, a sign or a time is written otherwise than the reader reads it."""
    case = compose(3, 2)
    rows = case.reported[PLAIN]
    read = read_file(gateway_csv(rows)).gateway_rows
    assert [_content(row) for row in read] == [_content(row) for row in rows]
    statements = read_file(bank_csv(case.statements)).statements
    seen = [(one.account, one.opening_minor, [line.amount_minor for line in one.lines]) for one in statements]
    written = [(one.account, one.opening_minor, [line.amount_minor for line in one.lines]) for one in case.statements]
    assert seen == written


def _content(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if name != "row_number"}  # type: ignore[attr-defined]


def _imports(tree: ast.Module) -> set[str]:
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
