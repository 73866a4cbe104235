"""Which rows matched with which: of a finished run, every matched row of ledger, gateway and bank once, streamed.

Rows that matched together have one number. Nothing is held: what was settled in bulk is joined again from the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Stream = Callable[[str], Iterator[Sequence[Any]]]

# Pairs of plain groups: exactly one row of either side, equal in gateway, kind, reference, amount and currency.
_BULK: Final = """
SELECT
    'ledger' AS source, 'reference' AS how, l.entry_id AS match_key, l.entry_id AS row_key, l.gateway,
    CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END AS label, l.kind, l.currency, l.amount_minor,
    l.booked_at_ms AS at_ms, g.gateway || '|' || g.transaction_id AS other_key, g.created_at_ms AS other_ms,
    g.amount_minor AS other_minor, g.reference AS other_label
FROM ledger AS l
JOIN gateway_row AS g
    ON g.gateway = l.gateway AND g.kind = l.kind AND g.currency = l.currency AND g.amount_minor = l.amount_minor
    AND g.reference = CASE WHEN l.reference = '' THEN l.entry_id ELSE l.reference END
LEFT JOIN transactions_open AS o ON o.gateway = g.gateway AND o.base = g.kind AND o.reference = g.reference
LEFT JOIN by_hand_taken AS x ON x.source = 'ledger' AND x.row_key = l.entry_id
LEFT JOIN by_hand_taken AS y ON y.source = 'gateway' AND y.row_key = g.gateway || '|' || g.transaction_id
WHERE o.reference IS NULL AND g.kind <> 'payout' AND g.reference <> '' AND x.row_key IS NULL AND y.row_key IS NULL
ORDER BY l.booked_at_ms, l.entry_id
"""
# What people said belongs together.
_BY_HAND: Final = """
SELECT
    source, 'by hand' AS how, match_id AS match_key, row_key, gateway, label, kind, currency, amount_minor, at_ms
FROM by_hand_taken
WHERE outcome = 'matched' AND kind <> 'sum'
ORDER BY match_key, source DESC, at_ms, row_key
"""
# Whom each matched row of the finer rules is with; a row that nothing here names matched by itself.
_TOGETHER: Final = """
WITH lead AS (
    SELECT 'ledger' AS source, entry_id AS row_key, entry_id AS match_key, basis AS how FROM transactions_pair
    UNION ALL
    SELECT 'gateway', row_key, entry_id, basis FROM transactions_pair
    UNION ALL
    SELECT s.source, s.row_key, s.gateway || '|' || s.kind || '|' || s.currency || '|' || s.name, 'sum'
    FROM transactions_side AS s
    JOIN transactions_summed AS k ON k.source = s.source AND k.row_key = s.row_key
    UNION ALL
    SELECT 'gateway', row_key, gateway || '|' || ref || '|' || currency, 'dispute' FROM transactions_dispute_row
    UNION ALL
    SELECT CASE WHEN role = 'entry' THEN 'ledger' ELSE 'gateway' END, row_key,
        gateway || '|' || ref || '|' || currency, 'written_off'
    FROM transactions_written_off
    UNION ALL
    SELECT source, row_key, match_key, how FROM transactions_taken_alike WHERE source = 'ledger'
),
chosen AS (
    SELECT source, row_key, min(match_key) AS match_key, min(how) AS how FROM lead GROUP BY source, row_key
),
together AS (
    SELECT * FROM chosen
    UNION ALL
    SELECT 'gateway', t.row_key, coalesce(c.match_key, t.lead_key), coalesce(c.how, 'taken_back')
    FROM transactions_attached AS t
    LEFT JOIN chosen AS c ON c.source = 'gateway' AND c.row_key = t.lead_key
)
SELECT
    j.source, coalesce(c.how, 'by_itself') AS how, coalesce(c.match_key, a.match_key, j.row_key) AS match_key,
    j.row_key, j.row_gateway AS gateway, coalesce(g.reference, g.gateway_payment_id, j.label) AS label,
    CAST(NULL AS VARCHAR) AS kind, j.currency, j.amount_minor, j.at_ms
FROM transactions_judged AS j
LEFT JOIN together AS c ON c.source = j.source AND c.row_key = j.row_key
LEFT JOIN (SELECT DISTINCT lead_key, lead_key AS match_key FROM transactions_attached) AS a
    ON j.source = 'gateway' AND a.lead_key = j.row_key
