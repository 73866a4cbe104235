"""What is unusual and yet no break: it asks to be looked at and moves no money."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """The name of an anomaly that is no discrepancy."""

    PAYER_BURST = "payer_burst"
    MERCHANT_BURST = "merchant_burst"
    FEE_OUTLIER = "fee_outlier"
    DELAY_OUTLIER = "delay_outlier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One anomaly. ``score`` of a burst is its probability, in parts per billion, by the merchant's history.

    Of an outlier it is the distance from the median, in thousandths of the scaled MAD. ``evidence`` are row keys.
    """

    kind: FindingKind
    subject: tuple[str, ...]
    score: int
    explanation: str
    evidence: tuple[str, ...]
