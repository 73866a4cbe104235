"""What a run found: the breaks of the rules, and the anomalies over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
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


class MatchState(StrEnum):
    """What became of a person's match in a run."""

    MATCHED = "matched"
    ACCEPTED = "accepted"
    """The amounts differ, and the person accepted it."""
    TOLERATED = "tolerated"
    """The amounts differ by no more than the policy tolerates."""
    DIFFERENT = "different"
    """The amounts differ: that is a break."""
    ROWS_MISSING = "rows_missing"
    """Not applied: the run's files lack a row of it."""
    TOLD_DIFFERENTLY = "told_differently"
    """Not applied: the files tell a row of it in two ways."""
    TOO_MANY_SIDES = "too_many_sides"
    """Not applied: its rows are of more than two of ledger, report, payouts and bank."""
    SEVERAL_CURRENCIES = "several_currencies"
    """Not applied: what rows of several currencies differ by can only be accepted."""
    CONTRADICTED = "contradicted"
    """Not applied: another match names one of its rows, too."""


SETTLED = frozenset({MatchState.MATCHED, MatchState.ACCEPTED, MatchState.TOLERATED})


@dataclass(frozen=True, slots=True)
class MatchedSum:
    """The money of a match in one currency: that of its nearer side, and what the further one has beyond it."""

    currency: str
    base_minor: int
    difference_minor: int


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What became of a person's match: ``found`` of its ``wanted`` rows are in the run's files."""

    match_id: str
    state: MatchState
    found: int
    wanted: int
    sums: tuple[MatchedSum, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What the amounts of matched rows differ by.

    ``how`` says what allows it: ``tolerated`` or ``tolerated_payout`` by the policy, or ``accepted`` by a person.
    ``row_key`` is that of the gateway's row or payout, or the id of the match; ``other_key`` that of the ledger's row.
    """

    how: str
    gateway: str | None
    currency: str
    row_key: str
    other_key: str | None
    difference_minor: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class DifferenceTotal:
    """How many matches of one gateway and currency are off, and by what together."""

    how: str
    gateway: str | None
    currency: str
    rows: int
    difference_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found. ``digest`` is the same for the same rows, in whatever order, files or engine they came.

    It is that of the rules. ``anomalies`` lie over it: their double charges are among ``breaks``, and their rows stay
    matched. ``open_items`` are the rows that are neither matched nor a break, each with its reason; ``open_totals``
    counts all of them, also where there are too many to list. ``balance`` is what moved each gateway's balance, fees
    named; ``accounts`` roll each balance and bank account from its opening to its closing. ``notices`` are what has to
    be known before anything else, a sentence each: that nothing could be compared.
    ``remarks`` say how it came to matches that rest on more than a name, and what could not be checked. ``matches`` is
    what became of people's matches, but for those that contradict each other. ``differences`` are what the amounts of
    matched rows differ by all the same; ``difference_totals`` counts all of them.
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
    matches: tuple[MatchResult, ...] = ()
    differences: tuple[Difference, ...] = ()
    difference_totals: tuple[DifferenceTotal, ...] = ()


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