LEFT JOIN transactions_gateway_row AS g
    ON j.source = 'gateway' AND g.row_key = j.row_key AND g.version = j.version
WHERE j.break_class = '' AND j.settled = 'matched'
ORDER BY match_key, j.source DESC, j.at_ms, j.row_key
"""
_PAYOUTS: Final = """
WITH batch AS (
    SELECT gateway, payout_id, currency, min(line_key) AS line_key FROM bank_batch GROUP BY gateway, payout_id, currency
),
line AS (
    SELECT line_key, min(match_key) AS match_key, min(label) AS label, min(gateway) AS gateway
    FROM (
        SELECT o.line_key, o.gateway || '|' || o.payout_id || '|' || o.currency AS match_key, o.payout_id AS label,
            o.gateway
        FROM bank_own AS o
        UNION ALL
        SELECT line_key, line_key, CAST(NULL AS VARCHAR), gateway FROM bank_batch
    ) AS told
    GROUP BY line_key
)
SELECT
    j.source, CASE WHEN b.line_key IS NULL THEN 'payout' ELSE 'payouts in one credit' END AS how,
    coalesce(b.line_key, p.gateway || '|' || p.payout_id || '|' || p.currency) AS match_key, j.row_key, p.gateway,
    p.payout_id AS label, 'payout' AS kind, j.currency, j.amount_minor, j.at_ms
FROM bank_judged AS j
JOIN bank_payout_row AS p ON p.row_key = j.row_key AND p.version = j.version
LEFT JOIN batch AS b ON b.gateway = p.gateway AND b.payout_id = p.payout_id AND b.currency = p.currency
WHERE j.source = 'gateway' AND j.break_class = '' AND j.settled = 'matched'
UNION ALL
SELECT
    'bank', CASE WHEN l.match_key = j.row_key THEN 'payouts in one credit' ELSE 'payout' END,
    coalesce(l.match_key, j.row_key), j.row_key, l.gateway, j.label, 'payout', j.currency, j.amount_minor, j.at_ms
FROM bank_judged AS j
LEFT JOIN line AS l ON l.line_key = j.row_key
WHERE j.source = 'bank' AND j.break_class = '' AND j.settled = 'matched'
ORDER BY match_key, source DESC, at_ms, row_key
"""


@dataclass(frozen=True, slots=True)
class MatchedRow:
    """A matched row. ``label`` is its reference or text."""

    source: Source
    row_key: str
    label: str | None
    currency: str
    amount_minor: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class MatchLine:
    """Up to one row of each source, which matched together; several lines of one ``number`` are one match.

    ``how`` says by what, ``gateway`` is the gateway that it is about.
    """

    number: int
    how: str
    gateway: str | None
    ledger: MatchedRow | None = None
    gateway_row: MatchedRow | None = None
    bank: MatchedRow | None = None


def matches_of(stream: Stream) -> Iterator[MatchLine]:
    """Yield every match of the run that was made last, in an order that the rows alone decide."""
    number = 0
    for row in stream(_BULK):
        number += 1
        ours = MatchedRow(Source.LEDGER, row[3], row[5], row[7], int(row[8]), int(row[9]))
        theirs = MatchedRow(Source.GATEWAY, row[10], row[13], row[7], int(row[12]), int(row[11]))
        yield MatchLine(number, row[1], row[4], ours, theirs)
    for text in (_BY_HAND, _TOGETHER, _PAYOUTS):
        for _, rows in groupby(stream(text), key=lambda row: row[2]):
            number += 1
            yield from _lines(number, list(rows))


def _lines(number: int, rows: Sequence[Sequence[Any]]) -> Iterator[MatchLine]:
    sides: dict[Source, list[MatchedRow]] = {source: [] for source in Source}
    for row in rows:
        one = MatchedRow(Source(row[0]), row[3], row[5], row[7], int(row[8]), int(row[9]))
        sides[one.source].append(one)
    how = next((row[1] for row in rows if row[1] != "by_itself"), "by_itself")
    gateway = next((row[4] for row in rows if row[4]), None)
    for ours, theirs, banked in zip_longest(sides[Source.LEDGER], sides[Source.GATEWAY], sides[Source.BANK]):
        yield MatchLine(number, how, gateway, ours, theirs, banked)
