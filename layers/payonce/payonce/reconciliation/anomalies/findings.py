"""Findings: anomalies that are no breaks, for people to look at; they move no money. And all anomalies of a run."""

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

MAX_FINDINGS_PER_KIND = 1_000  # the most striking ones are kept; all are counted
MAX_EVIDENCE_ROWS = 8  # the earliest rows of a finding; the others can be found in the journal


class FindingKind(StrEnum):
    """The kind of an anomaly that is not a break."""

    PAYER_BURST = "payer_burst"
    MERCHANT_BURST = "merchant_burst"
    FEE_OUTLIER = "fee_outlier"
    DELAY_OUTLIER = "delay_outlier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One anomaly. ``score`` is a burst's p-value by the merchant's history, in parts per billion.

    For an outlier ``score`` is the distance from the median in thousandths of the scaled MAD. ``evidence`` holds up to
    ``MAX_EVIDENCE_ROWS`` row keys; ``at_ms`` is the time of the first row, ``rows`` the number of all.
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
    """All anomalies of a run.

    ``double_charges`` are breaks, sorted by id; ``calibrations`` are the merchants' windows by which they were judged,
    sorted by merchant. ``findings`` holds at most ``MAX_FINDINGS_PER_KIND`` per kind; ``counts`` counts all of them.
    """

    judged_from_ms: int = 0
    double_charges: tuple[Break, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    findings: tuple[Finding, ...] = ()
    counts: Mapping[FindingKind, int] = field(default_factory=lambda: MappingProxyType({}))

    def to_document(self) -> dict[str, Any]:
        """Return the anomalies as plain JSON, equal for equal rows, with the ids of the breaks."""
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
    """Return the time from which charges are judged; earlier ones are the history for calibration."""
    return settings.as_of_ms - settings.judged_days * DAY_MS
