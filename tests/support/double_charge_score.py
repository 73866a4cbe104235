"""What the finder of double charges gets right, counted over seeds; the same for the test and the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.anomalies import anomalies_of
from tests.support.repeat_buyers import JUDGED_FROM_MS, Habit, sell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.anomalies.calibration import Calibration


@dataclass(slots=True)
class Score:
    """Counts of the judged days, over all seeds, and the calibration of the last seed."""

    planted: int = 0
    hit: int = 0
    false: int = 0
    judged: int = 0
    rows: int = 0
    last: Calibration | None = None

    @property
    def recall(self) -> float:
        return self.hit / max(1, self.planted)

    @property
    def false_per_10_000(self) -> float:
        return self.false * 10_000 / max(1, self.judged)

    def line(self, name: str) -> str:
        window = self.last.window_seconds if self.last else 0
        promised = float(self.last.upper_bound_per_10_000) if self.last else 0.0
        return (
            f"{name:<13}{window:>8}{promised:>12.2f}{self.judged:>9}{self.planted:>9}"
            f"{self.recall:>8.1%}{self.false_per_10_000:>12.2f}"
        )


HEADER = "merchant     window_s  bound/10k   judged  planted  recall   false/10k"


def score(habit: Habit, *, seeds: Iterable[int], charges: int, corrected: float = 0.9) -> Score:
    """Return what was found of ``habit``. A hit names the planted charge itself, not only its pair."""
    total = Score()
    for seed in seeds:
        sales = sell(habit, charges=charges, judged_days=20, doubles_per_10_000=8, seed=seed, corrected=corrected)
        result = anomalies_of(sales.rows, judged_from_ms=JUDGED_FROM_MS)
        # Of the days that calibrate nothing: only they tell how the window does on what it has not seen.
        fresh = [one for one in result.double_charges if one.occurred_at_ms >= JUDGED_FROM_MS]
        found = {str(one.surplus_gateway_payment_id) for one in fresh}
        total.planted += len(sales.doubles)
        total.hit += len(found & sales.doubles)
        total.false += len(found - sales.doubles)
        total.judged += sales.judged
        total.rows += len(sales.rows)
        (total.last,) = result.calibrations
    return total
