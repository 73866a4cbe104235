"""What a run made of people's decisions: each match by hand, and what the amounts of matched rows still differ by."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.matching.digest import canonical_json
from payonce.reconciliation.matching.run_result import Difference, DifferenceTotal, MatchedSum, MatchResult, MatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = Sequence[Any]
    Query = Callable[[str], Iterable[Row]]

MAX_DIFFERENCES: Final = 100_000  # of a family, in memory at once; the totals count every one
_COLUMNS: Final = "how, gateway, currency, row_key, other_key, difference_minor, at_ms"


def match_results(query: Query) -> tuple[MatchResult, ...]:
    """Return what became of each match that contradicts no other one, by its id."""
    sums: dict[str, list[MatchedSum]] = defaultdict(list)
    states: dict[str, set[str]] = defaultdict(set)
    for match_id, state, currency, base_minor, difference_minor in query(
        "SELECT match_id, state, currency, base_minor, difference_minor FROM by_hand_verdict"
    ):
        sums[match_id].append(MatchedSum(currency, int(base_minor), int(difference_minor)))
        states[match_id].add(state)
    return tuple(
        MatchResult(match_id, _state(not_applied, states[match_id]), int(found), int(wanted), _sorted(sums[match_id]))
        for match_id, not_applied, found, wanted in sorted(
            query("SELECT match_id, not_applied, found, wanted FROM by_hand_match"), key=lambda row: str(row[0])
        )
    )


def _state(not_applied: str, judged: set[str]) -> MatchState:
    """Return the state of the whole: the worst of its currencies'."""
    if not_applied:
        return MatchState(not_applied)
    order = (MatchState.DIFFERENT, MatchState.ACCEPTED, MatchState.TOLERATED, MatchState.MATCHED)
    return next(state for state in order if state.value in judged)


def _sorted(sums: list[MatchedSum]) -> tuple[MatchedSum, ...]:
    return tuple(sorted(sums, key=lambda one: one.currency))


def differences(query: Query, families: Sequence[str]) -> tuple[Difference, ...]:
    """Return the differences, the largest first, at most ``MAX_DIFFERENCES`` of a family."""
    found = [
        Difference(row[0], row[1], row[2], row[3], row[4] or None, int(row[5]), int(row[6]))
        for family in families
        for row in query(
            f"SELECT {_COLUMNS} FROM {family}_difference "  # noqa: S608
            f"ORDER BY abs(difference_minor) DESC, row_key, other_key LIMIT {MAX_DIFFERENCES}"
        )
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.difference_minor), one.row_key, one.other_key or "")))


def difference_totals(query: Query, families: Sequence[str]) -> tuple[DifferenceTotal, ...]:
    """Return number and signed sum of all differences, by what allows them, gateway and currency."""
    found = [
        DifferenceTotal(how, gateway, currency, int(rows), int(total))
        for family in families
        for how, gateway, currency, rows, total in query(
            "SELECT how, gateway, currency, count(*), sum(difference_minor) "  # noqa: S608
            f"FROM {family}_difference GROUP BY how, gateway, currency"
        )
    ]
    return tuple(sorted(found, key=lambda one: (one.how, one.gateway or "", one.currency, one.rows)))


def manual_digest(query: Query, families: Sequence[str], matches: Iterable[MatchResult]) -> str:
    """Return the digest of what people decided in the run, empty if that is nothing."""
    hashed = sum(
        int(row[0] or 0)
        for family in families
        for row in query(
            "SELECT sum(row_hash(how || '|' || row_key || '|' || other_key || '|' || "  # noqa: S608
            f"CAST(difference_minor AS VARCHAR(20)))) FROM {family}_difference"
        )
    )
    told = [
        [one.match_id, one.state.value, *([s.currency, s.base_minor, s.difference_minor] for s in one.sums)]
        for one in matches
    ]
    return hashlib.sha256(canonical_json([told, hashed])).hexdigest() if told or hashed else ""
