"""The plot of the merchants' double-charge windows: the false-positive rate of each in the merchant's own history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.extras import needs
from payonce.reconciliation.anomalies.calibration import TARGET_PER_10_000, hundredths
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.report.drawing import ROW_INCHES, WIDTH_INCHES, Plot, label, svg_of
from payonce.reconciliation.report.unusual import largest, window_text

with needs("reconcile"):
    from matplotlib.figure import Figure

if TYPE_CHECKING:
    from payonce.reconciliation.report.contents import Contents

SHOWN_UP_TO = 4 * TARGET_PER_10_000  # bars are cut here: a larger rate means no window, or little history


def windows_plot(contents: Contents) -> Plot | None:
    """Return the plot, or ``None`` if no charge names its payer."""
    anomalies = contents.result.anomalies
    if anomalies is None or not anomalies.calibrations:
        return None
    shown = largest(anomalies.calibrations)
    figure = Figure(figsize=(WIDTH_INCHES, 1.3 + ROW_INCHES * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    said = []
    for place, one in enumerate(shown):
        bound, measured = float(one.upper_bound_per_10_000), float(one.false_positives_per_10_000)
        length = min(bound, SHOWN_UP_TO)
        first = place == 0
        axes.barh(
            place, length, color="#cccccc", hatch="..", edgecolor="#333333", linewidth=0.6,
            label="at most, with 95 % certainty" if first else None,
        )  # fmt: skip
        axes.barh(
            place, min(measured, SHOWN_UP_TO), height=0.4, color="#0072b2", edgecolor="#333333", linewidth=0.6,
            label="measured in the history" if first else None,
        )  # fmt: skip
        text = f"{hundredths(one.upper_bound_per_10_000)}, window {window_text(one)}"
        label(axes, length, place, text)
        said.append(f"{one.merchant_id}: window {window_text(one)}, at most {hundredths(one.upper_bound_per_10_000)}")
    axes.axvline(TARGET_PER_10_000, color="#d55e00", linestyle="--", linewidth=1, label="the most that is accepted")
    axes.set_yticks(range(len(shown)), [plain(one.merchant_id) for one in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, SHOWN_UP_TO * 1.35)
    axes.set_xlabel("false alarms per 10,000 charges")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    title = "Double charges under two keys: each merchant's window and its false alarms"
    return Plot("windows", title, "; ".join(said) + " false alarms per 10,000 charges.", svg_of(figure, "windows"))
