"""The split into tuning and report data: constants are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, 2001 to 2030, 3001 to 3030, 4001 to 4030, 5001 to 5030, 6001 to 6030 and 7001 to 7030,
with other ranges.

Whoever draws ``REPORT`` does not read the rules, and whoever changes the rules does not draw it. A row that no row of
``TUNING`` has is a kind of trouble that nobody tuned for. Every row of ``TUNING`` is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Stream
from laboratory.trouble import Ranges, draw

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(8001, 8031))
TUNING_SEEDS = tuple(range(1001, 1031))

# What is promised of these rows goes back to before there were others.
FIRST = (
    "ramp", "cliff", "hang", "gray", "loss", "oscillation", "recovery", "saturating", "demand_surge", "decline_surge",
    "noisy_merchant", "diurnal",
)  # fmt: skip
WEEKS = ("diurnal", "peaks")
WEEK_SEEDS = 4  # a week takes payonce's rules five minutes to simulate, a hundred times as long as other trials

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(5, 25, (29, 95), lasting=(540, 1150), median_ms=450),
    "cliff": Ranges(4, 23, (0.03, 0.2), lasting=(200, 600), median_ms=540, stream=Stream(2.0, 1.5, 0.8)),
    "hang": Ranges(4, 26, (0.11, 0.24), lasting=(180, 560), median_ms=560),
    "gray": Ranges(4, 24, (5.0, 18), lasting=(200, 560), tail="pareto", median_ms=560),
    "loss": Ranges(3, 20, (0.2, 0.6), lasting=(200, 560), median_ms=520),
    "oscillation": Ranges(3, 14, (4.2, 12), lasting=(16, 110), median_ms=520),
    "recovery": Ranges(3, 28, (0.61, 1.0), lasting=(180, 640), median_ms=480),
    "saturating": Ranges(2, 23, (0.02, 0.2), lasting=(180, 540), median_ms=540, use=0.52),
    "demand_surge": Ranges(4, 13, (2.1, 3.1), lasting=(140, 440), median_ms=480, use=0.4),
    "decline_surge": Ranges(4, 21, (0.51, 1.0), lasting=(160, 660), median_ms=680),
    "noisy_merchant": Ranges(4, 28, (13, 18), use=0.55, lasting=(140, 460), median_ms=540),
    "diurnal": Ranges(4, 0.8, (1.37, 1.6), use=0.31, median_ms=560),
    # slower answers
    "late_all_2": Ranges(4, 31, (1.85, 2.8), kind="late_all", lasting=(200, 780), median_ms=490),
    "late_all_3": Ranges(2, 13, (2.85, 3.85), kind="late_all", lasting=(200, 780), median_ms=385),
    "slow_all": Ranges(4, 34, (3.4, 7.5), lasting=(140, 540), median_ms=620),
    "late_one": Ranges(4, 17, (1.8, 2.9), lasting=(200, 780), median_ms=480),
    "late_one_of_many": Ranges(5, 21, (1.95, 3.0), kind="late_one", lasting=(200, 780), median_ms=470),
    "late_lone": Ranges(1, 9, (1.8, 2.85), kind="late_one", lasting=(200, 780), median_ms=480),
    "slow_one": Ranges(3, 31, (4.3, 15), lasting=(140, 560), median_ms=560, stream=Stream(0.9, 0.5, 0.3)),
    "alone": Ranges(1, 17, (1.76, 2.75), lasting=(200, 640), median_ms=485),
    "several": Ranges(5, 38, (3.7, 6.5), use=0.36, lasting=(140, 540), median_ms=520),
    "late_method": Ranges(5, 33, (1.8, 2.8), lasting=(200, 780), median_ms=480),
    "busy": Ranges(2, 19, (2.0, 2.7), use=0.26, lasting=(200, 780), median_ms=520),
    # errors
    "unknown_4": Ranges(4, 25, (0.023, 0.049), kind="unknown", lasting=(200, 640), median_ms=540),
    "unknown_8": Ranges(4, 21, (0.06, 0.1), kind="unknown", lasting=(180, 560), median_ms=560),
    "unknown_15": Ranges(2, 12, (0.13, 0.2), kind="unknown", lasting=(180, 560), tail="mixture", median_ms=660),
    "unknown_40": Ranges(4, 26, (0.38, 1.0), kind="unknown", lasting=(140, 560), tail="pareto", median_ms=540),
    "unknown_method": Ranges(4, 27, (0.23, 0.95), lasting=(180, 560), median_ms=640),
    "unknown_ramp": Ranges(4, 19, (0.33, 1.0), lasting=(280, 740), median_ms=510, stream=Stream(2.4, 1.5, 0.9)),
    "unknown_all": Ranges(4, 25, (0.11, 0.55), lasting=(180, 700), tail="pareto", median_ms=540),
    "hang_all": Ranges(3, 15, (0.1, 0.58), lasting=(180, 640), tail="mixture", median_ms=520),
    "refusing": Ranges(4, 26, (0.73, 1.0), lasting=(140, 560), tail="pareto", median_ms=520),
    "limiter": Ranges(3, 22, (0.08, 0.5), lasting=(180, 640), tail="mixture", median_ms=520),
    # the policy starts inside the incident
    "inside_slow": Ranges(4, 27, (4.6, 14), kind="slow_one", start=(-800, -5), lasting=(200, 560), median_ms=530),
    "inside_unknown": Ranges(
        2, 12, (0.12, 0.8), kind="unknown", start=(-720, -5), lasting=(140, 560), tail="mixture", median_ms=660
    ),
    "inside_hang": Ranges(4, 21, (0.31, 1.0), kind="hang", start=(-480, -5), lasting=(560, 960), median_ms=540),
    "inside_late_all": Ranges(4, 29, (1.8, 2.8), kind="late_all", start=(-720, -5), lasting=(200, 780), median_ms=490),
    "inside_alone": Ranges(1, 21, (1.75, 2.7), kind="alone", start=(-180, -10), lasting=(200, 640), median_ms=490),
    "inside_lone_unknown": Ranges(
        1, 11, (0.11, 0.72), kind="unknown", start=(-720, -5), lasting=(140, 560), median_ms=660
    ),
    "inside_lone_hang": Ranges(1, 10, (0.11, 0.7), kind="hang", start=(-480, -5), lasting=(560, 960), median_ms=520),
    # harmless
    "pauses": Ranges(4, 15, (1.7, 2.85), lasting=(1900, 3600), median_ms=490),
    "hiccups": Ranges(6, 9, (2.5, 4.8), lasting=(1900, 3600), median_ms=400),
    "deployments": Ranges(4, 11, (0.66, 1.0), lasting=(1900, 3600), tail="pareto", median_ms=520),
    "pareto_quiet": Ranges(5, 29, kind="quiet", lasting=(1100, 2300), tail="pareto", median_ms=540),
    "mixture_quiet": Ranges(4, 18, kind="quiet", lasting=(1100, 2400), tail="mixture", median_ms=680),
    "lagging_quiet": Ranges(
        5, 26, kind="quiet", lasting=(1100, 2300), stream=Stream(8.0, 9.0, 5.0), tail="mixture", median_ms=540
    ),
    # few payments
    "sparse_quiet": Ranges(4, 0.05, kind="quiet", lasting=(12000, 18000), median_ms=540),
    "sparse_hang": Ranges(4, 0.6, (0.51, 1.0), kind="hang", lasting=(1500, 3100), tail="pareto", median_ms=540),
    "sparse_unknown": Ranges(4, 0.5, (0.33, 0.95), kind="unknown", lasting=(1500, 3100), median_ms=540),
    "sparse_late": Ranges(4, 0.6, (1.8, 2.85), kind="late_one", lasting=(1500, 3100), median_ms=480),
    # uneven weights
    "uneven_hang": Ranges(
        4, 23, (0.1, 0.19), kind="hang", neutral=(0.3, 0.1, 0.15, 0.45), use=0.31, lasting=(180, 560), median_ms=640
    ),
    "uneven_unknown": Ranges(
        4, 26, (0.115, 0.55), kind="unknown", neutral=(0.35, 0.1, 0.5, 0.05), use=0.28, lasting=(180, 560),
        median_ms=540,
    ),
    "uneven_late": Ranges(
        3, 16, (1.8, 2.85), kind="late_one", neutral=(0.25, 0.15, 0.6), use=0.3, lasting=(200, 780), median_ms=480
    ),
    "uneven_slow": Ranges(
        5, 32, (4.6, 15), kind="slow_one", neutral=(0.15, 0.35, 0.1, 0.25, 0.15), use=0.33, lasting=(140, 560),
        median_ms=540,
    ),
    # the stream lags
    "lagging_hang": Ranges(
        4, 27, (0.38, 1.0), kind="hang", stream=Stream(7.0, 6.0, 3.5), lasting=(140, 560), tail="pareto",
        median_ms=540,
    ),
    "lagging_slow": Ranges(
        4, 21, (4.6, 15), kind="slow_one", stream=Stream(11.0, 8.0, 4.0), lasting=(140, 560), median_ms=520
    ),
    "lagging_pauses": Ranges(
        5, 13, (1.7, 2.8), kind="pauses", lasting=(1700, 3200), stream=Stream(8.0, 10.0, 5.5), median_ms=480
    ),
    # two troubles, other latencies
    "late_all_unknown_one": Ranges(5, 30, (1.72, 2.7), lasting=(180, 640), median_ms=490),
    "ramp_in_surge": Ranges(4, 28, (16, 55), lasting=(280, 640), median_ms=500),
    "hang_beside_late": Ranges(3, 22, (0.41, 1.0), lasting=(180, 560), median_ms=540),
    "handover": Ranges(3, 27, (0.41, 1.0), lasting=(200, 640), median_ms=660, stream=Stream(2.2, 1.4, 0.8)),
    "pareto_hang": Ranges(2, 14, (0.38, 1.0), kind="hang", lasting=(140, 560), tail="pareto", median_ms=660),
    "mixture_slow": Ranges(4, 20, (4.6, 15), kind="slow_one", lasting=(140, 560), tail="mixture", median_ms=620),
    "pareto_late_all": Ranges(4, 25, (1.42, 2.2), kind="late_all", lasting=(200, 780), tail="pareto", median_ms=400),
    "fast_and_slow_late": Ranges(
        4, 19, (1.65, 2.4), kind="late_one", medians=(330, 1000, 520, 760), lasting=(200, 780), median_ms=601
    ),
    "fast_and_slow_hang": Ranges(
        4, 25, (0.1, 0.19), kind="hang", medians=(820, 260, 1250, 480), lasting=(180, 560), median_ms=601
    ),
    "peaks": Ranges(4, 0.85, (1.37, 1.6), use=0.27, median_ms=540),
    # kinds in other shops
    "uneven_slow_all": Ranges(
        3, 20, (3.4, 7), kind="slow_all", neutral=(0.5, 0.2, 0.3), lasting=(140, 560), median_ms=640
    ),
    "lagging_late_all": Ranges(
        2, 14, (1.82, 2.8), kind="late_all", stream=Stream(8.0, 8.0, 4.0), lasting=(200, 780), median_ms=490
    ),
    "heavy_unknown": Ranges(3, 18, (0.115, 0.58), kind="unknown", lasting=(180, 560), tail="mixture", median_ms=540),
    "dense_alone": Ranges(1, 58, (1.75, 2.75), kind="alone", lasting=(180, 560), median_ms=490),
    "sparse_slow": Ranges(3, 0.6, (4.3, 14), kind="slow_one", lasting=(1500, 3100), median_ms=560),
    "lagging_handover": Ranges(
        2, 15, (0.41, 1.0), kind="handover", stream=Stream(7.0, 6.0, 3.5), lasting=(220, 640), median_ms=540
    ),
    # what no row of TUNING has
    "in_turn": Ranges(3, 18, (0.45, 1.0), lasting=(400, 920), median_ms=520),
    "bursts": Ranges(4, 24, (0.41, 1.0), lasting=(800, 1800), median_ms=540),
    "relapsing": Ranges(2, 13, (0.55, 1.0), lasting=(700, 1500), median_ms=640, stream=Stream(2.0, 1.2, 0.7)),
    "split_methods": Ranges(2, 17, (0.38, 1.0), lasting=(200, 620), median_ms=540),
    "unequal_unknown": Ranges(3, 16, (0.33, 0.95), lasting=(200, 640), median_ms=640),
    "creeping": Ranges(4, 10, (7.5, 20), kind="ramp", lasting=(2600, 4300), median_ms=500),
    "rare_hang": Ranges(4, 0.011, (0.9, 1.0), kind="hang", lasting=(10000, 17000), median_ms=640),
    "two_of_six": Ranges(6, 41, (0.75, 1.0), kind="two_dead", lasting=(180, 580), median_ms=540),
    "cut_off": Ranges(3, 16, (0.86, 1.0), lasting=(240, 740), median_ms=520),
    "rush": Ranges(4, 11, (1.5, 2.3), lasting=(2600, 4300), use=0.27, median_ms=560),
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
