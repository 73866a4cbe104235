"""Which tests ``make quick`` runs for a change."""

from __future__ import annotations

import pytest

from tools.affected import ROOT, Imports, in_order

PACKAGE = "layers/payonce/payonce"


@pytest.fixture(scope="module")
def imports() -> Imports:
    return Imports()


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        (f"{PACKAGE}/reconciliation/readers/mt940.py", "tests/unit/reconciliation/test_readers.py"),
        (f"{PACKAGE}/domain/money.py", "tests/unit/domain/test_domain.py"),
        (
            f"{PACKAGE}/reconciliation/matching/rules/bank/10_rows.sql",
            "tests/unit/reconciliation/test_compiled_rules.py",
        ),
        (f"{PACKAGE}/reconciliation/report/report.html.jinja", "tests/unit/reconciliation/test_report.py"),
        ("template.yaml", "tests/infrastructure/test_template.py"),
        ("docs/in-process.md", "tests/unit/idempotency/test_docs.py"),
        ("Containerfile", "tests/infrastructure/test_containerfile.py"),
        ("tests/unit/webhooks/conftest.py", "tests/unit/webhooks/test_manage.py"),
        ("tests/unit/test_paging.py", "tests/unit/test_paging.py"),
    ],
)
def test_a_change_reaches_the_tests_that_are_about_it(imports: Imports, changed: str, first: str) -> None:
    """Fails when a module, a rule, a template, a page or a fixture reaches no test, or far ones first."""
    files, _ = in_order(imports.tests_reached([ROOT / changed]))
    assert ROOT / first in files[:40]


def test_what_changed_itself_comes_first_then_the_quick_suites(imports: Imports) -> None:
    """Fails when a slow suite is run before the unit tests, or one that takes minutes is run at all."""
    own = ROOT / "tests" / "contract" / "conftest.py"
    changed = ROOT / "tests" / "functional" / "test_reconcile_command.py"
    files, slow = in_order(imports.tests_reached([own, changed, ROOT / PACKAGE / "domain" / "errors.py"]))
    assert files[0] == changed
    suites = [file.relative_to(ROOT / "tests").parts[0] for file in files[1:]]
    assert list(dict.fromkeys(suites)) == ["unit", "infrastructure", "functional", "simulation", "contract"]
    assert {"crash_matrix", "e2e"} <= {file.relative_to(ROOT / "tests").parts[0] for file in slow}


def test_what_nothing_reads_reaches_nothing(imports: Imports) -> None:
    """Fails when a new page, which no code names, runs the whole of the tests."""
    assert imports.tests_reached([ROOT / "docs" / f"{__name__}.md"]) == {}
