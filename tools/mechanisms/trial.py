"""Tries mechanisms on a copy of the sources: its tests pass, and fail by an assertion once its fault is planted.

::

    tracked files ─ copy ─┬ all named tests: they pass
                          └ for each mechanism: plant ─ its tests: refuted ─ put back
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tools.mechanisms.table import ROOT, TableError, patched
from tools.mechanisms.verdicts import VERDICTS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.mechanisms.table import Mechanism

LINKED: Final = (".venv", ".venv-cloud", ".cache")
# Forked, with what takes longest to import: a mechanism's tests take a tenth of a second, and a start takes two.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pytest", "boto3", "moto.core", "pydantic", "aws_lambda_powertools.utilities.idempotency"]
)
TIMEOUT_SECONDS: Final = 600  # only against a fault that makes a test hang: that would be no assertion


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome for one mechanism. ``problem`` is "" when its tests failed as they should; ``seconds`` is the time
    that pytest took to see it, start included.
    """

    mechanism: Mechanism
    problem: str
    seconds: float


def copy_sources(target: Path) -> None:
    """Copy the tracked files as they are now in the working tree, and link the installed packages."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if not source.is_file():
            continue  # deleted in the working tree, and not yet in the index
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / name)
    for name in LINKED:
        if (ROOT / name).exists():
            (target / name).symlink_to((ROOT / name).resolve())


def check_unpatched(copy: Path, mechanisms: Iterable[Mechanism]) -> None:
    """Raise ``TableError`` unless every named test exists and passes."""
    names = sorted({test for mechanism in mechanisms for test in mechanism.tests})
    verdicts, said = _run(copy, names)
    failed = [line["nodeid"] for line in verdicts if line["verdict"] != "passed"]
    missing = [name for name in names if not any(_is_of(line["nodeid"], name) for line in verdicts)]
    if failed or missing:
        raise TableError(f"without any fault, these tests do not pass: {', '.join(failed + missing)}\n{said}")


def try_fault(copy: Path, mechanism: Mechanism) -> Tried:
    """Plant the fault in the copy, run its tests, and put the mechanism back. Raises ``TableError``, see ``patched``.

    Of a parametrized test at least one case has to be refuted.
    """
    file = copy / mechanism.path
    original = file.read_text()
    _write(file, patched(mechanism, original))
    started = time.monotonic()
    try:
        verdicts, said = _run(copy, list(mechanism.tests))
    finally:
        _write(file, original)
    problems = []
    for name in mechanism.tests:
        seen = {line["verdict"] for line in verdicts if _is_of(line["nodeid"], name)}
        if seen == {"passed"}:
            problems.append(f"the fault survives {name}")
        elif "refuted" not in seen:
            problems.append(f"{name} fails, but not by an assertion:\n{said}")
    return Tried(mechanism, "; ".join(problems), time.monotonic() - started)


def _write(file: Path, source: str) -> None:
    """Write a module and drop its compiled form, which would count if time (in seconds) and size are the same."""
    file.write_text(source)
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


def _is_of(nodeid: str, name: str) -> bool:
    return nodeid == name or nodeid.startswith(f"{name}[")


def _run(copy: Path, names: list[str]) -> tuple[list[dict[str, str]], str]:
    verdicts, said = copy / ".verdicts", copy / ".said"
    for file in (verdicts, said):
        file.unlink(missing_ok=True)
    process = _FORKS.Process(target=_pytest, args=(copy, names, verdicts, said), daemon=True)
    process.start()
    process.join(TIMEOUT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return [], f"no end within {TIMEOUT_SECONDS} s"
    lines = verdicts.read_text().splitlines() if verdicts.exists() else []
    return [json.loads(line) for line in lines], said.read_text()[-3000:] if said.exists() else ""


def _pytest(copy: Path, names: list[str], verdicts: Path, said: Path) -> None:
    """Run the tests in the copy. A process of its own, in which nothing of the project is imported yet but this."""
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    sys.dont_write_bytecode = False  # whatever the caller's setting: the copy's modules are compiled once
    ours = {"", str(ROOT), str(ROOT / "layers/payonce")}
    here = [str(copy), str(copy / "layers/payonce")]
    sys.path[:] = here + [entry for entry in sys.path if entry not in ours]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
        del sys.modules[name]
    os.environ |= {"PYTHONPATH": ":".join(here), VERDICTS_VARIABLE: str(verdicts)}
    raise SystemExit(pytest.main(["-q", "-p", "tools.mechanisms.verdicts", "-p", "no:cacheprovider", *names]))
