"""What people decided beforehand, as the reports show it: matches by hand, accepted differences, the policy's rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.manual import contradictions
from payonce.reconciliation.matching.run_result import MatchedSum, MatchState
from payonce.reconciliation.readers.values import EPOCH, grouped, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import RunSettings

type Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]  # title, headings, lines
NUMBERS: Final = frozenset({"rows", "matches", "amount", "difference"})
TOLERATED, TOLERATED_PAYOUT = "tolerated", "tolerated_payout"
MATCHES: Final = "Matched by hand: rows that a person says belong together"
DIFFERENCES: Final = "Accepted differences: these rows are matched, and their amounts differ by so much"


@dataclass(frozen=True, slots=True)
class Decided:
    """A match by hand and what became of it in the run; ``rows`` are those of it that the run has."""

    match_id: str
    state: MatchState
    by: str
    at_ms: int
    reason: str
    rows: int
    wanted: int
    sums: tuple[MatchedSum, ...]


def decided(settings: RunSettings, result: RunResult) -> list[Decided]:
    """Return the matches in force in the order in which they were made, those that were not applied among them."""
    became = {one.match_id: one for one in result.matches}
    contradicted = {one.match_id for one in contradictions(settings.matches)}
    found = []
    for match in sorted(settings.matches, key=lambda one: (one.at_ms, one.match_id)):
        made = became.get(match.match_id)
        missing = MatchState.CONTRADICTED if match.match_id in contradicted else MatchState.ROWS_MISSING
        found.append(
            Decided(
                match.match_id,
                missing if made is None else made.state,
                match.by,
                match.at_ms,
                match.reason,
                0 if made is None else made.found,
                len(match.rows),
                () if made is None else made.sums,
            )
        )
    return found


def tables_of(settings: RunSettings, result: RunResult) -> list[Table]:
    """Return the tables that there is something to say in, every text made plain."""
    tables: list[Table] = []
    if lines := [line for one in decided(settings, result) for line in _lines(one)]:
        tables.append((MATCHES, ("match", "became", "by", "when", "why", "rows", "", "amount", "difference"), lines))
    if result.difference_totals:
        reasons = {
            (TOLERATED_PAYOUT if one.payout else TOLERATED, one.gateway, one.currency): one.reason
            for one in settings.tolerances
        }
        accepted: list[tuple[str, ...]] = [
            (
                plain(one.gateway or "-"),
                one.currency,
                one.how.replace("_", " "),
                plain(reasons.get((one.how, one.gateway or "", one.currency), "")),
                f"{one.rows:,}",
                grouped(one.difference_minor, one.currency),
            )
            for one in result.difference_totals
        ]
        tables.append((DIFFERENCES, ("gateway", "", "how", "why", "matches", "difference"), accepted))
    return tables


def _lines(one: Decided) -> list[tuple[str, ...]]:
    when = f"{EPOCH + timedelta(milliseconds=one.at_ms):%Y-%m-%d %H:%M}"
    said = (one.match_id[:12], one.state.value.replace("_", " "), plain(one.by), when, plain(one.reason))
    rows = f"{one.rows:,}" if one.rows == one.wanted else f"{one.rows:,} of {one.wanted:,}"
    return [(*said, rows, *amounts) for amounts in _amounts(one.sums)]


def _amounts(sums: Sequence[MatchedSum]) -> list[tuple[str, str, str]]:
    told = [(s.currency, grouped(s.base_minor, s.currency), grouped(s.difference_minor, s.currency)) for s in sums]
    return told or [("", "", "")]
