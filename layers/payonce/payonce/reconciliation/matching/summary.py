"""What a run says at a glance: breaks by class, and the proof that no row and no cent got lost. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.durations import HOUR_MS
from payonce.reconciliation.model import Outcome, Source
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, BreakClass, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import Break, Tally

SEVERITIES = tuple(Severity)
CLASS_ORDER = tuple(BreakClass)


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The breaks of one class in one currency; ``amount_minor`` is what is at stake in them together."""

    break_class: BreakClass
    severity: Severity
    currency: str
    count: int
    amount_minor: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Conserved:
    """One (source, currency): where its rows and their signed sum ended, beside what its files hold.

    ``read_rows`` counts every row of every file, ``read_minor`` sums them. A row that came again in an overlapping
    file is one row of the run: then fewer rows ended than were read, and ``repeated`` says how many.
    """

    source: Source
    currency: str
    rows: Mapping[Outcome, int]
    amount_minor: Mapping[Outcome, int]
    read_rows: int
    read_minor: int

    @property
    def ended_rows(self) -> int:
        """Rows that ended somewhere."""
        return sum(self.rows.values())

    @property
    def ended_minor(self) -> int:
        """Their signed sum."""
        return sum(self.amount_minor.values())

    @property
    def repeated(self) -> int:
        """Rows read more than once."""
        return self.read_rows - self.ended_rows

    @property
    def holds(self) -> bool:
        """Whether all that was read ended: the same number of rows with the same sum, or fewer where some repeat."""
        if self.repeated == 0:
            return self.read_minor == self.ended_minor
        return self.repeated > 0 and self.ended_rows > 0 and self.source is not Source.LEDGER


def age_hours(found: Break, as_of_ms: int) -> int:
    """Return the whole hours from the break's latest row to the end of the run's time; 0 for one that is later."""
    return max(0, as_of_ms - found.occurred_at_ms) // HOUR_MS


def is_overdue(found: Break, as_of_ms: int) -> bool:
    """Whether somebody should have looked at it before the end of the run's time."""
    return age_hours(found, as_of_ms) > SLA_HOURS[CLASSES[found.break_class].severity]


def urgent_first(found: Break) -> tuple[int, int, int, str]:
    """Sort key: severity, then class, then the larger amount, then the id. Amounts of two currencies don't compare."""
    rule = CLASSES[found.break_class]
    order = CLASS_ORDER.index(found.break_class)
    return SEVERITIES.index(rule.severity), order, -found.amount_minor, found.break_id


def by_class(breaks: Iterable[Break], as_of_ms: int) -> tuple[ClassSummary, ...]:
    """Return one summary per class and currency, the most severe first."""
    groups: dict[tuple[BreakClass, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for found in breaks:
        group = groups[found.break_class, found.currency]
        group[0] += 1
        group[1] += found.amount_minor
        group[2] += is_overdue(found, as_of_ms)
    summaries = [
        ClassSummary(name, CLASSES[name].severity, currency, *numbers) for (name, currency), numbers in groups.items()
    ]
    return tuple(
        sorted(
            summaries,
            key=lambda one: (SEVERITIES.index(one.severity), CLASS_ORDER.index(one.break_class), one.currency),
        )
    )


def conservation(tallies: Iterable[Tally], read: Mapping[tuple[Source, str], tuple[int, int]]) -> tuple[Conserved, ...]:
    """Return the proof per source and currency. ``read`` are rows and signed sum as the readers counted them."""
    rows: dict[tuple[Source, str], dict[Outcome, int]] = {key: dict.fromkeys(Outcome, 0) for key in read}
    sums: dict[tuple[Source, str], dict[Outcome, int]] = {key: dict.fromkeys(Outcome, 0) for key in read}
    for tally in tallies:
        key = (tally.source, tally.currency)
        rows.setdefault(key, dict.fromkeys(Outcome, 0))[tally.outcome] += tally.rows
        sums.setdefault(key, dict.fromkeys(Outcome, 0))[tally.outcome] += tally.amount_minor
    order = tuple(Source)
    proof = []
    for source, currency in sorted(rows, key=lambda key: (order.index(key[0]), key[1])):
        ended = (sum(rows[source, currency].values()), sum(sums[source, currency].values()))
        # Statements are made from their lines by the engine, which proves them; no reader counts them.
        counted = ended if source is Source.STATEMENT else read.get((source, currency), (0, 0))
        proof.append(Conserved(source, currency, rows[source, currency], sums[source, currency], *counted))
    return tuple(proof)


def verdict(result: RunResult, proof: Iterable[Conserved]) -> str:
    """Return the run in one sentence."""
    if not all(one.holds for one in proof):
        return "Conservation failed: rows or money got lost in the run. Nothing of it can be trusted."
    count = len(result.breaks)
    if result.notices:
        return f"Not everything could be compared: {result.notices[0]} {count:,} break{'' if count == 1 else 's'}."
    if not count:
        return "No breaks: every row is matched or an open item with its reason."
    return f"{count:,} break{'' if count == 1 else 's'}: each needs somebody, or a correction."
