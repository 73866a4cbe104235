"""Probable double charges: a client retried under a new idempotency key, so that the keys don't show it.

The engine groups and sorts, and returns only charges with an equal one of the same payer nearby, which are processed as
a stream. Memory is bounded by one payer's equal charges of some hours and by the breaks, whatever the period's size.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from payonce.domain.durations import SECOND_MS
from payonce.reconciliation.anomalies.calibration import (
    WINDOWS_SECONDS,
    Calibration,
    calibrate,
    pairs_per_window,
    sweep,
)
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    type Query = Callable[[str], Iterable[Sequence[Any]]]

MAX_WINDOW_MS = max(WINDOWS_SECONDS) * SECOND_MS
# Charges that name their payer, without reversals.
CHARGES = """
    SELECT merchant_id, payer, currency, amount_minor, booked_at_ms, payment_id, reference, entry_id, gateway,
        gateway_payment_id, idempotency_record_id
    FROM ledger
    WHERE state = 'booked' AND kind = 'charge' AND amount_minor > 0 AND coalesce(payer, '') <> ''
        AND reverses_entry_id IS NULL
"""
# The hash saves memory. A collision of two groups only lets more rows through to the exact comparison.
_GROUP_HASH = "hash(merchant_id, payer, currency, amount_minor)"
_ORDER = "booked_at_ms, payment_id, entry_id"
_NEAR = f"""
CREATE OR REPLACE TABLE anomalies_near AS
SELECT * EXCLUDE (before_ms, after_ms) FROM (
    SELECT
        c.*,
        booked_at_ms - lag(booked_at_ms) OVER same AS before_ms,
        lead(booked_at_ms) OVER same - booked_at_ms AS after_ms
    FROM ({CHARGES}) AS c
    WHERE {_GROUP_HASH} IN (SELECT {_GROUP_HASH} FROM ({CHARGES}) AS g GROUP BY 1 HAVING count(*) > 1)
    WINDOW same AS (PARTITION BY merchant_id, payer, currency, amount_minor ORDER BY {_ORDER})
) AS gaps
WHERE before_ms <= {MAX_WINDOW_MS} OR after_ms <= {MAX_WINDOW_MS}
"""  # noqa: S608
# Of a transaction id with several contents the smallest refund counts: the others are payload conflicts, not refunds.
_GATEWAY_REFUNDS = """
CREATE OR REPLACE TABLE anomalies_refund AS
SELECT gateway, gateway_payment_id, CAST(sum(amount_minor) AS BIGINT) AS refunds_minor
FROM (
    SELECT gateway, gateway_payment_id, max(amount_minor) AS amount_minor
    FROM gateway_row
    WHERE kind IN ('refund', 'refund_reversal')
        AND (gateway, gateway_payment_id) IN (SELECT DISTINCT gateway, gateway_payment_id FROM anomalies_near)
    GROUP BY gateway, transaction_id, gateway_payment_id
) AS refunds
GROUP BY gateway, gateway_payment_id
"""
# The rest of each payment. A refund known only to the gateway, or only to us, counts as given back.
_LEFT = """
CREATE OR REPLACE TABLE anomalies_left AS
SELECT
    p.merchant_id,
    p.payment_id,
    p.left_before_minor,
    least(p.left_minor, p.charged_minor + coalesce(r.refunds_minor, 0)) AS left_minor
