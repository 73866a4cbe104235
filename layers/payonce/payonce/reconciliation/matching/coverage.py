"""Whether the two sides of a run were about the same thing at all. Pure.

A misspelt gateway, another account's report or ids of another kind make two breaks of each payment, and thousands of
breaks hide the one cause. It is said first, in a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

NEARLY_NOTHING_PERCENT: Final = 10  # a real report of the right account has most of its rows in the ledger


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one side, the charges and refunds of one gateway: how many there are and how many found their other.

    ``example`` is a reference as this side writes it.
    """

    source: Source
    gateway: str
    rows: int
    paired: int
    first_ms: int | None
    last_ms: int | None
    example: str | None = None


def coverage_notices(coverage: Iterable[Coverage]) -> tuple[str, ...]:
    """Return a sentence for each gateway of which (nearly) nothing could be compared, with the likely cause."""
    sides = _sides(coverage)
    ledger_only = sorted(name for name, side in sides.items() if Source.GATEWAY not in side)
    notices = []
    for gateway, side in sorted(sides.items()):
        ours, theirs = side.get(Source.LEDGER), side.get(Source.GATEWAY)
        if ours is None and theirs is not None:
            notices.append(_not_in_ledger(gateway, theirs, ledger_only))
        elif theirs is None and ours is not None and len(ledger_only) < len(sides):
            notices.append(f"No report of gateway {gateway!r} was given for {ours.rows:,} rows of the ledger.")
        elif ours is not None and theirs is not None and _hardly_any(ours, theirs):
            notices.append(
                f"Nearly nothing of gateway {gateway!r} matched: {theirs.paired:,} of {theirs.rows:,} rows of its "
                f"report, {ours.paired:,} of {ours.rows:,} of the ledger. {_cause(ours, theirs)}"
            )
    return tuple(notices)


def uncovered(coverage: Iterable[Coverage]) -> set[str]:
    """Return the gateways of which both sides have rows and hardly any found its other."""
    both = ((name, side.get(Source.LEDGER), side.get(Source.GATEWAY)) for name, side in _sides(coverage).items())
    return {name for name, ours, theirs in both if ours and theirs and _hardly_any(ours, theirs)}


def _sides(coverage: Iterable[Coverage]) -> dict[str, dict[Source, Coverage]]:
    sides: dict[str, dict[Source, Coverage]] = {}
    for one in coverage:
        if one.rows:
            sides.setdefault(one.gateway, {})[one.source] = one
    return sides


def _hardly_any(ours: Coverage, theirs: Coverage) -> bool:
    return theirs.paired * 100 < NEARLY_NOTHING_PERCENT * min(ours.rows, theirs.rows)


def _not_in_ledger(gateway: str, theirs: Coverage, ledger_only: list[str]) -> str:
    has = f"it has {', '.join(map(repr, ledger_only))} without a report" if ledger_only else "nothing of it is booked"
    cause = "the gateway's name is probably misspelt" if ledger_only else "it may be another account's report"
    return f"No ledger row is of gateway {gateway!r} ({has}): {cause}. Its {theirs.rows:,} rows were not compared."


def _cause(ours: Coverage, theirs: Coverage) -> str:
    if _later(ours, theirs) or _later(theirs, ours):
        return (
            f"They are of other days: the ledger's of {_day(ours.first_ms)} to {_day(ours.last_ms)}, the report's of "
            f"{_day(theirs.first_ms)} to {_day(theirs.last_ms)}."
        )
    if theirs.example is None:
        return "The report names no reference: run it with the columns of metadata or payment ids."
    return (
        f"The ledger names a payment like {ours.example!r}, the report like {theirs.example!r}: they are ids of "
        "another kind, or the report is another account's."
    )


def _later(one: Coverage, other: Coverage) -> bool:
    return one.first_ms is not None and other.last_ms is not None and one.first_ms > other.last_ms


def _day(at_ms: int | None) -> str:
    return datetime.fromtimestamp((at_ms or 0) / 1000, UTC).date().isoformat()
