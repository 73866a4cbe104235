"""One run of pytest for an area: its mutants are tried in a process that has imported everything, or in a new one."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from tools.mutants.areas import MODULES
from tools.mutants.forks import FirstFailure, in_fork, limit_memory
from tools.mutants.planting import plant_at_import
from tools.mutants.trial import Selection, Trials, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from tools.mutants.areas import Area
    from tools.mutants.mutations import Mutant

# What takes longest to import, and is not the project's: a process that imports the project anew has it already.
PRELOADED: Final = ("boto3", "moto.core", "pydantic", "aws_lambda_powertools.utilities.idempotency")
IMPORT_SECONDS: Final = 10  # of a new process, beside its tests
OPTIONS: Final = (
    "-qq",
    "--no-header",
    "--no-summary",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--hypothesis-seed=0",
)
type Round = tuple[float, int]


def verdicts_of(
    area: Area, mutants: Sequence[Mutant], rounds: Sequence[Round], tests: dict[str, Any]
) -> Iterator[Verdict | None]:
    """Yield a verdict for each mutant, and ``None`` once ``tests``, what is known of the tests, is complete.

    The project must not be imported in this process.
    """
    for module in PRELOADED:
        importlib.import_module(module)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_warm, args=(sending, area, mutants, rounds, tests))
    process.start()
    sending.close()
    at_import = []
    with contextlib.suppress(EOFError):
        while True:
            match receiving.recv():
                case Verdict(mutant=mutant, by="") if not mutant.function:
                    at_import.append(mutant)  # what the import made of the constant is as it was
                case Verdict() as verdict:
                    yield verdict
                case dict() as measured:
                    tests.update(measured)
                    yield None
                case mutant:
                    at_import.append(mutant)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"pytest for {area.folder} ended with {process.exitcode}")
    selection = Selection(tests, MODULES)
    passes: dict[tuple[str, ...], bool] = {}
    for mutant in at_import:
        yield in_rounds(rounds, partial(_imported_anew, area, mutant, tests, selection, passes))


def in_rounds(rounds: Sequence[Round], attempt: Callable[[float], Verdict]) -> Verdict:
    """Return the verdict of the first round that kills the mutant, or of the last one. Seeds would need the import."""
    for seconds, _ in rounds:
        verdict = attempt(seconds)
        if verdict.by:
            break
    return verdict


def _warm(
    sending: Connection, area: Area, mutants: Sequence[Mutant], rounds: Sequence[Round], tests: dict[str, Any]
) -> None:
    def tell(mutant: Mutant, verdict: Verdict | None) -> None:
        sending.send(verdict or mutant)

    trials = Trials(mutants, modules=MODULES, tests=tests, rounds=rounds, tell=tell, tell_measured=sending.send)
    code = pytest.main([*area.suites, *OPTIONS, "-k", area.chosen], plugins=[trials])
    raise SystemExit(0 if code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} else int(code) or 1)


def _imported_anew(
    area: Area,
    mutant: Mutant,
    tests: dict[str, Any],
    selection: Selection,
    passes: dict[tuple[str, ...], bool],
    seconds: float,
) -> Verdict:
    """Try a mutant of what only an import makes, a class or a default, in a process that imports it."""
    started = time.monotonic()
    chosen = [test for test in selection.of(mutant, seconds) if test.startswith(area.suites)]
    by = _anew(mutant, chosen, tests) if chosen else ""
    if by:
        key = tuple(chosen)
        if key not in passes:
            passes[key] = _anew(None, chosen, tests) == ""
        if not passes[key]:
            raise RuntimeError(f"without a mutant, in a process of their own, these do not pass: {chosen}")
    return Verdict(mutant, by, time.monotonic() - started, len(chosen))


def _anew(mutant: Mutant | None, chosen: Sequence[str], tests: dict[str, Any]) -> str:
    def attempt(descriptor: int) -> None:
        if mutant is not None:
            plant_at_import(mutant)
        limit_memory()
        code = pytest.main([*chosen, *OPTIONS], plugins=[FirstFailure(descriptor, tests)])
        if code != pytest.ExitCode.OK:
            os.write(descriptor, b"(import)")

    return in_fork(attempt, IMPORT_SECONDS + sum(tests[test]["seconds"] for test in chosen))
