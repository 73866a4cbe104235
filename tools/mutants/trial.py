"""Tries mutants in forks of a process that has collected the tests and imported all they need.

::

    pytest collects ─ a fork runs all tests: their lines, seconds, whether they pass
                    └ for each mutant a fork: plant it ─ the tests that execute its lines ─ the first failure ends it
                                                       └ seeds of the simulation, if they are asked for

A test that fails is believed if it passes alone in such a fork without the mutant, and fails alone with it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools.mutants.forks import NO_END, FirstFailure, in_fork, limit_memory
from tools.mutants.lines import Lines
from tools.mutants.mutations import ROOT, SOURCES, Mutant, constant_of
from tools.mutants.planting import NotPlanted, Planter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pytest

MEASURING_SECONDS: Final = 600  # the factor of ``in_fork`` makes an hour of it on a busy machine
SEED_SECONDS: Final = 1  # what a seed of the simulation takes at most, without a mutant
SEED_FAILED: Final = "simulation, seed "
NOT_PLANTED: Final = "?"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: ``by`` names the test that failed, ``NO_END`` one that did not end, "" none.

    ``tests`` is how many could have seen it, and were run.
    """

    mutant: Mutant
    by: str
    seconds: float
    tests: int


class Selection:
    """Which tests can see a mutant, from the lines that each test executes."""

    def __init__(self, tests: dict[str, Any], modules: Sequence[str]) -> None:
        self._tests = tests
        self._modules = modules
        self._executing: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._killers: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._named: dict[str, set[str]] = {}  # tests by the class or function that their file names
        self.unreliable: set[str] = set()
        for nodeid, test in tests.items():
            if test["passed"]:
                for module, lines in test["lines"].items():
                    for line in lines:
                        self._executing[module, line].add(nodeid)

    def of(self, mutant: Mutant, seconds: float) -> list[str]:
        """Return tests of about ``seconds``: those that killed its neighbours, its module's own, the quickest.

        Of the others, one case of each test comes before a second case of any: a test's cases see about the same.
        """
        found = set().union(*(self._executing[place] for place in self._places(mutant)), self._naming(mutant))
        if not found and not mutant.function:  # only an import uses it, as a default does
            # It may have no line that a test executes: then those of the modules that import it.
            using = {mutant.module, *(module for module, _ in self._using(Path(mutant.module).stem))}
            found = set().union(*(tests for (module, _), tests in self._executing.items() if module in using))
        found -= self.unreliable
        first = [test for test in reversed(self.killers(mutant)) if test in found]
        own = Path(mutant.module).stem
        quickest = sorted(found - set(first), key=lambda test: (self._tests[test]["seconds"], test))
        cases: Counter[str] = Counter()
        rank = {}
        for test in quickest:
            function = test.partition("[")[0]
            rank[test] = cases[function]
            cases[function] += 1
        quickest.sort(key=lambda test: (own not in test, rank[test]))
        chosen, spent = [], 0.0
        for test in first + quickest:
            if chosen and spent > seconds:
                break
            chosen.append(test)
            spent += self._tests[test]["seconds"]
        return chosen

    def killers(self, mutant: Mutant) -> list[str]:
        """Return the tests that killed mutants of the same function, the last one last."""
        return self._killers[mutant.module, mutant.function]

    def _naming(self, mutant: Mutant) -> set[str]:
        """Return the tests whose file names the class or constant: to see its value they need execute no line of it."""
        owner = mutant.owner or constant_of(mutant)
        if owner and owner not in self._named:
            word = re.compile(rf"\b{owner}\b")
            files = {test: ROOT / test.partition("::")[0] for test in self._tests}
            naming = {file for file in set(files.values()) if file.is_file() and word.search(file.read_text("utf-8"))}
            passing = {test for test in files if self._tests[test]["passed"]}
            self._named[owner] = {test for test in passing if files[test] in naming}
        return self._named.get(owner, set())

    def _places(self, mutant: Mutant) -> Iterable[tuple[str, int]]:
        if mutant.function:
            return [(mutant.module, line) for line in range(mutant.executed[0], mutant.executed[1] + 1)]
        name = constant_of(mutant)
        return self._using(name) if name else [place for place in self._executing if place[0] == mutant.module]

    def _using(self, name: str) -> Iterator[tuple[str, int]]:
        word = re.compile(rf"\b{name}\b")
        for module in self._modules:
            file = ROOT / SOURCES / module
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                if word.search(line):
                    yield module, number


