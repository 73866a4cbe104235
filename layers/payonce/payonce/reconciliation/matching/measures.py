"""What the rules held a row of a break against, where that is no row itself: a rate, a sum, the balance before.

They are added to the row's fields, so that a break shows by how much it is off and from what, alike for every engine.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Query = Callable[[str], Iterable[Sequence[Any]]]

_MEASURES: Final = (
    (
        Source.GATEWAY,
        "measured_rate_millionths",
        "SELECT d.row_key, min(d.rate_millionths) FROM transactions_measure AS d "
        "JOIN transactions_rate_off AS o ON o.row_key = d.row_key GROUP BY d.row_key",
    ),
    (
        Source.GATEWAY,
        "members_more_minor",
        "SELECT r.row_key, max(o.more_minor) FROM bank_off AS o JOIN bank_payout_row AS r "
        "ON r.gateway = o.gateway AND r.payout_id = o.payout_id AND r.currency = o.currency "
        "WHERE r.version = 1 GROUP BY r.row_key",
    ),
    (
        # Of several predecessors the one that the stake is counted from.
        Source.STATEMENT,
        "goes_on_from_minor",
        "SELECT s.statement_key, min(t.closing_minor) FROM bank_chain AS s JOIN bank_chained AS t "
        "ON t.account = s.account AND t.currency = s.currency AND t.statement_key <> s.statement_key "
        "AND t.last_day <= s.last_day AND abs(s.opening_minor - t.closing_minor) = s.off_minor "
        "WHERE s.predecessors > 0 AND (s.is_gap = 1 OR s.goes_on = 0) GROUP BY s.statement_key",
    ),
    (
        Source.STATEMENT,
        "is_taken",
        "SELECT statement_key, CASE WHEN min(ordinal) = 1 THEN 1 ELSE 0 END FROM bank_conflict GROUP BY statement_key",
    ),
)


def measures_of(query: Query) -> dict[tuple[Source, str], dict[str, int]]:
    """Return the further fields of rows, by source and row key."""
    measures: dict[tuple[Source, str], dict[str, int]] = defaultdict(dict)
    for source, name, text in _MEASURES:
        for row_key, value in query(text):
            measures[source, row_key][name] = int(value)
    return measures