FROM (
    SELECT
        merchant_id, payment_id, max(gateway) AS gateway, max(gateway_payment_id) AS gateway_payment_id,
        CAST(sum(amount_minor) AS BIGINT) AS left_minor,
        CAST(sum(CASE WHEN kind = 'charge' THEN amount_minor ELSE 0 END) AS BIGINT) AS charged_minor,
        CAST(sum(CASE WHEN booked_at_ms < {judged_from_ms} THEN amount_minor ELSE 0 END) AS BIGINT)
            AS left_before_minor
    FROM (
        SELECT DISTINCT entry_id, merchant_id, payment_id, kind, gateway, gateway_payment_id, amount_minor, booked_at_ms
        FROM ledger
        WHERE state = 'booked'
            AND (merchant_id, payment_id) IN (SELECT DISTINCT merchant_id, payment_id FROM anomalies_near)
    ) AS entries
    GROUP BY merchant_id, payment_id
) AS p
LEFT JOIN anomalies_refund AS r ON r.gateway = p.gateway AND r.gateway_payment_id = p.gateway_payment_id
"""
# Charges of the history that were given back within it, which are therefore no legitimate repeats.
_GIVEN_BACK = """
SELECT c.merchant_id, count(DISTINCT c.entry_id)
FROM ({charges}) AS c
JOIN (
    SELECT merchant_id, payment_id
    FROM (
        SELECT DISTINCT entry_id, merchant_id, payment_id, amount_minor
        FROM ledger
        WHERE state = 'booked' AND booked_at_ms < {judged_from_ms}
            AND (merchant_id, payment_id) IN (
                SELECT merchant_id, payment_id FROM ledger
                WHERE state = 'booked' AND amount_minor < 0 AND booked_at_ms < {judged_from_ms}
            )
    ) AS entries
    GROUP BY merchant_id, payment_id
    HAVING sum(amount_minor) <= 0
) AS p ON p.merchant_id = c.merchant_id AND p.payment_id = c.payment_id
WHERE c.booked_at_ms < {judged_from_ms}
GROUP BY c.merchant_id
"""
_TABLES = ("anomalies_near", "anomalies_refund", "anomalies_left")
_STREAM = """
SELECT n.*, p.left_minor
FROM anomalies_near AS n
JOIN anomalies_left AS p ON p.merchant_id = n.merchant_id AND p.payment_id = n.payment_id
WHERE {condition}
ORDER BY n.merchant_id, n.payer, n.currency, n.amount_minor, n.booked_at_ms, n.payment_id, n.entry_id
"""


class _Row(NamedTuple):
    """A charge with the rest of its payment. Its first three fields are those of ``calibration.Charge``."""

    at_ms: int
    payment_id: str
    reference: str
    merchant_id: str
    payer: str
    currency: str
    amount_minor: int
    entry_id: str
    gateway: str
    gateway_payment_id: str | None
    idempotency_record_id: str | None
    left_minor: int

    @property
    def same(self) -> tuple[str, str, str, int]:
        """Return the group key: two charges can be doubles only if it is equal."""
        return self.merchant_id, self.payer, self.currency, self.amount_minor


def find_double_charges(
    query: Query, *, judged_from_ms: int, history: Mapping[str, int]
) -> tuple[tuple[Break, ...], tuple[Calibration, ...]]:
    """Return the doubles among all charges of the period, and the windows they were judged by.

    Rows before ``judged_from_ms`` calibrate the windows, with the refunds known by then, and are judged by them too: a
    window is chosen so that few honest repeats of those days are in it, and each is somebody's money. ``history`` has
    the number of those charges of each merchant that is to be judged. The order of the rows changes nothing. A charge
    whose payment was given back in full is no double and has none.
    """
    query(_NEAR)
    query(_GATEWAY_REFUNDS)
    query(_LEFT.format(judged_from_ms=judged_from_ms))
    calibrations = _calibrations(query, judged_from_ms, history)
    breaks: list[Break] = []
    for charges in _segments(_rows(query, "p.left_minor > 0")):
        calibration = calibrations[charges[0].merchant_id]
        for first, later in (
            sweep(charges, calibration.window_seconds * SECOND_MS) if calibration.window_seconds else ()
        ):
            breaks.append(_break(first, later, calibration))
    breaks.sort(key=lambda found: found.break_id)
    return tuple(breaks), tuple(calibrations[merchant_id] for merchant_id in sorted(calibrations))


def _calibrations(query: Query, judged_from_ms: int, history: Mapping[str, int]) -> dict[str, Calibration]:
    texts = {"charges": CHARGES, "judged_from_ms": judged_from_ms}
    given_back = {str(row[0]): int(row[1]) for row in query(_GIVEN_BACK.format(**texts))}
    condition = f"n.booked_at_ms < {judged_from_ms} AND p.left_before_minor > 0"
    calibrations: dict[str, Calibration] = {}
    repeats: dict[str, Counter[int]] = {}
    for charges in _segments(_rows(query, condition)):
        repeats.setdefault(charges[0].merchant_id, Counter()).update(pairs_per_window(charges))
    for merchant_id, charges_before in history.items():
        kept = charges_before - given_back.get(merchant_id, 0)
        calibrations[merchant_id] = calibrate(merchant_id, kept, repeats.get(merchant_id, Counter()))
    return calibrations


def _rows(query: Query, condition: str) -> Iterator[_Row]:
    for merchant_id, payer, currency, amount_minor, at_ms, payment_id, reference, *rest in query(
        _STREAM.format(condition=condition)
    ):
        yield _Row(at_ms, payment_id, reference, merchant_id, payer, currency, amount_minor, *rest)


def _segments(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield segments of one payer's equal charges, split at gaps longer than any window: the next one is an anchor."""
    for _, charges in groupby(rows, key=lambda row: row.same):
        segment: list[_Row] = []
        for row in charges:
            if segment and row.at_ms - segment[-1].at_ms > MAX_WINDOW_MS:
                yield segment
                segment = []
            segment.append(row)
        yield segment


def _break(first: _Row, later: _Row, calibration: Calibration) -> Break:
    seconds = (later.at_ms - first.at_ms) // SECOND_MS
    rate = -(-calibration.upper_bound_per_10_000.numerator // calibration.upper_bound_per_10_000.denominator)
    return Break(
        break_class=BreakClass.DOUBLE_CHARGE,
        # The later payment alone, so that it is one break, whichever other payment it is compared with.
        subject=(later.merchant_id, later.payment_id),
        amount_minor=min(later.amount_minor, later.left_minor),
        currency=later.currency,
        occurred_at_ms=later.at_ms,
        merchant_id=later.merchant_id,
        payment_id=later.payment_id,
        gateway=later.gateway,
        surplus_gateway_payment_id=later.gateway_payment_id,
        evidence=(_evidence(first), _evidence(later)),
        why=(
            f"two keys charged the same payer the same amount {seconds} s apart; this merchant's window is "
            f"{calibration.window_seconds} s ({calibration.basis.value}: {calibration.pairs} such pairs in "
            f"{calibration.history_charges} earlier charges, at most {rate} per 10,000)"
        ),
    )


def _evidence(row: _Row) -> Evidence:
    return Evidence(
        source=Source.LEDGER,
        row_key=row.entry_id,
        fields={
            "payment_id": row.payment_id,
            "gateway": row.gateway,
            "reference": row.reference,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "booked_at_ms": row.at_ms,
            "gateway_payment_id": row.gateway_payment_id,
            "idempotency_record_id": row.idempotency_record_id,
        },
    )
