"""The driver of mutants finds a gap that is planted; the list of equivalent ones fits the code; the page adds up."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tools.mutants.areas import MODULES
from tools.mutants.equivalent import Equivalent, EquivalentError, check, read_equivalents, refuted
from tools.mutants.mutations import ROOT, Mutant, change_of, mutants_of
from tools.mutants.page import BEGIN, END, PAGE, counted, rendered
from tools.mutants.planting import _exchange
from tools.mutants.session import in_rounds
from tools.mutants.trial import Selection, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The mutants of one module and its own tests, in a process that has imported nothing of the project.
TRIAL = """
import json, sys
from tools.mutants.areas import Area
from tools.mutants.mutations import mutants_of
from tools.mutants.session import verdicts_of

suites = ("tests/unit/idempotency/test_keys.py",)
area = Area(folder="idempotency", names=("window",), suites=suites, chosen=sys.argv[1])
mutants = [each for each in mutants_of("idempotency/window.py") if each.text in sys.argv[2:]]
found = [verdict for verdict in verdicts_of(area, mutants, [(5, 0)], {}) if verdict]
print(json.dumps([(verdict.mutant.text, verdict.mutant.after, verdict.by) for verdict in found]))
"""
GUARD = "if self.guard_seconds < self.window_seconds:"
CONSTANT = "MIN_WINDOW_SECONDS = 24 * HOUR_SECONDS"
ITS_TEST = "test_a_guard_shorter_than_the_window_stops_the_start"
SOURCE = '''
"""A module."""
with needs("card"):
    import cards

LIMIT: Final = 500


def pay(amount: int, twice: bool = False) -> None:
    """Pay."""
    try:
        if amount > LIMIT and not twice:
            raise ValueError("too much of it")
        send(amount, key="payment", note="a text for people")
    except (OSError, KeyError):
        raise
'''


def tried(chosen: str) -> dict[tuple[str, str], str]:
    command = [sys.executable, "-c", TRIAL, chosen, GUARD, CONSTANT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {(text, after): by for text, after, by in json.loads(done.stdout.splitlines()[-1])}


def test_a_guard_without_its_test_is_a_survivor() -> None:
    """The same mutant with the test and without it. In functions, and in a constant."""
    complete, with_a_gap = tried(""), tried(f"not {ITS_TEST} and not outside_24 and not nobody_has_set")
    assert complete[GUARD, "False"].endswith(ITS_TEST)
    assert complete[CONSTANT, "0"]
    assert with_a_gap[GUARD, "False"] == ""
    assert with_a_gap[CONSTANT, "0"] == ""


@pytest.mark.parametrize(("killed_in", "expected"), [(2, [2]), (20, [2, 20]), (99, [2, 20])])
def test_what_an_import_makes_is_tried_in_each_round(
    mutants: list[Mutant], killed_in: int, expected: list[int]
) -> None:
    """Fails when a class's fields are said to survive although no second round was run, or after a test has failed."""
    tried: list[float] = []

    def attempt(seconds: float) -> Verdict:
        tried.append(seconds)
        return Verdict(mutants[0], "a test" if seconds == killed_in else "", 0.1, 1)

    assert (in_rounds([(2, 0), (20, 5)], attempt).by != "") == (killed_in in expected)
    assert tried == expected


def test_a_generator_is_given_no_plain_functions_code() -> None:
    """Fails when the interpreter ends the whole run at a context manager whose ``yield`` is left out."""

    def generator() -> Iterator[int]:
        yield 1

    def plain() -> int:
        return 2

    line = generator.__code__.co_firstlineno
    assert not _exchange(generator, {line: plain.__code__})  # type: ignore[arg-type]
    assert _exchange(generator, {line: generator.__code__})  # type: ignore[arg-type]
    assert list(generator()) == [1]


@pytest.fixture
def mutants(tmp_path: Path) -> list[Mutant]:
    """The mutants of a small module."""
    (tmp_path / "small.py").write_text(SOURCE)
    return mutants_of("small.py", tmp_path)


def test_what_is_changed(mutants: list[Mutant]) -> None:
    changes = {(each.operator, *each.change) for each in mutants}
    assert changes == {
        ("number", "500", "0"),
        ("truth", "False", "True"),
        ("condition", "amount > LIMIT and not twice", "True"),
        ("condition", "amount > LIMIT and not twice", "False"),
        ("operand", "amount > LIMIT and not twice", "(amount > LIMIT)"),
        ("operand", "amount > LIMIT and not twice", "(not twice)"),
        ("comparison", "> LIMIT", ">= LIMIT"),
        ("not", "not twice", "twice"),
        ("statement", 'raise ValueError("too much of it")', "pass"),
        ("statement", 'send(amount, key="payment", note="a text for people")', "pass"),
        ("argument", 'key="payment"', ""),
        ("argument", 'note="a text for people"', ""),
        ("name", '"payment"', '"XXpaymentXX"'),
        ("caught", "OSError, KeyError", "(OSError)"),
        ("caught", "OSError, KeyError", "(KeyError)"),
        ("statement", "raise", "pass"),
    }
    assert {each.function for each in mutants if each.operator in {"number", "truth"}} == {""}
    assert {each.function for each in mutants if each.operator not in {"number", "truth"}} == {"pay"}


