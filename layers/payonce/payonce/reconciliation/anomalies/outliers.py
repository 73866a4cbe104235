"""Outliers: fees and settlement delays far from the median of their gateway and currency. Integers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.reconciliation.anomalies.findings import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    type Query = Callable[[str], Iterable[Sequence[Any]]]

PPM = 1_000_000
MIN_SAMPLES = 100  # the median of fewer samples is unstable
# Iglewicz and Hoaglin (1993) call a modified z-score above 3.5 an outlier; in a million rows those are too many.
MAX_SCORE_THOUSANDTHS = 10_000
MAD_TO_SIGMA_TEN_THOUSANDTHS = 14_826  # for normal data, sigma = 1.4826 MAD
MIN_FEE_MAD_PPM = 500  # lower bound of the MAD, so that with constant fees the rounding of a cent is no outlier
MIN_DELAY_MAD_MS = 3_600_000  # payouts run in batches, so that a difference of an hour means nothing

_CHARGES = "kind = 'charge' AND amount_minor > 0"
# Per kind: the value, the slack that rounding to a minor unit explains, the least MAD, and the unit in the text.
_MEASURES = {
    FindingKind.FEE_OUTLIER: (
        f"fee_minor * {PPM} // amount_minor",
        f"{PPM} // amount_minor + 1",
        MIN_FEE_MAD_PPM,
        "ppm of the amount",
    ),
    FindingKind.DELAY_OUTLIER: ("available_at_ms - created_at_ms", "0", MIN_DELAY_MAD_MS, "ms until available"),
}
# quantile_disc(0.5) of an even number of values is the lower of the two in the middle. The score is compared in 128
# bits, because a delay of years in milliseconds times ten million overflows 64.
_OUTLIERS = """
    WITH samples AS (
        SELECT DISTINCT gateway, currency, transaction_id, created_at_ms, {value} AS value, {slack} AS slack
        FROM gateway_row
        WHERE {charges} AND {value} IS NOT NULL
    ), middles AS (
        SELECT gateway, currency, count(*) AS samples, quantile_disc(value, 0.5) AS middle
        FROM samples GROUP BY gateway, currency HAVING count(*) >= {min_samples}
    ), spreads AS (
        SELECT s.gateway, s.currency, greatest({min_mad}, quantile_disc(abs(s.value - m.middle), 0.5)) AS mad
        FROM samples AS s JOIN middles AS m ON m.gateway = s.gateway AND m.currency = s.currency
        GROUP BY s.gateway, s.currency
    ), scored AS (
        SELECT s.*, m.samples, m.middle, d.mad,
            CAST(greatest(0, abs(s.value - m.middle) - s.slack) AS HUGEINT) * 10000000 // (d.mad * {sigma}) AS score
        FROM samples AS s
        JOIN middles AS m ON m.gateway = s.gateway AND m.currency = s.currency
        JOIN spreads AS d ON d.gateway = s.gateway AND d.currency = s.currency
        WHERE s.created_at_ms >= {judged_from_ms}
    )
    SELECT gateway, currency, transaction_id, created_at_ms, value, samples, middle, mad, CAST(score AS BIGINT)
    FROM scored
    WHERE score > {max_score}
    ORDER BY score DESC, gateway, currency, transaction_id
"""


def find_outliers(query: Query, *, judged_from_ms: int) -> Iterator[Finding]:
    """Yield the outliers among gateways' charges at or after ``judged_from_ms``, the most distant first.

    The median is that of all charges of the period; a gateway's currency with fewer than ``MIN_SAMPLES`` is not judged.
    """
    for kind, (value, slack, min_mad, unit) in _MEASURES.items():
        text = _OUTLIERS.format(
            value=value,
            slack=slack,
            min_mad=min_mad,
            charges=_CHARGES,
            min_samples=MIN_SAMPLES,
            sigma=MAD_TO_SIGMA_TEN_THOUSANDTHS,
            judged_from_ms=judged_from_ms,
            max_score=MAX_SCORE_THOUSANDTHS,
        )
        for gateway, currency, transaction_id, at_ms, measured, samples, middle, mad, score in query(text):
            yield Finding(
                kind=kind,
                subject=(gateway, currency, transaction_id),
                score=score,
                explanation=f"{measured} {unit}; the median of {samples} like it is {middle}, the MAD {mad}",
                at_ms=at_ms,
                rows=1,
                evidence=(f"{gateway}|{transaction_id}",),
            )
