"""Bursts: more charges in a short time than the merchant's own history makes plausible.

A payer's charges are grouped into sessions, which end after ``SESSION_GAP_MS`` without a charge; comparing neighbours
would show only many small gaps. A merchant's charges are counted in slots, because with many payers a session of the
merchant would never end.
"""

from __future__ import annotations

from math import exp, lgamma, log
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import HOUR_MS
from payonce.reconciliation.anomalies.double_charge import CHARGES
from payonce.reconciliation.anomalies.findings import MAX_EVIDENCE_ROWS, Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    type Query = Callable[[str], Iterable[Sequence[Any]]]

SESSION_GAP_MS = 600_000  # a checkout is over after ten minutes without a charge
SLOT_MS = 600_000
PPB = 10**9
MAX_PROBABILITY_PPB = 1_000  # one in a million: with 100,000 sessions a day, one false alarm in ten days
MIN_CHARGES = 5  # fewer charges are never a burst, however improbable
MIN_HISTORY_SESSIONS = 100  # a rate from fewer sessions is too uncertain

# The charges of each payer, with whether each starts a session. ``again`` marks a duplicate row.
_MARKED = f"""
    SELECT merchant_id, payer, booked_at_ms, entry_id,
        CASE WHEN booked_at_ms - lag(booked_at_ms) OVER payers <= {SESSION_GAP_MS} THEN 0 ELSE 1 END AS starts,
        CASE WHEN lag(entry_id) OVER payers = entry_id THEN 1 ELSE 0 END AS again
    FROM ({CHARGES}) AS c
    WINDOW payers AS (PARTITION BY merchant_id, payer ORDER BY booked_at_ms, entry_id)
"""  # noqa: S608
# One pass over the period, which sums up the history per merchant.
_SUMS = f"""
    SELECT merchant_id,
        CAST(sum(CASE WHEN booked_at_ms < {{judged_from_ms}} THEN 1 ELSE 0 END) AS BIGINT),
        CAST(sum(CASE WHEN booked_at_ms < {{judged_from_ms}} THEN starts ELSE 0 END) AS BIGINT)
    FROM ({_MARKED}) AS m
    WHERE again = 0
    GROUP BY merchant_id
    ORDER BY merchant_id
"""  # noqa: S608
_FIRST_ROWS = f"list(entry_id ORDER BY booked_at_ms, entry_id)[1:{MAX_EVIDENCE_ROWS}]"
# A session that began before the judged days has the number 0 and belongs to the history.
_SESSIONS = f"""
    SELECT merchant_id, payer, min(booked_at_ms), max(booked_at_ms), count(*), {_FIRST_ROWS}
    FROM (
        SELECT *, sum(starts) OVER (
            PARTITION BY merchant_id, payer ORDER BY booked_at_ms, entry_id ROWS UNBOUNDED PRECEDING
        ) AS session
        FROM ({_MARKED}) AS m
        WHERE again = 0 AND booked_at_ms >= {{judged_from_ms}}
    ) AS numbered
    WHERE session > 0
    GROUP BY merchant_id, payer, session
    HAVING count(*) >= {MIN_CHARGES}
    ORDER BY merchant_id, payer, session
"""  # noqa: S608
_BOOKED = "state = 'booked' AND kind = 'charge' AND amount_minor > 0"
_SLOTS = f"""
    SELECT s.merchant_id, s.first_ms, s.last_ms, s.charges, h.busiest, s.first_rows
    FROM (
        SELECT merchant_id, min(booked_at_ms) AS first_ms, max(booked_at_ms) AS last_ms, count(*) AS charges,
            {_FIRST_ROWS} AS first_rows
        FROM (
            SELECT DISTINCT merchant_id, booked_at_ms, entry_id FROM ledger
            WHERE {_BOOKED} AND booked_at_ms >= {{judged_from_ms}}
        ) AS judged
        GROUP BY merchant_id, booked_at_ms // {SLOT_MS}
        HAVING count(*) >= {MIN_CHARGES}
    ) AS s
    JOIN (
        SELECT merchant_id, max(charges) AS busiest
        FROM (
            SELECT merchant_id, count(DISTINCT entry_id) AS charges FROM ledger
            WHERE {_BOOKED} AND booked_at_ms < {{judged_from_ms}}
            GROUP BY merchant_id, booked_at_ms // {HOUR_MS}
        ) AS hours
        GROUP BY merchant_id
    ) AS h ON h.merchant_id = s.merchant_id AND s.charges * {HOUR_MS} > h.busiest * {SLOT_MS}
    ORDER BY s.merchant_id, s.first_ms
"""  # noqa: S608


def poisson_tail_ppb(count: int, expected: float) -> int:
    """Return P(X >= ``count``) for X ~ Poisson(``expected``) in parts per billion, rounded."""
    if count <= 0:
        return PPB
    if expected <= 0:
        return 0
    term = exp(count * log(expected) - expected - lgamma(count + 1))
    if count <= expected:
        below = sum(exp(k * log(expected) - expected - lgamma(k + 1)) for k in range(count))
        return round(max(0.0, 1 - below) * PPB)
    total, k = 0.0, count
    while term > total * 1e-16:
        total += term
        k += 1
        term *= expected / k
    return round(min(1.0, total) * PPB)


def histories(query: Query, *, judged_from_ms: int) -> dict[str, tuple[int, int]]:
    """Return (charges, sessions) before ``judged_from_ms`` for each merchant that has charges with a payer."""
    return {str(row[0]): (int(row[1]), int(row[2])) for row in query(_SUMS.format(judged_from_ms=judged_from_ms))}


def find_bursts(query: Query, *, judged_from_ms: int, history: Mapping[str, tuple[int, int]]) -> Iterator[Finding]:
    """Yield the bursts that begin at or after ``judged_from_ms``; ``history`` is the result of ``histories``.

    A payer's session is compared with the merchant's mean number of further charges per session, a merchant's slot
    with its busiest hour. A merchant with fewer than ``MIN_HISTORY_SESSIONS`` is not judged.
    """
    known = {name: sums for name, sums in history.items() if sums[1] >= MIN_HISTORY_SESSIONS}
    for merchant_id, payer, first, last, charges, evidence in query(_SESSIONS.format(judged_from_ms=judged_from_ms)):
        if merchant_id in known:
            before, sessions = known[merchant_id]
            # Half a charge is added, because a history without repeats does not make the first one impossible.
            mean = (before - sessions + 0.5) / sessions
            subject = (merchant_id, payer)
            yield from _judged(FindingKind.PAYER_BURST, subject, charges - 1, mean, (first, last, charges, evidence))
    for merchant_id, first, last, charges, busiest, evidence in query(_SLOTS.format(judged_from_ms=judged_from_ms)):
        if merchant_id in known:
            expected = busiest * SLOT_MS / HOUR_MS
            row = (first, last, charges, evidence)
            yield from _judged(FindingKind.MERCHANT_BURST, (merchant_id,), charges, expected, row)


def _judged(
    kind: FindingKind, subject: tuple[str, ...], count: int, expected: float, row: tuple[int, int, int, Sequence[str]]
) -> Iterator[Finding]:
    first, last, charges, evidence = row
    probability = poisson_tail_ppb(count, expected)
    if probability <= MAX_PROBABILITY_PPB:
        text = (
            f"{charges} charges in {(last - first) // 1_000} s; at this merchant's own rate that has a probability of "
            f"{probability} in 1,000,000,000"
        )
        yield Finding(
            kind=kind,
            subject=subject,
            score=probability,
            explanation=text,
            at_ms=first,
            rows=charges,
            evidence=tuple(evidence),
        )
