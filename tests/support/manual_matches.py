"""Decisions that a person could make about a run's breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.reconciliation.manual import Match, RowRef
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from payonce.reconciliation.model import Break


def pairs_of(breaks: tuple[Break, ...]) -> list[Match]:
    """Return a match of each charge that one side lacks with one of the same currency that the other one lacks."""
    sides: dict[tuple[str, str], list[Break]] = {}
    for found in breaks:
        if (
            found.break_class in (BreakClass.MISSING_IN_LEDGER, BreakClass.MISSING_IN_GATEWAY)
            and len(found.evidence) == 1
        ):
            sides.setdefault((found.currency, found.break_class.value), []).append(found)
    made = []
    for (currency, name), ours in sorted(sides.items()):
        if name != BreakClass.MISSING_IN_GATEWAY.value:
            continue
        for one, other in zip(ours, sides.get((currency, BreakClass.MISSING_IN_LEDGER.value), []), strict=False):
            rows = (RowRef("ledger", one.evidence[0].row_key), RowRef("gateway", other.evidence[0].row_key))
            match_id = f"mat_{one.break_id[4:]}"
            made.append(
                Match(match_id=match_id, rows=rows, reason="x", by="operator:a", at_ms=1, accept_difference=True)
            )
    return made
