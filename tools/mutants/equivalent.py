"""The mutants that no test can tell from the original, each with the reason: ``equivalent.toml``, checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tools.mutants.mutations import Mutant
    from tools.mutants.trial import Verdict

TABLE: Final = Path(__file__).with_name("equivalent.toml")
FEWEST_WORDS: Final = 4  # of a reason


class EquivalentError(Exception):
    """The list does not fit the code: follow its change, or take the entry out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """Mutants of ``module`` in lines that read ``text`` (without its indentation), where ``before`` becomes ``after``.

    ``within`` names the function, for a text that stands in several of which not all are meant. ``why`` says why no
    test can tell them from the original.
    """

    module: str
    text: str
    before: str
    after: str
    why: str
    within: str = ""

    def matches(self, mutant: Mutant) -> bool:
        """Whether the entry means this mutant, which shows itself by the same words."""
        said = (self.module, self.text, (self.before, self.after))
        return (mutant.module, mutant.text, mutant.change) == said and self.within in {"", mutant.function}


def read_equivalents(path: Path = TABLE) -> list[Equivalent]:
    """Return the entries. Raises ``EquivalentError`` for a malformed one, and for one without a reason."""
    wanted = {field.name for field in fields(Equivalent)}
    found = []
    for entry in tomllib.loads(path.read_text("utf-8")).get("equivalent", []):
        if set(entry) | {"within"} != wanted or len(entry["why"].split()) < FEWEST_WORDS:
            raise EquivalentError(f"{entry}: an entry has exactly {', '.join(sorted(wanted))}, and a reason")
        found.append(Equivalent(**entry))
    return found


def check(equivalents: Iterable[Equivalent], mutants: Sequence[Mutant]) -> None:
    """Raise ``EquivalentError`` for an entry that matches no mutant of its module."""
    for entry in equivalents:
        if not any(entry.matches(mutant) for mutant in mutants):
            raise EquivalentError(
                f"equivalent.toml: {entry.module} has no mutant {entry.before!r} -> {entry.after!r} in {entry.text!r}"
            )


def refuted(equivalents: Sequence[Equivalent], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts on mutants that are listed as equivalent, and that a test tells from the original."""
    return [
        verdict for verdict in verdicts if verdict.by and any(entry.matches(verdict.mutant) for entry in equivalents)
    ]
