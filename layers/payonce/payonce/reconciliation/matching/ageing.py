"""How old the breaks are: by class and currency, in the buckets in which accountants age open items. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.matching.summary import CLASS_ORDER, SEVERITIES, age_hours, is_overdue
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.model import Break
    from payonce.reconciliation.taxonomy import BreakClass

_DAYS: Final = (1, 7, 30, 60, 90)  # the last day of each bucket but the last one
BUCKETS: Final = ("up to 1 day", "2 to 7", "8 to 30", "31 to 60", "61 to 90", "over 90 days")


@dataclass(frozen=True, slots=True)
class Aged:
    """The breaks of one class and currency: number and amount at stake of each bucket, and of those overdue.

    ``break_class`` is ``None`` for all classes together.
    """

    break_class: BreakClass | None
    currency: str
    counts: tuple[int, ...]
    amounts_minor: tuple[int, ...]
    overdue: int
    overdue_minor: int


def ageing(breaks: Iterable[Break], as_of_ms: int) -> tuple[Aged, ...]:
    """Return the classes, the most severe first, then all classes of each currency together."""
    groups: dict[tuple[BreakClass | None, str], list[list[int]]] = defaultdict(
        lambda: [[0] * len(BUCKETS), [0] * len(BUCKETS), [0, 0]]
    )
    for found in breaks:
        bucket = _bucket(age_hours(found, as_of_ms))
        overdue = is_overdue(found, as_of_ms)
        for name in (found.break_class, None):
            counts, amounts, late = groups[name, found.currency]
            counts[bucket] += 1
            amounts[bucket] += found.amount_minor
            late[0] += overdue
            late[1] += found.amount_minor * overdue
    return tuple(
        Aged(name, currency, tuple(counts), tuple(amounts), *late)
        for (name, currency), (counts, amounts, late) in sorted(groups.items(), key=lambda one: _order(*one[0]))
    )


def _bucket(hours: int) -> int:
    return sum(hours > 24 * days for days in _DAYS)


def _order(name: BreakClass | None, currency: str) -> tuple[int, int, str]:
    if name is None:
        return len(SEVERITIES), 0, currency
    return SEVERITIES.index(CLASSES[name].severity), CLASS_ORDER.index(name), currency
