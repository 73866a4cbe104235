"""Fees and settlement delays far from what is usual for their gateway and currency. Integers only."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from payonce.reconciliation.anomalies.findings import Finding, FindingKind
from payonce.reconciliation.readers.rows import GatewayRow, RowKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PPM = 1_000_000
MIN_SAMPLES = 100  # the median of fewer moves with each row
# Iglewicz and Hoaglin (1993) call a modified z-score above 3.5 an outlier; over a million rows that is too many.
MAX_SCORE_THOUSANDTHS = 10_000
MAD_TO_SIGMA_TEN_THOUSANDTHS = 14_826  # for normal data, sigma = 1.4826 MAD
MIN_FEE_MAD_PPM = 500  # a schedule without any spread must not make the rounding of one cent an outlier
MIN_DELAY_MAD_MS = 3_600_000  # payouts run in batches: an hour's difference says nothing


class _Sample(NamedTuple):
    value: int
    row_key: str
    slack: int  # what rounding to a minor unit alone explains


def median(values: list[int]) -> int:
    """Return the lower median of the values, which are not empty."""
    return sorted(values)[(len(values) - 1) // 2]


def find_outliers(
    rows: Iterable[tuple[str, GatewayRow]], *, methods: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Return the outliers among the charges of ``rows``, pairs of the gateway's name and its row.

    ``methods`` gives the payment method of a transaction id where it is known. A group of gateway, currency and method
    with less than ``MIN_SAMPLES`` rows is not judged.
    """
    fees: defaultdict[tuple[str, ...], dict[str, _Sample]] = defaultdict(dict)
    delays: defaultdict[tuple[str, ...], dict[str, _Sample]] = defaultdict(dict)
    for gateway, row in rows:
        if row.kind is not RowKind.CHARGE or row.amount_minor <= 0:
            continue
        group = (gateway, row.currency, (methods or {}).get(row.transaction_id, ""))
        key = f"{gateway}|{row.transaction_id}"
        fees[group][key] = _Sample(row.fee_minor * PPM // row.amount_minor, key, PPM // row.amount_minor + 1)
        if row.available_at_ms is not None:
            delays[group][key] = _Sample(row.available_at_ms - row.created_at_ms, key, 0)
    found = _judge(FindingKind.FEE_OUTLIER, fees, MIN_FEE_MAD_PPM, "ppm of the amount")
    found += _judge(FindingKind.DELAY_OUTLIER, delays, MIN_DELAY_MAD_MS, "ms until available")
    return tuple(sorted(found, key=lambda one: (one.kind, one.subject)))


def _judge(
    kind: FindingKind, groups: Mapping[tuple[str, ...], dict[str, _Sample]], min_mad: int, unit: str
) -> list[Finding]:
    found: list[Finding] = []
    for group, samples in groups.items():
        if len(samples) < MIN_SAMPLES:
            continue
        middle = median([sample.value for sample in samples.values()])
        mad = max(min_mad, median([abs(sample.value - middle) for sample in samples.values()]))
        for sample in samples.values():
            distance = max(0, abs(sample.value - middle) - sample.slack)
            score = distance * 10_000 * 1_000 // (mad * MAD_TO_SIGMA_TEN_THOUSANDTHS)
            if score > MAX_SCORE_THOUSANDTHS:
                text = f"{sample.value} {unit}; the median of {len(samples)} like it is {middle}, the MAD {mad}"
                subject = (*group, sample.row_key)
                found.append(
                    Finding(kind=kind, subject=subject, score=score, explanation=text, evidence=(sample.row_key,))
                )
    return found
