"""The split into tuning and report data: constants are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, 2001 to 2030, 3001 to 3030, 4001 to 4030, 5001 to 5030 and 6001 to 6030, with other ranges.

Whoever draws ``REPORT`` does not read the rules, and whoever changes the rules does not draw it. A row that no row of
``TUNING`` has is a kind of trouble that nobody tuned for. Every row of ``TUNING`` is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Stream
from laboratory.trouble import Ranges, draw

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(7001, 7031))
TUNING_SEEDS = tuple(range(1001, 1031))

# What is promised of these rows goes back to before there were others.
FIRST = (
    "ramp", "cliff", "hang", "gray", "loss", "oscillation", "recovery", "saturating", "demand_surge", "decline_surge",
    "noisy_merchant", "diurnal",
)  # fmt: skip
WEEKS = ("diurnal", "peaks")
WEEK_SEEDS = 4  # a week takes payonce's rules five minutes to simulate, a hundred times as long as other trials

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(4, 36, (34, 72), lasting=(660, 960), median_ms=520),
    "cliff": Ranges(3, 41, (0.04, 0.18), lasting=(160, 450), median_ms=660, stream=Stream(1.0, 0.6, 0.4)),
    "hang": Ranges(5, 47, (0.12, 0.23), lasting=(220, 450), median_ms=640),
    "gray": Ranges(3, 36, (5.2, 14), lasting=(160, 450), tail="mixture", median_ms=480),
    "loss": Ranges(2, 31, (0.22, 0.52), lasting=(160, 450), median_ms=660),
    "oscillation": Ranges(4, 13, (4.3, 9), lasting=(22, 95), median_ms=640),
    "recovery": Ranges(4, 43, (0.62, 1.0), lasting=(260, 520), median_ms=640),
    "saturating": Ranges(2, 35, (0.03, 0.19), lasting=(220, 450), median_ms=660, use=0.45),
    "demand_surge": Ranges(3, 19, (2.1, 2.75), lasting=(160, 380), median_ms=560),
    "decline_surge": Ranges(5, 37, (0.55, 1.0), lasting=(220, 520), median_ms=580),
    "noisy_merchant": Ranges(3, 21, (12, 16), use=0.57, lasting=(160, 380), median_ms=620),
    "diurnal": Ranges(5, 0.85, (1.39, 1.55), use=0.29, median_ms=640),
    # slower answers
    "late_all_2": Ranges(3, 22, (1.95, 2.6), kind="late_all", lasting=(260, 660), median_ms=520),
    "late_all_3": Ranges(5, 18, (2.95, 3.8), kind="late_all", lasting=(260, 660), median_ms=420),
    "slow_all": Ranges(3, 23, (3.6, 6), lasting=(160, 450), median_ms=540),
    "late_one": Ranges(5, 29, (1.95, 2.65), lasting=(260, 660), median_ms=540),
    "late_one_of_many": Ranges(6, 13, (2.0, 2.8), kind="late_one", lasting=(260, 660), median_ms=460),
    "late_lone": Ranges(1, 6, (1.9, 2.6), kind="late_one", lasting=(260, 660), median_ms=520),
    "slow_one": Ranges(2, 19, (4.4, 11), lasting=(160, 450), median_ms=720, stream=Stream(1.5, 1.0, 0.6)),
    "alone": Ranges(1, 11, (1.85, 2.5), lasting=(260, 520), median_ms=540),
    "several": Ranges(3, 27, (3.8, 5.4), use=0.38, lasting=(160, 450), median_ms=580),
    "late_method": Ranges(3, 19, (1.9, 2.6), lasting=(260, 660), median_ms=520),
    "busy": Ranges(5, 34, (2.2, 2.6), use=0.27, lasting=(260, 660), median_ms=580),
    # errors
    "unknown_4": Ranges(3, 18, (0.026, 0.045), kind="unknown", lasting=(260, 520), median_ms=620),
    "unknown_8": Ranges(5, 28, (0.064, 0.094), kind="unknown", lasting=(220, 450), median_ms=640),
    "unknown_15": Ranges(3, 17, (0.115, 0.18), kind="unknown", lasting=(220, 450), tail="pareto", median_ms=540),
    "unknown_40": Ranges(2, 14, (0.42, 0.9), kind="unknown", lasting=(160, 450), tail="mixture", median_ms=620),
    "unknown_method": Ranges(3, 17, (0.24, 0.8), lasting=(220, 450), median_ms=560),
    "unknown_ramp": Ranges(5, 31, (0.35, 0.85), lasting=(330, 600), median_ms=580, stream=Stream(1.6, 1.0, 0.6)),
    "unknown_all": Ranges(3, 18, (0.13, 0.42), lasting=(220, 580), tail="mixture", median_ms=660),
    "hang_all": Ranges(5, 26, (0.12, 0.45), lasting=(220, 520), median_ms=580),
    "refusing": Ranges(3, 19, (0.77, 1.0), lasting=(160, 450), tail="mixture", median_ms=640),
    "limiter": Ranges(5, 31, (0.12, 0.42), lasting=(220, 520), tail="pareto", median_ms=580),
    # the policy starts inside the incident
    "inside_slow": Ranges(2, 15, (4.5, 11), kind="slow_one", start=(-500, -8), lasting=(160, 450), median_ms=620),
    "inside_unknown": Ranges(
        3, 18, (0.125, 0.65), kind="unknown", start=(-500, -8), lasting=(160, 450), tail="pareto", median_ms=600
    ),
    "inside_hang": Ranges(5, 28, (0.33, 0.97), kind="hang", start=(-500, -8), lasting=(600, 820), median_ms=620),
    "inside_late_all": Ranges(2, 16, (1.9, 2.5), kind="late_all", start=(-500, -8), lasting=(260, 660), median_ms=540),
    "inside_alone": Ranges(1, 12, (1.8, 2.45), kind="alone", start=(-130, -15), lasting=(260, 520), median_ms=550),
    "inside_lone_unknown": Ranges(
        1, 7, (0.12, 0.55), kind="unknown", start=(-500, -8), lasting=(160, 450), median_ms=580
    ),
    "inside_lone_hang": Ranges(1, 7, (0.12, 0.55), kind="hang", start=(-500, -8), lasting=(600, 820), median_ms=580),
    # harmless
    "pauses": Ranges(3, 11, (1.8, 2.6), lasting=(2300, 3200), median_ms=540),
    "hiccups": Ranges(5, 13, (2.6, 4.2), lasting=(2300, 3200), median_ms=440),
    "deployments": Ranges(5, 13, (0.72, 1.0), lasting=(2300, 3200), tail="mixture", median_ms=580),
    "pareto_quiet": Ranges(2, 17, kind="quiet", lasting=(1400, 2000), tail="pareto", median_ms=640),
    "mixture_quiet": Ranges(5, 23, kind="quiet", lasting=(1400, 2000), tail="mixture", median_ms=620),
    "lagging_quiet": Ranges(
        3, 19, kind="quiet", lasting=(1400, 2000), stream=Stream(6.0, 7.0, 3.5), tail="pareto", median_ms=600
    ),
    # few payments
    "sparse_quiet": Ranges(2, 0.06, kind="quiet", lasting=(11500, 15000), median_ms=620),
    "sparse_hang": Ranges(3, 0.5, (0.55, 1.0), kind="hang", lasting=(1700, 2600), tail="mixture", median_ms=620),
    "sparse_unknown": Ranges(5, 0.7, (0.35, 0.85), kind="unknown", lasting=(1700, 2600), median_ms=620),
    "sparse_late": Ranges(3, 0.5, (1.95, 2.6), kind="late_one", lasting=(1700, 2600), median_ms=540),
    # uneven weights
    "uneven_hang": Ranges(
        5, 29, (0.105, 0.185), kind="hang", neutral=(0.4, 0.05, 0.3, 0.15, 0.1), use=0.3, lasting=(220, 450),
        median_ms=560,
    ),
    "uneven_unknown": Ranges(
        3, 19, (0.125, 0.45), kind="unknown", neutral=(0.2, 0.65, 0.15), use=0.3, lasting=(220, 450), median_ms=640
    ),
    "uneven_late": Ranges(
        5, 27, (1.95, 2.6), kind="late_one", neutral=(0.05, 0.5, 0.1, 0.15, 0.2), use=0.28, lasting=(260, 660),
        median_ms=540,
    ),
    "uneven_slow": Ranges(
        3, 19, (4.7, 11), kind="slow_one", neutral=(0.6, 0.15, 0.25), use=0.32, lasting=(160, 450), median_ms=640
    ),
    # the stream lags
    "lagging_hang": Ranges(
        3, 19, (0.42, 0.97), kind="hang", stream=Stream(5.0, 5.0, 3.0), lasting=(160, 450), tail="mixture",
        median_ms=620,
    ),
    "lagging_slow": Ranges(
        5, 28, (4.8, 11), kind="slow_one", stream=Stream(9.0, 6.0, 2.5), lasting=(160, 450), median_ms=620
    ),
    "lagging_pauses": Ranges(
        2, 9, (1.8, 2.5), kind="pauses", lasting=(2000, 2800), stream=Stream(6.0, 8.0, 4.5), median_ms=520
    ),
    # two troubles, other latencies
    "late_all_unknown_one": Ranges(3, 18, (1.8, 2.4), lasting=(220, 520), median_ms=540),
    "ramp_in_surge": Ranges(3, 19, (18, 40), lasting=(330, 520), median_ms=580),
    "hang_beside_late": Ranges(2, 17, (0.45, 0.95), lasting=(220, 450), median_ms=620),
    "handover": Ranges(2, 18, (0.45, 0.95), lasting=(260, 520), median_ms=580, stream=Stream(1.6, 1.0, 0.6)),
    "pareto_hang": Ranges(3, 19, (0.42, 0.95), kind="hang", lasting=(160, 450), tail="pareto", median_ms=580),
    "mixture_slow": Ranges(5, 29, (4.8, 11), kind="slow_one", lasting=(160, 450), tail="mixture", median_ms=540),
    "pareto_late_all": Ranges(2, 16, (1.5, 2.1), kind="late_all", lasting=(260, 660), tail="pareto", median_ms=420),
    "fast_and_slow_late": Ranges(
        5, 26, (1.65, 2.1), kind="late_one", medians=(1050, 240, 680, 390, 520), lasting=(260, 660), median_ms=603
    ),
    "fast_and_slow_hang": Ranges(
        3, 19, (0.105, 0.185), kind="hang", medians=(240, 1200, 650), lasting=(220, 450), median_ms=603
    ),
    "peaks": Ranges(3, 0.95, (1.39, 1.55), use=0.29, median_ms=620),
    # kinds in other shops
    "uneven_slow_all": Ranges(
        4, 27, (3.6, 5.6), kind="slow_all", neutral=(0.15, 0.45, 0.3, 0.1), lasting=(160, 450), median_ms=580
    ),
    "lagging_late_all": Ranges(
        5, 23, (1.9, 2.5), kind="late_all", stream=Stream(6.0, 6.0, 3.0), lasting=(260, 660), median_ms=540
    ),
    "heavy_unknown": Ranges(2, 15, (0.125, 0.45), kind="unknown", lasting=(220, 450), tail="pareto", median_ms=620),
    "dense_alone": Ranges(1, 78, (1.85, 2.5), kind="alone", lasting=(220, 450), median_ms=540),
    "sparse_slow": Ranges(4, 0.7, (4.5, 10), kind="slow_one", lasting=(1700, 2600), median_ms=680),
    "lagging_handover": Ranges(
        3, 17, (0.45, 0.9), kind="handover", stream=Stream(5.0, 5.0, 2.5), lasting=(260, 520), median_ms=640
    ),
    # what no row of TUNING has
    "in_turn": Ranges(4, 22, (0.5, 1.0), lasting=(480, 780), median_ms=580),
    "bursts": Ranges(3, 16, (0.45, 0.95), lasting=(900, 1500), median_ms=620),
    "relapsing": Ranges(3, 17, (0.6, 1.0), lasting=(800, 1200), median_ms=560, stream=Stream(1.2, 0.8, 0.5)),
    "split_methods": Ranges(3, 21, (0.4, 0.95), lasting=(240, 480), median_ms=600),
    "unequal_unknown": Ranges(4, 23, (0.35, 0.85), lasting=(240, 520), median_ms=580),
    "creeping": Ranges(3, 9, (8, 15), kind="ramp", lasting=(3000, 3900), median_ms=560),
    "rare_hang": Ranges(3, 0.0085, (0.95, 1.0), kind="hang", lasting=(10800, 14400), median_ms=560),
    "two_of_six": Ranges(6, 32, (0.85, 1.0), kind="two_dead", lasting=(220, 480), median_ms=600),
    "cut_off": Ranges(4, 21, (0.9, 1.0), lasting=(300, 600), median_ms=580),
    "rush": Ranges(3, 9, (1.6, 2.2), lasting=(3000, 3900), use=0.28, median_ms=540),
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
