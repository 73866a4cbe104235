"""The anomalies part of the reports: the merchants' double-charge windows with their error rates, and the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from payonce.reconciliation.anomalies.calibration import TARGET_PER_10_000, Basis, hundredths
from payonce.reconciliation.anomalies.findings import FindingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.reconciliation.anomalies.calibration import Calibration
    from payonce.reconciliation.anomalies.findings import Finding
    from payonce.reconciliation.matching.run_result import RunResult

MAX_MERCHANTS = 12  # the number shown, those with the most charges first; the JSON has all
MAX_SHOWN_FINDINGS = 50
BASIS_TEXT = {
    Basis.HISTORY: "history",
    Basis.DEFAULT: "too little history",
    Basis.TOO_NOISY: "equal charges are usual here",
}
TARGET = f"{TARGET_PER_10_000} per 10,000 charges"


class WindowLine(NamedTuple):
    """The shown form of a merchant's window. Rates are per 10,000 charges."""

    merchant_id: str
    window: str
    basis: str
    history: str
    measured: str
    at_most: str


def largest(calibrations: Sequence[Calibration]) -> list[Calibration]:
    """Return the windows of the merchants shown, those with the most charges first."""
    return sorted(calibrations, key=lambda one: (-one.history_charges, one.merchant_id))[:MAX_MERCHANTS]


def window_lines(result: RunResult) -> list[WindowLine]:
    """Return a line for each merchant shown."""
    calibrations = result.anomalies.calibrations if result.anomalies else ()
    return [
        WindowLine(
            one.merchant_id,
            window_text(one),
            BASIS_TEXT[one.basis],
            f"{one.history_charges:,}",
            hundredths(one.false_positives_per_10_000),
            hundredths(one.upper_bound_per_10_000),
        )
        for one in largest(calibrations)
    ]


def window_text(one: Calibration) -> str:
    """Return the window in its largest whole unit (h, min or s)."""
    seconds = one.window_seconds
    if not seconds:
        return "none"
    if seconds % 3_600 == 0:
        return f"{seconds // 3_600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def more_merchants(result: RunResult) -> str:
    """Return a note on the merchants not shown, "" if all are shown."""
    left = len(result.anomalies.calibrations) - MAX_MERCHANTS if result.anomalies else 0
    return f"{left:,} further merchants are in the JSON." if left > 0 else ""


def found_text(result: RunResult) -> str:
    """Return a sentence that counts the bursts and outliers, "" if there are none."""
    counts = result.anomalies.counts if result.anomalies else {}
    named = [f"{counts[kind]:,} {kind.value.replace('_', ' ')}" for kind in FindingKind if counts.get(kind)]
    return f"Unusual, and no breaks: {', '.join(named)}." if named else ""


def findings_of(result: RunResult) -> tuple[Finding, ...]:
    """Return the findings shown."""
    return result.anomalies.findings[:MAX_SHOWN_FINDINGS] if result.anomalies else ()
