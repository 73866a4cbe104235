"""What a run found: the breaks of the rules, and the anomalies over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.model import Source
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.anomalies.findings import Anomalies
    from payonce.reconciliation.matching.roll_forward import RollForward
    from payonce.reconciliation.model import BalanceMovement, Break, OpenItem, Tally


@dataclass(frozen=True, slots=True)
class OpenTotal:
    """How many rows of one source and currency are open for one reason, and their signed sum."""

    source: Source
    reason: str
    currency: str
    rows: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found. ``digest`` is the same for the same rows, in whatever order, files or engine they came.

    It is that of the rules. ``anomalies`` lie over it: their double charges are among ``breaks``, and their rows stay
    matched. ``open_items`` are the rows that are neither matched nor a break, each with its reason; ``open_totals``
    counts all of them, also where there are too many to list. ``balance`` is what moved each gateway's balance, fees
    named; ``accounts`` roll each balance and bank account from its opening to its closing. ``notices`` are what has to
    be known before anything else, a sentence each: that nothing could be compared.
    ``remarks`` say how it came to matches that rest on more than a name, and what could not be checked.
    """

    breaks: tuple[Break, ...]
    tallies: tuple[Tally, ...]
    digest: str
    rows: Mapping[Source, int] = field(default_factory=lambda: MappingProxyType({}))
    anomalies: Anomalies | None = None
    open_items: tuple[OpenItem, ...] = ()
    open_totals: tuple[OpenTotal, ...] = ()
    balance: tuple[BalanceMovement, ...] = ()
    accounts: tuple[RollForward, ...] = ()
    notices: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


# What the gateway did not do, or did once, is no second charge of the payer.
_NOT_MOVED = frozenset({BreakClass.MISSING_IN_GATEWAY, BreakClass.DUPLICATE_POSTING})


def with_anomalies(result: RunResult, anomalies: Anomalies) -> RunResult:
    """Return the result with the anomalies over it. A double charge of an entry that moved no money is left out."""
    not_moved = {
        row.row_key
        for found in result.breaks
        if found.break_class in _NOT_MOVED
        for row in found.evidence
        if row.source is Source.LEDGER
    }
    doubles = tuple(found for found in anomalies.double_charges if found.evidence[-1].row_key not in not_moved)
    return replace(
        result,
        breaks=tuple(sorted((*result.breaks, *doubles), key=lambda found: found.break_id)),
        anomalies=replace(anomalies, double_charges=doubles),
    )
