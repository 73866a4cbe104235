"""The split into tuning and report data: constants are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, 2001 to 2030, 3001 to 3030 and 4001 to 4030, with other ranges.

Whoever draws ``REPORT`` does not read the rules, and whoever changes the rules does not draw it. A row that no row of
``TUNING`` has is a kind of trouble that nobody tuned for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Stream
from laboratory.trouble import Ranges, draw

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(5001, 5031))
TUNING_SEEDS = tuple(range(1001, 1031))

# What is promised of these rows goes back to before there were others.
FIRST = (
    "ramp", "cliff", "hang", "gray", "loss", "oscillation", "recovery", "saturating", "demand_surge", "decline_surge",
    "noisy_merchant", "diurnal",
)  # fmt: skip
WEEKS = ("diurnal", "peaks")
WEEK_SEEDS = 4  # a week takes payonce's rules five minutes to simulate, a hundred times as long as other trials

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(4, 44, (29, 50), lasting=(415, 600), median_ms=610),
    "cliff": Ranges(3, 36, (0.03, 0.19), median_ms=640),
    "hang": Ranges(2, 36, (0.42, 0.85), median_ms=640),
    "gray": Ranges(3, 36, (5.2, 10), median_ms=640),
    "loss": Ranges(2, 36, (0.21, 0.43), median_ms=640),
    "oscillation": Ranges(2, 16, (4.3, 7.5), lasting=(40, 120), median_ms=640),
    "recovery": Ranges(4, 40, (0.62, 0.97), median_ms=640),
    "saturating": Ranges(2, 36, (0.03, 0.19), median_ms=640),
    "demand_surge": Ranges(3, 26, (1.2, 1.63), median_ms=640),
    "decline_surge": Ranges(2, 36, (0.5, 0.98), median_ms=640),
    "noisy_merchant": Ranges(3, 26, (10, 10), use=0.6, median_ms=640),
    "diurnal": Ranges(2, 1.2, (1.1, 1.25), use=0.3, median_ms=640),
    # slower answers
    "late_all_2": Ranges(3, 18, (1.8, 2.3), kind="late_all", median_ms=600),
    "late_all_3": Ranges(2, 22, (2.8, 3.3), kind="late_all", median_ms=520),
    "slow_all": Ranges(3, 18, (3.3, 4.6), median_ms=560),
    "late_one": Ranges(2, 15, (1.8, 2.4), median_ms=620),
    "late_one_of_many": Ranges(4, 15, (1.9, 2.6), kind="late_one", median_ms=560),
    "late_lone": Ranges(1, 15, (1.8, 2.4), kind="late_one", median_ms=590),
    "slow_one": Ranges(3, 20, (4.2, 8), median_ms=560),
    "alone": Ranges(1, 14, (1.8, 2.3), median_ms=600),
    "several": Ranges(3, 24, (3.6, 5), use=0.4, median_ms=580),
    "late_method": Ranges(3, 18, (1.8, 2.4), median_ms=580),
    "busy": Ranges(2, 16, (1.8, 2.1), median_ms=580),
    # errors
    "unknown_4": Ranges(3, 20, (0.03, 0.05), kind="unknown", median_ms=620),
    "unknown_8": Ranges(2, 18, (0.07, 0.1), kind="unknown", median_ms=620),
    "unknown_15": Ranges(3, 22, (0.13, 0.2), kind="unknown", median_ms=620),
    "unknown_40": Ranges(2, 20, (0.37, 0.7), kind="unknown", median_ms=620),
    "unknown_method": Ranges(3, 20, (0.22, 0.6), median_ms=540),
    "unknown_ramp": Ranges(2, 20, (0.32, 0.6), median_ms=540),
    "unknown_all": Ranges(3, 20, (0.11, 0.25), median_ms=540),
    "hang_all": Ranges(3, 18, (0.08, 0.3), median_ms=540),
    "refusing": Ranges(3, 18, (0.71, 0.97), median_ms=620),
    "limiter": Ranges(3, 21, (0.2, 0.5), median_ms=620),
    # the policy starts inside the incident
    "inside_slow": Ranges(2, 18, (4.5, 9), kind="slow_one", start=(-240, -30), median_ms=640),
    "inside_unknown": Ranges(3, 20, (0.12, 0.5), kind="unknown", start=(-240, -30), median_ms=640),
    "inside_hang": Ranges(2, 18, (0.3, 0.8), kind="hang", start=(-240, -30), lasting=(400, 560), median_ms=640),
    "inside_late_all": Ranges(2, 18, (1.8, 2.3), kind="late_all", start=(-240, -30), median_ms=640),
    "inside_alone": Ranges(1, 14, (1.7, 2.2), kind="alone", start=(-60, -10), median_ms=640),
    "inside_lone_unknown": Ranges(1, 14, (0.12, 0.4), kind="unknown", start=(-240, -30), median_ms=600),
    "inside_lone_hang": Ranges(1, 14, (0.12, 0.4), kind="hang", start=(-240, -30), lasting=(400, 560), median_ms=600),
    # harmless
    "pauses": Ranges(3, 9, (1.7, 2.3), lasting=(1500, 2100), median_ms=560),
    "hiccups": Ranges(2, 10, (2.4, 3.5), lasting=(1500, 2100), median_ms=560),
    "deployments": Ranges(3, 10, (0.6, 1.0), lasting=(1500, 2100), median_ms=560),
    "pareto_quiet": Ranges(2, 18, kind="quiet", lasting=(900, 1200), tail="pareto", median_ms=560),
    "mixture_quiet": Ranges(3, 18, kind="quiet", lasting=(900, 1200), tail="mixture", median_ms=620),
    "lagging_quiet": Ranges(3, 14, kind="quiet", lasting=(900, 1200), stream=Stream(3.5, 5.0, 2.0), median_ms=620),
    # few payments
    "sparse_quiet": Ranges(2, 0.06, kind="quiet", lasting=(7200, 10800), median_ms=620),
    "sparse_hang": Ranges(3, 0.9, (0.5, 0.95), kind="hang", lasting=(900, 1500), median_ms=620),
    "sparse_unknown": Ranges(2, 0.4, (0.31, 0.7), kind="unknown", lasting=(1200, 1800), median_ms=620),
    "sparse_late": Ranges(3, 0.5, (1.8, 2.4), kind="late_one", lasting=(1200, 1800), median_ms=620),
    # uneven weights
    "uneven_hang": Ranges(2, 20, (0.35, 0.8), kind="hang", neutral=(0.9, 0.1), median_ms=540),
    "uneven_unknown": Ranges(3, 20, (0.12, 0.35), kind="unknown", neutral=(0.2, 0.7, 0.1), median_ms=540),
    "uneven_late": Ranges(2, 15, (1.8, 2.4), kind="late_one", neutral=(0.1, 0.9), median_ms=540),
    "uneven_slow": Ranges(3, 20, (4.5, 9), kind="slow_one", neutral=(0.7, 0.2, 0.1), median_ms=540),
    # the stream lags
    "lagging_hang": Ranges(3, 20, (0.35, 0.8), kind="hang", stream=Stream(2.5, 3.0, 2.0), median_ms=620),
    "lagging_slow": Ranges(2, 18, (4.5, 9), kind="slow_one", stream=Stream(6.0, 4.0, 1.5), median_ms=620),
    "lagging_pauses": Ranges(
        2, 9, (1.7, 2.3), kind="pauses", lasting=(1200, 1800), stream=Stream(3.0, 6.0, 3.0), median_ms=620
    ),
    # two troubles, other latencies
    "late_all_unknown_one": Ranges(3, 20, (1.7, 2.2), median_ms=620),
    "ramp_in_surge": Ranges(3, 18, (15, 30), median_ms=560),
    "hang_beside_late": Ranges(3, 20, (0.4, 0.8), median_ms=620),
    "handover": Ranges(3, 20, (0.4, 0.8), median_ms=560),
    "pareto_hang": Ranges(3, 20, (0.35, 0.8), kind="hang", tail="pareto", median_ms=560),
    "mixture_slow": Ranges(2, 18, (4.5, 9), kind="slow_one", tail="mixture", median_ms=560),
    "pareto_late_all": Ranges(2, 18, (1.4, 1.8), kind="late_all", tail="pareto", median_ms=480),
    "fast_and_slow_late": Ranges(2, 15, (1.6, 1.9), kind="late_one", medians=(300, 1200), median_ms=601),
    "fast_and_slow_hang": Ranges(3, 20, (0.35, 0.8), kind="hang", medians=(1200, 300, 600), median_ms=601),
    "peaks": Ranges(3, 0.8, (1.1, 1.25), use=0.3, median_ms=620),
}  # fmt: skip

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
    "late_all_2": Ranges(2, 20, (1.5, 1.75), kind="late_all", median_ms=500),
    "late_all_3": Ranges(3, 20, (2.4, 2.7), kind="late_all", median_ms=500),
    "slow_all": Ranges(2, 20, (2.9, 3.2), median_ms=500),
    "late_one": Ranges(3, 20, (1.5, 1.75), median_ms=500),
    "late_one_of_many": Ranges(3, 12, (1.6, 1.85), kind="late_one", median_ms=650),
    "late_lone": Ranges(1, 20, (1.5, 1.75), kind="late_one", median_ms=500),
    "slow_one": Ranges(2, 20, (3, 4.1), median_ms=500),
    "alone": Ranges(1, 20, (1.5, 1.7), median_ms=500),
    "several": Ranges(4, 24, (3, 3.5), use=0.35, median_ms=500),
    "late_method": Ranges(2, 20, (1.5, 1.75), median_ms=500),
    "busy": Ranges(3, 16, (1.4, 1.7), median_ms=500),
    "unknown_4": Ranges(2, 20, (0.052, 0.065), kind="unknown", median_ms=500),
    "unknown_8": Ranges(3, 20, (0.105, 0.125), kind="unknown", median_ms=500),
    "unknown_15": Ranges(2, 20, (0.21, 0.25), kind="unknown", median_ms=500),
    "unknown_40": Ranges(3, 20, (0.28, 0.36), kind="unknown", median_ms=500),
    "unknown_method": Ranges(2, 20, (0.12, 0.21), median_ms=500),
    "unknown_ramp": Ranges(3, 20, (0.2, 0.31), median_ms=500),
    "unknown_all": Ranges(2, 20, (0.05, 0.1), median_ms=500),
    "hang_all": Ranges(2, 20, (0.04, 0.07), median_ms=500),
    "refusing": Ranges(2, 20, (0.4, 0.7), median_ms=500),
    "limiter": Ranges(2, 20, (0.55, 0.8), median_ms=500),
    "inside_slow": Ranges(3, 20, (3, 4.4), kind="slow_one", start=(-120, -20), median_ms=500),
    "inside_unknown": Ranges(2, 20, (0.07, 0.115), kind="unknown", start=(-120, -20), median_ms=500),
    "inside_hang": Ranges(3, 20, (0.2, 0.29), kind="hang", start=(-120, -20), lasting=(300, 390), median_ms=500),
    "inside_late_all": Ranges(3, 20, (1.5, 1.75), kind="late_all", start=(-120, -20), median_ms=500),
    "inside_alone": Ranges(1, 20, (1.4, 1.65), kind="alone", start=(-40, -5), median_ms=500),
    "inside_lone_unknown": Ranges(1, 20, (0.05, 0.1), kind="unknown", start=(-120, -20), median_ms=500),
    "inside_lone_hang": Ranges(1, 20, (0.05, 0.1), kind="hang", start=(-120, -20), lasting=(300, 390), median_ms=500),
    "pauses": Ranges(2, 10, (1.4, 1.65), lasting=(1200, 1500), median_ms=500),
    "hiccups": Ranges(3, 10, (1.8, 2.3), lasting=(1200, 1500), median_ms=500),
    "deployments": Ranges(2, 10, (0.3, 0.55), lasting=(1200, 1500), median_ms=500),
    "pareto_quiet": Ranges(3, 20, kind="quiet", lasting=(600, 900), tail="pareto", median_ms=500),
    "mixture_quiet": Ranges(2, 20, kind="quiet", lasting=(600, 900), tail="mixture", median_ms=500),
    "lagging_quiet": Ranges(2, 20, kind="quiet", lasting=(600, 900), stream=Stream(2.0, 3.0, 1.0), median_ms=500),
    "sparse_quiet": Ranges(3, 0.12, kind="quiet", lasting=(5400, 7200), median_ms=500),
    "sparse_hang": Ranges(2, 0.6, (0.35, 0.49), kind="hang", lasting=(1200, 1500), median_ms=500),
    "sparse_unknown": Ranges(3, 0.8, (0.2, 0.3), kind="unknown", lasting=(1200, 1500), median_ms=500),
    "sparse_late": Ranges(2, 0.8, (1.5, 1.75), kind="late_one", lasting=(1200, 1500), median_ms=500),
    "uneven_hang": Ranges(3, 20, (0.2, 0.34), kind="hang", neutral=(0.75, 0.15, 0.1), median_ms=500),
    "uneven_unknown": Ranges(2, 20, (0.08, 0.11), kind="unknown", neutral=(0.8, 0.2), median_ms=500),
    "uneven_late": Ranges(3, 20, (1.5, 1.75), kind="late_one", neutral=(0.6, 0.3, 0.1), median_ms=500),
    "uneven_slow": Ranges(2, 20, (3, 4.4), kind="slow_one", neutral=(0.85, 0.15), median_ms=500),
    "lagging_hang": Ranges(2, 20, (0.2, 0.34), kind="hang", stream=Stream(1.5, 2.0, 1.0), median_ms=500),
    "lagging_slow": Ranges(3, 20, (3, 4.4), kind="slow_one", stream=Stream(4.0, 2.0, 1.0), median_ms=500),
    "lagging_pauses": Ranges(
        3, 10, (1.4, 1.65), kind="pauses", lasting=(1200, 1500), stream=Stream(2.0, 3.0, 2.0), median_ms=500
    ),
    "late_all_unknown_one": Ranges(2, 20, (1.4, 1.65), median_ms=500),
    "ramp_in_surge": Ranges(2, 18, (8, 14), median_ms=500),
    "hang_beside_late": Ranges(4, 24, (0.25, 0.38), median_ms=500),
    "handover": Ranges(4, 24, (0.25, 0.38), median_ms=500),
    "pareto_hang": Ranges(2, 20, (0.2, 0.34), kind="hang", tail="pareto", median_ms=500),
    "mixture_slow": Ranges(3, 20, (3, 4.4), kind="slow_one", tail="mixture", median_ms=500),
    "pareto_late_all": Ranges(3, 20, (1.2, 1.35), kind="late_all", tail="pareto", median_ms=500),
    "fast_and_slow_late": Ranges(3, 20, (1.3, 1.55), kind="late_one", medians=(400, 900, 600), median_ms=602),
    "fast_and_slow_hang": Ranges(2, 20, (0.2, 0.34), kind="hang", medians=(400, 1000), median_ms=602),
    "peaks": Ranges(2, 0.9, (1.26, 1.35), use=0.3, median_ms=500),
}  # fmt: skip


def scenario(group: dict[str, Ranges], name: str, seed: int) -> Scenario:
    """Return a scenario of one of the two groups, drawn by the seed."""
    return draw(name, group[name], seed)