def test_a_branch_that_is_never_taken_is_seen_by_who_takes_it(mutants: list[Mutant]) -> None:
    [never] = [each for each in mutants if each.operator == "condition" and each.after == "False"]
    seen = {"small.py": [12]}
    tests = {
        "passes_by": {"passed": True, "seconds": 0.1, "lines": seen},
        "goes_in": {"passed": True, "seconds": 0.2, "lines": {"small.py": [12, 13]}},
        "fails_anyway": {"passed": False, "seconds": 0.1, "lines": {"small.py": [12, 13]}},
    }
    assert Selection(tests, ["small.py"]).of(never, seconds=9) == ["goes_in"]


def test_a_default_is_seen_by_who_names_its_function(mutants: list[Mutant], tmp_path: Path) -> None:
    """Fails when a class's field, a default or a constant is said to survive the test that compares it: that executes
    no line of the module.
    """
    [default] = [each for each in mutants if each.operator == "truth"]
    [limit] = [each for each in mutants if each.operator == "number"]
    (tmp_path / "test_it.py").write_text("assert (pay.__defaults__, LIMIT) == ((False,), 500)")
    (tmp_path / "test_another.py").write_text("assert payment and repay")
    tests = {
        f"{tmp_path}/{name}.py::test": {"passed": passed, "seconds": 0.1, "lines": {}}
        for name, passed in (("test_it", True), ("test_another", True), ("test_gone", True))
    }
    for mutant in (default, limit):
        assert Selection(tests, []).of(mutant, seconds=9) == [f"{tmp_path}/test_it.py::test"]
    for test in tests.values():
        test["passed"] = False
    assert Selection(tests, []).of(default, seconds=9) == []


def test_what_only_an_import_executes_is_seen_by_who_executes_its_users() -> None:
    """Fails when a module of constants, such as scripts for a server, is said to survive without a test being run."""
    [change, *_] = [each for each in mutants_of("stores/redis_scripts.py") if each.statement.startswith("_CHANGE")]
    lines = {"a": {"stores/redis_transitions.py": [1]}, "b": {"domain/ids.py": [1]}}
    tests = {name: {"passed": True, "seconds": 0.1, "lines": seen} for name, seen in lines.items()}
    assert Selection(tests, MODULES).of(change, seconds=9) == ["a"]


def test_only_what_differs_is_shown() -> None:
    assert change_of("f(a, b=1, c=2)", "f(a, c=2)") == ("b=1", "")
    assert change_of("(A, B)", "(B,)") == ("A", "")


@pytest.mark.parametrize("module", MODULES)
def test_each_equivalent_mutant_is_there(module: str) -> None:
    entries = [entry for entry in read_equivalents() if entry.module == module]
    if entries:
        check(entries, mutants_of(module))


def test_every_entry_is_of_a_mutated_module() -> None:
    assert {entry.module for entry in read_equivalents()} <= set(MODULES)


def test_an_entry_that_does_not_fit_is_told(mutants: list[Mutant], tmp_path: Path) -> None:
    [limit] = [each for each in mutants if each.operator == "number"]
    entry = Equivalent(module="small.py", text=limit.text, before="500", after="0", why="no number is that large")
    check([entry], mutants)
    with pytest.raises(EquivalentError, match="no mutant"):
        check([entry], [each for each in mutants if each is not limit])
    killed = Verdict(limit, "tests/x.py::test", 0.1, 1)
    assert refuted([entry], [killed]) == [killed]
    assert refuted([entry], [Verdict(limit, "", 0.1, 1)]) == []
    [raised] = [each for each in mutants if each.change == ("amount > LIMIT and not twice", "True")]
    for within, meant in (("", True), ("pay", True), ("repay", False)):
        assert (
            replace(entry, text=raised.text, before=raised.before, after="True", within=within).matches(raised) == meant
        )
    (tmp_path / "list.toml").write_text(
        '[[equivalent]]\nmodule = "a.py"\ntext = "x"\nbefore = "1"\nafter = "0"\nwhy = "it is"\n'
    )
    with pytest.raises(EquivalentError, match="a reason"):
        read_equivalents(tmp_path / "list.toml")


def test_the_page_counts_and_names_what_survives() -> None:
    first, second, third = mutants_of(MODULES[0])[:3]
    entry = Equivalent(
        module=second.module,
        text=second.text,
        before=second.change[0],
        after=second.change[1],
        why="for this test only",
    )
    counts = counted([Verdict(first, "t::x", 1, 1), Verdict(second, "", 1, 1), Verdict(third, "", 1, 7)], [entry])
    assert (counts.mutants, counts.killed, counts.equivalent) == (3, 1, 1)
    once = rendered({MODULES[0]: counts}, "", tried_with="2 s", on="2026-01-01")
    assert f"{MODULES[0]}:{third.line}" in once
    again = rendered({MODULES[1]: counted([], [])}, once, tried_with="2 s", on="2026-01-02")
    assert [line for line in once.splitlines() if "2026-01-01" in line] == [
        line for line in again.splitlines() if "2026-01-01" in line
    ]
    assert f"{MODULES[0]}:{third.line}" in again


def test_the_page_adds_up() -> None:
    generated = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [row.split("|") for row in generated.splitlines() if row.startswith("| [")]
    assert rows
    modules = [row[1].strip().removeprefix("[").partition("]")[0] for row in rows]
    assert modules == [module for module in MODULES if module in modules]
    for module, row in zip(modules, rows, strict=True):
        mutants, killed, no_end, equivalent, survivors = (int(cell) for cell in row[3:8])
        assert mutants == killed + equivalent + survivors
        assert no_end <= killed
        assert sum(line.startswith(f"- `{module}:") for line in generated.splitlines()) == survivors
