"""The split into tuning and report data: constants and coefficients are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, 2001 to 2030 and 3001 to 3030. The ranges of the second set were looked at besides
``TUNING`` while this code was changed; of the third, one trial was, and the defect it showed was repaired before these
were drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.trouble import KINDS, Ranges

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(4001, 4031))
TUNING_SEEDS = tuple(range(1001, 1031))

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(4, 56, (28, 48), lasting=(411, 580), median_ms=630),
    "cliff": Ranges(3, 38, (0.04, 0.2), median_ms=630),
    "hang": Ranges(2, 38, (0.41, 0.8), median_ms=630),
    "gray": Ranges(3, 38, (5.1, 9.6), median_ms=630),
    "loss": Ranges(2, 38, (0.2, 0.41), median_ms=630),
    "oscillation": Ranges(2, 17, (4.2, 7.2), lasting=(45, 123), median_ms=630),
    "recovery": Ranges(4, 42, (0.6, 0.96), median_ms=630),
    "saturating": Ranges(2, 38, (0.04, 0.2), median_ms=630),
    "demand_surge": Ranges(3, 27, (1.2, 1.64), median_ms=630),
    "decline_surge": Ranges(2, 38, (0.5, 0.97), median_ms=630),
    "noisy_merchant": Ranges(3, 27, (10, 10), use=0.6, median_ms=630),
    "diurnal": Ranges(2, 1.3, (1.11, 1.25), use=0.3, median_ms=630),
}

TUNING: dict[str, Ranges] = {
    "ramp": Ranges(3, 30, (16, 27), lasting=(300, 410), median_ms=700),
    "cliff": Ranges(2, 30, (0.21, 0.35), median_ms=400),
    "hang": Ranges(3, 30, (0.25, 0.39), median_ms=400),
    "gray": Ranges(2, 30, (3, 4.9), median_ms=400),
    "loss": Ranges(3, 30, (0.12, 0.19), median_ms=400),
    "oscillation": Ranges(2, 20, (3, 4.1), lasting=(125, 180), median_ms=800),
    "recovery": Ranges(2, 30, (0.4, 0.59), median_ms=400),
    "saturating": Ranges(2, 30, (0.21, 0.35), median_ms=400, use=0.5),
    "demand_surge": Ranges(2, 30, (1.65, 2.0), median_ms=400),
    "decline_surge": Ranges(3, 30, (0.3, 0.49), median_ms=400),
    "noisy_merchant": Ranges(2, 30, (8, 9), use=0.7, median_ms=400),
    "diurnal": Ranges(3, 0.9, (1.26, 1.35), use=0.3, median_ms=400),
}


def scenario(group: dict[str, Ranges], name: str, seed: int) -> Scenario:
    """Return a scenario of one of the two groups, drawn by the seed."""
    return KINDS[name](name, group[name], seed)
