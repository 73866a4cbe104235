"""The rows of the exports: breaks, matches and open items as cells with a kind, alike for CSV and XLSX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.domain.durations import DAY_MS
from payonce.reconciliation.matching.comparison import compared
from payonce.reconciliation.matching.summary import age_hours, is_overdue
from payonce.reconciliation.model import Source
from payonce.reconciliation.report.drawing import words
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, TO_DO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.matching.matches import MatchedRow, MatchLine
    from payonce.reconciliation.model import Break, OpenItem, RunSettings
    from payonce.reconciliation.report.contents import Contents


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount, in minor units of its currency."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Instant:
    """A time, in epoch milliseconds."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Day:
    """A date, as days since 1970-01-01."""

    number: int


# A number is ours; a text may come from a file, and is neutralised where it is written.
Cell = str | int | Amount | Instant | Day | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to be exported: its name, its columns with a width in letters, and its rows, which may be read once."""

    name: str
    columns: tuple[tuple[str, int], ...]
    rows: Iterable[tuple[Cell, ...]]


_BREAKS: Final = (
    ("break", 20), ("class", 22), ("severity", 9), ("gateway", 12), ("about", 34), ("merchant", 16), ("payment", 20),
    ("time", 19), ("age in hours", 8), ("due within hours", 8), ("overdue", 8), ("at stake", 16), ("currency", 8),
    ("expected", 16), ("expected currency", 8), ("actual", 16), ("actual currency", 8), ("difference", 16),
    ("meaning", 40), ("why", 40), ("what to do", 50), ("to give back", 20), ("rows", 40),
)  # fmt: skip
_MATCHES: Final = (
    ("match", 9), ("by", 14), ("gateway", 12), ("ledger entry", 24), ("ledger reference", 24), ("ledger time", 19),
    ("ledger amount", 16), ("ledger currency", 8), ("gateway row", 30), ("gateway reference", 24),
    ("gateway time", 19), ("gateway amount", 16), ("gateway currency", 8), ("bank line", 20), ("bank text", 40),
    ("bank date", 12), ("bank amount", 16), ("bank currency", 8),
)  # fmt: skip
_OPEN: Final = (
    ("source", 10), ("reason", 20), ("gateway", 12), ("what it is", 50), ("row", 30), ("time", 19), ("amount", 16),
    ("currency", 8),
)  # fmt: skip


def sheets(contents: Contents, matches: Iterable[MatchLine], open_items: Iterable[OpenItem]) -> tuple[Sheet, ...]:
    """Return the three tables; ``matches`` and ``open_items`` are read while they are written."""
    settings = contents.settings
    return (
        Sheet("Breaks", _BREAKS, (_break(found, settings) for found in contents.breaks)),
        Sheet("Matches", _MATCHES, map(_match, matches)),
        Sheet("Open items", _OPEN, map(_open_item, open_items)),
    )


def _break(found: Break, settings: RunSettings) -> tuple[Cell, ...]:
    rule = CLASSES[found.break_class]
    comparison = compared(found, settings)
    return (
        found.break_id,
        words(found.break_class.value),
        rule.severity.value,
        found.gateway,
        " · ".join(found.subject),
        found.merchant_id,
        found.payment_id,
        Instant(found.occurred_at_ms),
        age_hours(found, settings.as_of_ms),
        SLA_HOURS[rule.severity],
        "yes" if is_overdue(found, settings.as_of_ms) else "no",
        Amount(found.amount_minor, found.currency),
        found.currency,
        *_money(comparison.expected_minor, comparison.expected_currency),
        *_money(comparison.actual_minor, comparison.actual_currency),
        _money(comparison.difference_minor, found.currency)[0],
        rule.meaning,
        " ".join(filter(None, (found.why, comparison.note))),
        TO_DO[found.break_class],
        found.surplus_gateway_payment_id,
        "; ".join(dict.fromkeys(f"{row.source.value} {row.row_key}" for row in found.evidence)),
    )


def _money(minor: int | None, currency: str) -> tuple[Cell, Cell]:
    return (None, None) if minor is None else (Amount(minor, currency), currency)


def _match(line: MatchLine) -> tuple[Cell, ...]:
    return (
        line.number,
        words(line.how),
        line.gateway,
        *_side(line.ledger),
        *_side(line.gateway_row),
        *_side(line.bank),
    )


def _side(row: MatchedRow | None) -> tuple[Cell, ...]:
    if row is None:
        return (None,) * 5
    at: Cell = Day(row.at_ms // DAY_MS) if row.source is Source.BANK else Instant(row.at_ms)
    return row.row_key, row.label, at, Amount(row.amount_minor, row.currency), row.currency


def _open_item(item: OpenItem) -> tuple[Cell, ...]:
    at: Cell = Instant(item.at_ms) if item.source in (Source.LEDGER, Source.GATEWAY) else Day(item.at_ms // DAY_MS)
    amount = Amount(item.amount_minor, item.currency)
    return (
        item.source.value, words(item.reason), item.gateway, item.label, item.row_key, at, amount, item.currency,
    )  # fmt: skip
