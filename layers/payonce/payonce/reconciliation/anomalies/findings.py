"""What is unusual and yet no break: it asks to be looked at and moves no money. And all that a run finds of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.anomalies.calibration import Calibration
    from payonce.reconciliation.model import Break, RunSettings

MAX_FINDINGS_PER_KIND = 1_000  # kept, the most striking first; all are counted
MAX_EVIDENCE_ROWS = 8  # of one finding, the earliest; a burst of thousands stays in the journal


class FindingKind(StrEnum):
    """The name of an anomaly that is no discrepancy."""

    PAYER_BURST = "payer_burst"
    MERCHANT_BURST = "merchant_burst"
    FEE_OUTLIER = "fee_outlier"
    DELAY_OUTLIER = "delay_outlier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One anomaly. ``score`` of a burst is its probability, in parts per billion, by the merchant's history.

    Of an outlier it is the distance from the median, in thousandths of the scaled MAD. ``evidence`` are up to
    ``MAX_EVIDENCE_ROWS`` row keys; ``at_ms`` is the time of the first, ``rows`` how many there are.
    """

    kind: FindingKind
    subject: tuple[str, ...]
    score: int
    explanation: str
    at_ms: int
    rows: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """What a run found beyond the rules.

    ``double_charges`` are breaks, sorted by id; ``calibrations`` the window of each merchant that they were judged by,
    sorted by merchant. ``findings`` are at most ``MAX_FINDINGS_PER_KIND`` of a kind, of ``counts`` in all.
    """

    judged_from_ms: int = 0
    double_charges: tuple[Break, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    findings: tuple[Finding, ...] = ()
    counts: Mapping[FindingKind, int] = field(default_factory=lambda: MappingProxyType({}))

    def to_document(self) -> dict[str, Any]:
        """Return it as plain JSON, canonical for the same rows; the breaks by their ids."""
        return {
            "judged_from_ms": self.judged_from_ms,
            "double_charges": [found.break_id for found in self.double_charges],
            "calibrations": [calibration.to_document() for calibration in self.calibrations],
            "counts": {kind.value: self.counts.get(kind, 0) for kind in FindingKind},
            "findings": [
                {**asdict(one), "subject": list(one.subject), "evidence": list(one.evidence)} for one in self.findings
            ],
        }


NOTHING_UNUSUAL = Anomalies()


def judged_from_ms(settings: RunSettings) -> int:
    """Return from when on charges are judged; what is earlier is the history that calibrates."""
    return settings.as_of_ms - settings.judged_days * DAY_MS
