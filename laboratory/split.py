"""The split into tuning and report data: constants are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, 2001 to 2030, 3001 to 3030, 4001 to 4030 and 5001 to 5030, with other ranges.

Whoever draws ``REPORT`` does not read the rules, and whoever changes the rules does not draw it. A row that no row of
``TUNING`` has is a kind of trouble that nobody tuned for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Stream
from laboratory.trouble import Ranges, draw

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(6001, 6031))
TUNING_SEEDS = tuple(range(1001, 1031))

# What is promised of these rows goes back to before there were others.
FIRST = (
    "ramp", "cliff", "hang", "gray", "loss", "oscillation", "recovery", "saturating", "demand_surge", "decline_surge",
    "noisy_merchant", "diurnal",
)  # fmt: skip
WEEKS = ("diurnal", "peaks")
WEEK_SEEDS = 4  # a week takes payonce's rules five minutes to simulate, a hundred times as long as other trials

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(2, 38, (32, 64), lasting=(620, 900), median_ms=560),
    "cliff": Ranges(4, 48, (0.05, 0.2), lasting=(150, 420), median_ms=720),
    "hang": Ranges(4, 42, (0.13, 0.24), lasting=(200, 420), median_ms=560),
    "gray": Ranges(4, 44, (5.5, 13), lasting=(150, 420), median_ms=560),
    "loss": Ranges(4, 42, (0.24, 0.5), lasting=(150, 420), median_ms=720),
    "oscillation": Ranges(3, 14, (4.4, 8.5), lasting=(24, 90), median_ms=720),
    "recovery": Ranges(3, 46, (0.65, 1.0), lasting=(240, 480), median_ms=560),
    "saturating": Ranges(2, 44, (0.04, 0.2), lasting=(200, 420), median_ms=560, use=0.42),
    "demand_surge": Ranges(4, 22, (2.05, 2.6), lasting=(150, 360), median_ms=720),
    "decline_surge": Ranges(4, 42, (0.6, 1.0), lasting=(200, 480), median_ms=720),
    "noisy_merchant": Ranges(4, 24, (11, 15), lasting=(150, 360), use=0.55, median_ms=720),
    "diurnal": Ranges(4, 1.0, (1.37, 1.5), use=0.28, median_ms=720),
    # slower answers
    "late_all_2": Ranges(4, 26, (1.9, 2.45), kind="late_all", lasting=(240, 600), median_ms=540),
    "late_all_3": Ranges(4, 16, (2.9, 3.6), kind="late_all", lasting=(240, 600), median_ms=460),
    "slow_all": Ranges(4, 26, (3.5, 5.5), lasting=(150, 420), median_ms=460),
    "late_one": Ranges(4, 24, (1.9, 2.5), lasting=(240, 600), median_ms=570),
    "late_one_of_many": Ranges(4, 10, (1.95, 2.7), kind="late_one", lasting=(240, 600), median_ms=480),
    "late_lone": Ranges(1, 8, (1.85, 2.5), kind="late_one", lasting=(240, 600), median_ms=550),
    "slow_one": Ranges(2, 26, (4.5, 10), lasting=(150, 420), median_ms=680, stream=Stream(1.2, 0.8, 0.5)),
    "alone": Ranges(1, 9, (1.8, 2.45), lasting=(240, 480), median_ms=560),
    "several": Ranges(4, 32, (3.7, 4.9), use=0.37, lasting=(150, 420), median_ms=540),
    "late_method": Ranges(4, 22, (1.85, 2.5), lasting=(240, 600), median_ms=540),
    "busy": Ranges(4, 40, (2.15, 2.5), use=0.28, lasting=(240, 600), median_ms=540),
    # errors
    "unknown_4": Ranges(4, 24, (0.028, 0.046), kind="unknown", lasting=(240, 480), median_ms=560),
    "unknown_8": Ranges(4, 24, (0.066, 0.095), kind="unknown", lasting=(200, 420), median_ms=560),
    "unknown_15": Ranges(2, 16, (0.12, 0.185), kind="unknown", lasting=(200, 420), tail="mixture", median_ms=560),
    "unknown_40": Ranges(4, 24, (0.4, 0.8), kind="unknown", lasting=(150, 420), tail="pareto", median_ms=560),
    "unknown_method": Ranges(4, 24, (0.25, 0.75), lasting=(200, 420), median_ms=640),
    "unknown_ramp": Ranges(4, 24, (0.35, 0.75), lasting=(310, 540), median_ms=640, stream=Stream(1.2, 0.8, 0.5)),
    "unknown_all": Ranges(4, 22, (0.12, 0.35), lasting=(200, 540), tail="pareto", median_ms=600),
    "hang_all": Ranges(4, 22, (0.1, 0.4), lasting=(200, 480), median_ms=640),
    "refusing": Ranges(4, 24, (0.75, 1.0), lasting=(150, 420), tail="pareto", median_ms=560),
    "limiter": Ranges(4, 26, (0.15, 0.45), lasting=(200, 480), tail="mixture", median_ms=560),
    # the policy starts inside the incident
    "inside_slow": Ranges(4, 24, (4.6, 10), kind="slow_one", start=(-400, -5), lasting=(150, 420), median_ms=560),
    "inside_unknown": Ranges(
        4, 24, (0.13, 0.6), kind="unknown", start=(-400, -5), lasting=(150, 420), tail="mixture", median_ms=560
    ),
    "inside_hang": Ranges(4, 24, (0.35, 0.95), kind="hang", start=(-400, -5), lasting=(570, 760), median_ms=560),
    "inside_late_all": Ranges(4, 24, (1.85, 2.4), kind="late_all", start=(-400, -5), lasting=(240, 600), median_ms=560),
    "inside_alone": Ranges(1, 10, (1.75, 2.35), kind="alone", start=(-90, -15), lasting=(240, 480), median_ms=570),
    "inside_lone_unknown": Ranges(
        1, 9, (0.13, 0.5), kind="unknown", start=(-400, -5), lasting=(150, 420), median_ms=640
    ),
    "inside_lone_hang": Ranges(1, 9, (0.13, 0.5), kind="hang", start=(-400, -5), lasting=(570, 760), median_ms=640),
    # harmless
    "pauses": Ranges(4, 12, (1.75, 2.5), lasting=(2200, 3000), median_ms=520),
    "hiccups": Ranges(4, 12, (2.5, 4.0), lasting=(2200, 3000), median_ms=460),
    "deployments": Ranges(4, 12, (0.7, 1.0), lasting=(2200, 3000), tail="mixture", median_ms=520),
    "pareto_quiet": Ranges(4, 24, kind="quiet", lasting=(1300, 1800), tail="pareto", median_ms=620),
    "mixture_quiet": Ranges(4, 24, kind="quiet", lasting=(1300, 1800), tail="mixture", median_ms=560),
    "lagging_quiet": Ranges(
        4, 22, kind="quiet", lasting=(1300, 1800), stream=Stream(5.0, 7.0, 3.0), tail="pareto", median_ms=560
    ),
    # few payments
    "sparse_quiet": Ranges(4, 0.05, kind="quiet", lasting=(11000, 14400), median_ms=560),
    "sparse_hang": Ranges(4, 0.7, (0.55, 1.0), kind="hang", lasting=(1600, 2400), tail="mixture", median_ms=560),
    "sparse_unknown": Ranges(4, 0.6, (0.35, 0.8), kind="unknown", lasting=(1600, 2400), median_ms=560),
    "sparse_late": Ranges(4, 0.6, (1.9, 2.5), kind="late_one", lasting=(1600, 2400), median_ms=560),
    # uneven weights
    "uneven_hang": Ranges(
        4, 26, (0.11, 0.19), kind="hang", neutral=(0.55, 0.25, 0.15, 0.05), use=0.3, lasting=(200, 420), median_ms=600
    ),
    "uneven_unknown": Ranges(
        4, 26, (0.13, 0.45), kind="unknown", neutral=(0.1, 0.15, 0.6, 0.15), use=0.3, lasting=(200, 420), median_ms=600
    ),
    "uneven_late": Ranges(
        4, 24, (1.9, 2.5), kind="late_one", neutral=(0.08, 0.12, 0.2, 0.6), use=0.3, lasting=(240, 600), median_ms=560
    ),
    "uneven_slow": Ranges(
        4, 26, (4.6, 10), kind="slow_one", neutral=(0.5, 0.1, 0.3, 0.1), use=0.3, lasting=(150, 420), median_ms=600
    ),
    # the stream lags
    "lagging_hang": Ranges(
        4, 24, (0.4, 0.95), kind="hang", stream=Stream(4.0, 5.0, 2.5), lasting=(150, 420), tail="mixture", median_ms=560
    ),
    "lagging_slow": Ranges(
        4, 24, (4.6, 10), kind="slow_one", stream=Stream(8.0, 6.0, 2.0), lasting=(150, 420), median_ms=560
    ),
    "lagging_pauses": Ranges(
        4, 12, (1.75, 2.4), kind="pauses", lasting=(1900, 2600), stream=Stream(5.0, 8.0, 4.0), median_ms=540
    ),
    # two troubles, other latencies
    "late_all_unknown_one": Ranges(4, 24, (1.75, 2.3), lasting=(200, 480), median_ms=560),
    "ramp_in_surge": Ranges(4, 24, (16, 36), lasting=(310, 480), median_ms=620),
    "hang_beside_late": Ranges(2, 22, (0.42, 0.9), lasting=(200, 420), median_ms=560),
    "handover": Ranges(2, 22, (0.42, 0.9), lasting=(240, 480), median_ms=640, stream=Stream(1.2, 0.8, 0.5)),
    "pareto_hang": Ranges(4, 24, (0.4, 0.9), kind="hang", lasting=(150, 420), tail="pareto", median_ms=620),
    "mixture_slow": Ranges(4, 24, (4.6, 10), kind="slow_one", lasting=(150, 420), tail="mixture", median_ms=480),
    "pareto_late_all": Ranges(4, 24, (1.45, 2.0), kind="late_all", lasting=(240, 600), tail="pareto", median_ms=440),
    "fast_and_slow_late": Ranges(
        4, 22, (1.6, 2.0), kind="late_one", medians=(280, 1100, 450, 750), lasting=(240, 600), median_ms=603
    ),
    "fast_and_slow_hang": Ranges(
        4, 24, (0.11, 0.19), kind="hang", medians=(900, 250, 1300, 500), lasting=(200, 420), median_ms=603
    ),
    "peaks": Ranges(4, 1.0, (1.37, 1.5), use=0.28, median_ms=560),
    # kinds in other shops
    "uneven_slow_all": Ranges(
        3, 26, (3.4, 5), kind="slow_all", neutral=(0.25, 0.6, 0.15), lasting=(150, 420), median_ms=540
    ),
    "lagging_late_all": Ranges(
        2, 18, (1.85, 2.4), kind="late_all", stream=Stream(5.0, 6.0, 2.5), lasting=(240, 600), median_ms=560
    ),
    "heavy_unknown": Ranges(2, 18, (0.12, 0.4), kind="unknown", lasting=(200, 420), tail="pareto", median_ms=560),
    "dense_alone": Ranges(1, 90, (1.8, 2.4), kind="alone", lasting=(200, 420), median_ms=560),
    "sparse_slow": Ranges(3, 0.6, (4.3, 9), kind="slow_one", lasting=(1600, 2400), median_ms=620),
    "lagging_handover": Ranges(
        3, 20, (0.4, 0.85), kind="handover", stream=Stream(4.0, 4.0, 2.0), lasting=(240, 480), median_ms=560
    ),
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
    "uneven_slow_all": Ranges(2, 20, (2.9, 3.2), kind="slow_all", neutral=(0.7, 0.3), median_ms=500),
    "lagging_late_all": Ranges(3, 20, (1.5, 1.75), kind="late_all", stream=Stream(2.0, 3.0, 1.0), median_ms=500),
    "heavy_unknown": Ranges(3, 20, (0.07, 0.11), kind="unknown", tail="mixture", median_ms=500),
    "dense_alone": Ranges(1, 50, (1.5, 1.7), kind="alone", median_ms=500),
    "sparse_slow": Ranges(2, 0.8, (3, 4.1), kind="slow_one", lasting=(1200, 1500), median_ms=500),
    "lagging_handover": Ranges(4, 24, (0.25, 0.38), kind="handover", stream=Stream(1.5, 2.0, 1.0), median_ms=500),
}  # fmt: skip


def scenario(group: dict[str, Ranges], name: str, seed: int) -> Scenario:
    """Return a scenario of one of the two groups, drawn by the seed."""
    return draw(name, group[name], seed)
