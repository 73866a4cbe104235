"""What was planted against what was found, class by class."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Collection

    from payonce.reconciliation.model import Break, Evidence
    from payonce.reconciliation.taxonomy import BreakClass
    from tests.support.reconciliation_injector.model import Case, Planted

NOTHING = "nothing"


@dataclass(slots=True)
class Scores:
    """Counts over all cases. ``confused`` counts (planted, found instead); a miss is found as ``nothing``."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    confused: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def recall(self, name: str) -> float:
        """Of what was planted, the part that was found."""
        return self.right[name] / self.planted[name] if self.planted[name] else 0.0

    def precision(self, name: str) -> float:
        """Of what was found, the part that was planted."""
        return self.right[name] / self.found[name] if self.found[name] else 0.0

    def add(self, case: Case, breaks: Collection[Break], classes: Collection[BreakClass]) -> None:
        """Judge one case. Of ``case.planted`` only ``classes`` count; each break counts."""
        by_row: dict[tuple[str, str], list[Break]] = defaultdict(list)
        for one in breaks:
            self.found[one.break_class.value] += 1
            for evidence in one.evidence:
                by_row[evidence.source.value, name_of(evidence)].append(one)
        used: set[str] = set()
        missed: list[Planted] = []
        for planted in (one for one in case.planted if one.break_class in classes):
            self.planted[planted.break_class.value] += 1
            near = [one for row in planted.rows for one in by_row[row.source.value, row.name]]
            right = next((one for one in near if one.break_id not in used and _is(planted, one)), None)
            if right is None:
                missed.append(planted)
            else:
                used.add(right.break_id)
                self.right[planted.break_class.value] += 1
        self._confusion(case, missed, [one for one in breaks if one.break_id not in used])

    def _confusion(self, case: Case, missed: list[Planted], surplus: list[Break]) -> None:
        left = {one.break_id: one for one in surplus}
        for planted in missed:
            rows = {(row.source.value, row.name) for row in planted.rows}
            instead = [
                one for one in left.values() if rows & {(seen.source.value, name_of(seen)) for seen in one.evidence}
            ]
            for one in instead:
                del left[one.break_id]
            for name in [one.break_class.value for one in instead] or [NOTHING]:
                self.confused[planted.break_class.value, name] += 1
                self.examples.append(f"seed {case.seed}: {planted.break_class} {planted.subject} found as {name}")
        for one in left.values():
            self.confused[NOTHING, one.break_class.value] += 1
            self.examples.append(f"seed {case.seed}: {one.break_class} {one.subject} where nothing was planted")


def name_of(evidence: Evidence) -> str:
    """Return the injector's name of a row: it knows no keys that are derived from a file."""
    if evidence.source is Source.BANK:
        return str(evidence.fields["description"])
    if evidence.source is Source.STATEMENT:
        return f"{evidence.fields['account']}|{evidence.fields['first_day']}"
    return evidence.row_key


def _is(planted: Planted, one: Break) -> bool:
    """Tell whether the break has the class, the subject and every row of what was planted."""
    shown = {(evidence.source.value, name_of(evidence)) for evidence in one.evidence}
    return (
        one.break_class is planted.break_class
        and one.subject[: len(planted.subject)] == planted.subject
        and {(row.source.value, row.name) for row in planted.rows} <= shown
    )


def table(scores: Scores, classes: Collection[BreakClass]) -> list[str]:
    """Return the lines of the table: a class in each, and what was taken for something else."""
    head = ("class", "planted", "found", "recall", "precision", "cross-class")
    lines = ["{:<24}{:>9}{:>9}{:>9}{:>11}{:>13}".format(*head)]
    for name in (one.value for one in classes):
        cross = sum(count for pair, count in scores.confused.items() if name in pair and NOTHING not in pair)
        numbers = (scores.planted[name], scores.found[name], scores.recall(name), scores.precision(name), cross)
        lines.append(f"{name:<24}" + "{:>9}{:>9}{:>9.4f}{:>11.4f}{:>13}".format(*numbers))
    lines += [f"{planted} found as {found}: {count}" for (planted, found), count in sorted(scores.confused.items())]
    return lines