class Trials:
    """A plugin that tries mutants instead of running the collected tests.

    ``modules`` are those whose lines are recorded, and ``tests`` what earlier runs have recorded; new tests are added.
    ``rounds`` are pairs of the seconds of tests and the seeds of the simulation; a later one gets what survives the one
    before. ``tell`` is called for each verdict, and for a mutant that only an import can plant with ``None``;
    ``tell_measured`` once, with all that is known of the tests.
    """

    def __init__(
        self,
        mutants: Sequence[Mutant],
        *,
        modules: Sequence[str],
        tests: dict[str, Any],
        rounds: Sequence[tuple[float, int]],
        tell: Callable[[Mutant, Verdict | None], None],
        tell_measured: Callable[[dict[str, Any]], None],
    ) -> None:
        self._mutants, self._modules, self._rounds = mutants, modules, rounds
        self._tell, self._tell_measured = tell, tell_measured
        self._alone: dict[str, bool] = {}
        self._items: dict[str, pytest.Item] = {}
        self._config: pytest.Config
        self.tests = tests
        self.selection: Selection
        self._planter: Planter

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure what is not measured yet, then try the mutants."""
        self._config = session.config
        self._config.pluginmanager.unregister(name="terminalreporter")  # nobody reads what the forks would print
        self._items = {item.nodeid: item for item in session.items}
        self._measure([item for item in session.items if item.nodeid not in self.tests])
        self._tell_measured(self.tests)
        self.selection = Selection({name: self.tests[name] for name in self._items}, self._modules)
        self._planter = Planter(self._modules)
        for mutant in self._mutants:
            for seconds, seeds in self._rounds:
                verdict = self._try(mutant, seconds, seeds)
                if verdict is None or verdict.by:
                    break
            self._tell(mutant, verdict)
        return True

    def _measure(self, items: list[pytest.Item]) -> None:
        def measure(descriptor: int) -> None:
            lines = Lines({str(ROOT / SOURCES / module): module for module in self._modules})
            self._config.pluginmanager.register(lines)
            lines.start()
            run(items)
            with os.fdopen(os.dup(descriptor), "w") as out:
                json.dump(lines.tests, out)

        if items:
            said = in_fork(measure, MEASURING_SECONDS)
            if said == NO_END:
                raise RuntimeError("the tests without a mutant did not end")
            self.tests.update(json.loads(said))

    def _try(self, mutant: Mutant, seconds: float, seeds: int) -> Verdict | None:
        started = time.monotonic()
        while True:
            chosen = self.selection.of(mutant, seconds)
            by = self._forked(mutant, chosen, seeds) if chosen or seeds else ""
            if by == NOT_PLANTED:
                return None
            if by in self.tests and not self._is_believed(mutant, by):
                self.selection.unreliable.add(by)
                continue
            if by == NO_END and self._forked(None, chosen, seeds) == NO_END:
                raise RuntimeError(f"without a mutant, these do not end either: {chosen}")
            return Verdict(mutant, by, time.monotonic() - started, len(chosen))

    def _is_believed(self, mutant: Mutant, test: str) -> bool:
        killers = self.selection.killers(mutant)
        if test in killers:
            killers.remove(test)
        else:
            if test not in self._alone:
                self._alone[test] = self._forked(None, [test], 0) == ""
            if not self._alone[test] or self._forked(mutant, [test], 0) != test:
                return False
        killers.append(test)
        return True

    def _forked(self, mutant: Mutant | None, chosen: list[str], seeds: int) -> str:
        seconds = sum(self.tests[test]["seconds"] for test in chosen) + seeds * SEED_SECONDS
        return in_fork(partial(self._attempt, mutant, chosen, seeds), seconds)

    def _attempt(self, mutant: Mutant | None, chosen: list[str], seeds: int, descriptor: int) -> None:
        """Within a fork: plant the mutant, if any, and run the tests; write what failed."""
        if mutant is not None:
            try:
                self._planter.plant(mutant)
            except NotPlanted:
                os.write(descriptor, NOT_PLANTED.encode())
                return
        limit_memory()
        self._config.pluginmanager.register(FirstFailure(descriptor, self.tests))
        run([self._items[test] for test in chosen])
        os.write(descriptor, _simulated(seeds).encode())


def run(items: list[pytest.Item]) -> None:
    """Run tests as pytest does."""
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _simulated(seeds: int) -> str:
    """Return "" when the seeds keep every promise, or the first that does not."""
    if seeds:
        from simulation.seeds import run_seed  # it imports the package, as the tests have by now
    for seed in range(seeds):
        try:
            violated = run_seed(seed).violated
        except Exception as error:  # a mutant may raise whatever it likes
            violated = type(error).__name__
        if violated:
            return f"{SEED_FAILED}{seed}: {violated}"
    return ""
