"""Bursts: more charges in one session than the merchant's own history makes believable.

A session ends when nothing came for ``SESSION_GAP_MS``; neighbours compared alone would see only many small gaps.
"""

from __future__ import annotations

from collections import defaultdict
from math import exp, lgamma, log
from typing import TYPE_CHECKING

from payonce.reconciliation.anomalies.findings import Finding, FindingKind
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SESSION_GAP_MS = 600_000  # a checkout that rests for ten minutes is over
HOUR_MS = 3_600_000
PPB = 10**9
MAX_PROBABILITY_PPB = 1_000  # one in a million: over 100,000 sessions a day, one false alarm in ten days
MIN_CHARGES = 5  # fewer charges are no burst, however rare
MIN_HISTORY_SESSIONS = 100  # a rate from fewer is a guess

type _Event = tuple[int, str]  # (booked_at_ms, entry_id)


def poisson_tail_ppb(count: int, expected: float) -> int:
    """Return P(X >= ``count``), X Poisson with mean ``expected``, in parts per billion, rounded."""
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


def sessions(events: Iterable[_Event]) -> list[list[_Event]]:
    """Return the events as sessions, in order of time."""
    result: list[list[_Event]] = []
    for event in sorted(events):
        if result and event[0] - result[-1][-1][0] <= SESSION_GAP_MS:
            result[-1].append(event)
        else:
            result.append([event])
    return result


def find_bursts(rows: Iterable[LedgerRow], *, judged_from_ms: int) -> tuple[Finding, ...]:
    """Return the bursts of sessions that begin at ``judged_from_ms`` or later; earlier rows are the history.

    A payer's session is compared with the mean of charges after the first per payer's session of this merchant; a
    merchant's with its busiest hour. A merchant with less than ``MIN_HISTORY_SESSIONS`` of payers is not judged.
    """
    by_payer: defaultdict[str, defaultdict[str, list[_Event]]] = defaultdict(lambda: defaultdict(list))
    by_merchant: defaultdict[str, list[_Event]] = defaultdict(list)
    for row in rows:
        if row.state is LedgerState.BOOKED and row.kind is LedgerKind.CHARGE and row.amount_minor > 0:
            event = (row.booked_at_ms, row.entry_id)
            by_merchant[row.merchant_id].append(event)
            if row.payer:
                by_payer[row.merchant_id][row.payer].append(event)
    found: list[Finding] = []
    for merchant_id, events in by_merchant.items():
        past, judged = _split(by_payer[merchant_id], judged_from_ms)
        if len(past) < MIN_HISTORY_SESSIONS:
            continue
        # Half an event more than was seen: a history without a repeat does not make the first one impossible.
        mean = (sum(len(session) - 1 for session in past) + 0.5) / len(past)
        for payer, session in judged:
            _judge(found, FindingKind.PAYER_BURST, (merchant_id, payer), session, len(session) - 1, mean)
        rate = _busiest_hour(events, judged_from_ms) / HOUR_MS
        for session in sessions(event for event in events if event[0] >= judged_from_ms):
            expected = rate * (session[-1][0] - session[0][0] + SESSION_GAP_MS)
            _judge(found, FindingKind.MERCHANT_BURST, (merchant_id,), session, len(session), expected)
    return tuple(sorted(found, key=lambda one: (one.kind, one.subject, one.evidence)))


def _split(
    payers: Mapping[str, list[_Event]], from_ms: int
) -> tuple[list[list[_Event]], list[tuple[str, list[_Event]]]]:
    """Return the sessions before ``from_ms``, cut there, and those that begin later, each with its payer."""
    past: list[list[_Event]] = []
    judged: list[tuple[str, list[_Event]]] = []
    for payer, events in payers.items():
        for session in sessions(events):
            if session[0][0] < from_ms:
                past.append([event for event in session if event[0] < from_ms])
            else:
                judged.append((payer, session))
    return past, judged


def _busiest_hour(events: list[_Event], before_ms: int) -> int:
    hours: defaultdict[int, int] = defaultdict(int)
    for at, _ in events:
        if at < before_ms:
            hours[at // HOUR_MS] += 1
    return max(hours.values())


def _judge(
    found: list[Finding],
    kind: FindingKind,
    subject: tuple[str, ...],
    session: list[_Event],
    count: int,
    expected: float,
) -> None:
    if len(session) < MIN_CHARGES:
        return
    probability = poisson_tail_ppb(count, expected)
    if probability > MAX_PROBABILITY_PPB:
        return
    seconds = (session[-1][0] - session[0][0]) // 1_000
    explanation = (
        f"{len(session)} charges in {seconds} s; at this merchant's own rate that has a probability of "
        f"{probability} in 1,000,000,000"
    )
    evidence = tuple(entry_id for _, entry_id in session)
    found.append(Finding(kind=kind, subject=subject, score=probability, explanation=explanation, evidence=evidence))
