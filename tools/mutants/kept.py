"""What a run leaves for the next: which test executes which lines, and which mutants were killed by what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tools.mutants.areas import MODULES
from tools.mutants.mutations import ROOT, SOURCES, Mutant
from tools.mutants.trial import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE: Final = ROOT / ".cache/mutants.json"


def digest(*files: Path) -> str:
    """Return the digest of what the files hold, "" for a file that is gone."""
    if not all(file.is_file() for file in files):
        return ""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@dataclass(slots=True)
class Kept:
    """``tests`` by node id, and what killed a mutant, by what it is.

    What is known of a test counts while its file and the mutated modules are as they were; that a mutant was killed,
    while its module and the file of the test that killed it are.
    """

    tests: dict[str, Any] = field(default_factory=dict)
    verdicts: dict[str, Any] = field(default_factory=dict)
    _digests: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Kept:
        """Return what is left of earlier runs."""
        kept = cls()
        if FILE.is_file():
            stored = json.loads(FILE.read_text("utf-8"))
            kept.verdicts = stored["verdicts"]
            if stored["sources"] == _sources():
                kept.tests = {name: test for name, test in stored["tests"].items() if test["file"] == kept._file(name)}
        return kept

    def write(self) -> None:
        """Store it."""
        for name, test in self.tests.items():
            test["file"] = self._file(name)
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps({"sources": _sources(), "tests": self.tests, "verdicts": self.verdicts}), "utf-8")

    def add(self, verdict: Verdict) -> None:
        """Remember what killed a mutant."""
        if verdict.by:
            known = [verdict.by, verdict.seconds, verdict.tests, self._file(verdict.by)]
            self.verdicts[self._key(verdict.mutant)] = known

    def killed(self, mutants: Sequence[Mutant]) -> dict[Mutant, Verdict]:
        """Return those that were killed by a test that is still what it was."""
        found = {}
        for mutant in mutants:
            by, seconds, tests, file = self.verdicts.get(self._key(mutant), ("", 0.0, 0, ""))
            if by and file == self._file(by):
                found[mutant] = Verdict(mutant, by, seconds, tests)
        return found

    def _key(self, mutant: Mutant) -> str:
        source = self._of(ROOT / SOURCES / mutant.module)
        return f"{mutant.module} {source[:16]} {mutant.start} {mutant.stop} {mutant.after}"

    def _file(self, nodeid: str) -> str:
        return self._of(ROOT / nodeid.partition("::")[0])

    def _of(self, file: Path) -> str:
        if file not in self._digests:
            self._digests[file] = digest(file)
        return self._digests[file]


def _sources() -> str:
    return digest(*(ROOT / SOURCES / module for module in MODULES))
