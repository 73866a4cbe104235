"""Sums over the rows that show a break. Pure.

A row may stand there with several contents, and rows may have been cut off: the difference that the rules found says
which reading of them is meant.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.matching.break_evidence import EVIDENCE_ROWS_PER_BREAK
from payonce.reconciliation.model import LedgerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from payonce.reconciliation.model import Break, Evidence, Source

MAX_READINGS: Final = 64  # more of them are read by the first content of each row


def number(row: Evidence, name: str) -> int:
    """Return the row's field, 0 where it has none."""
    value = row.fields.get(name)
    return value if isinstance(value, int) else 0


def rows_of(found: Break, source: Source, *, currency: str | None = None) -> list[Evidence]:
    """Return the break's rows of one source, those of one currency alone if it is given."""
    return [
        row
        for row in found.evidence
        if row.source is source and currency in (None, row.fields.get("currency", currency))
    ]


def readings(rows: Iterable[Evidence], amount: Callable[[Evidence], int]) -> list[int]:
    """Return what the rows can add up to: one id may stand there with several contents, of which one counts."""
    contents: dict[str, list[int]] = {}
    for row in rows:
        contents.setdefault(row.row_key, []).append(amount(row))
    if prod(len(values) for values in contents.values()) > MAX_READINGS:
        return [sum(values[0] for values in contents.values())]
    return [sum(choice) for choice in product(*contents.values())]


def chosen(
    found: Break, expected: Sequence[int], actual: Sequence[int], *, is_stake: bool = True
) -> tuple[int | None, int | None]:
    """Return the reading whose difference is what is at stake; without one the first, unless rows were cut off."""
    for pair in product(expected, actual) if is_stake else ():
        if abs(pair[1] - pair[0]) == found.amount_minor:
            return pair
    is_cut = len({(row.source, row.row_key) for row in found.evidence}) >= EVIDENCE_ROWS_PER_BREAK
    return (None, None) if is_cut or not found.evidence else (expected[0], actual[0])


def amount_of(row: Evidence) -> int:
    """Return the row's amount, in minor units of its currency."""
    return number(row, "amount_minor")


def booked_of(row: Evidence) -> int:
    """Return the row's amount, 0 for an entry of our ledger that moved no money."""
    return amount_of(row) if row.fields.get("state", LedgerState.BOOKED) == LedgerState.BOOKED else 0
