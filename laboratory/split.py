"""The split into tuning and report data: constants are tuned on other seeds and ranges than reported.

``TUNING`` is for development, during which ``REPORT`` is not looked at. Once reported, results are known and could
influence tuning. So ``REPORT`` is drawn anew before the code changes after a report, with ranges at least as hard.
Earlier seeds were 1 to 30, and the first 30 of each thousand from 2001 to 8001 (2001 to 2030 and so on), with other
ranges; and 9001 to 9012 with today's, on which a report came before the rules of ADR 57. Today's seeds were not looked
at before them.

Whoever draws ``REPORT`` does not read the rules, and whoever changes the rules does not draw it. A row that no row of
``TUNING`` has is a kind of trouble that nobody tuned for. Every row of ``TUNING`` is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Stream
from laboratory.trouble import Ranges, draw

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

REPORT_SEEDS = tuple(range(9013, 9043))
TUNING_SEEDS = tuple(range(1001, 1031))

# What is promised of these rows goes back to before there were others.
FIRST = (
    "ramp", "cliff", "hang", "gray", "loss", "oscillation", "recovery", "saturating", "demand_surge", "decline_surge",
    "noisy_merchant", "diurnal",
)  # fmt: skip
WEEKS = ("diurnal", "peaks")
WEEK_SEEDS = 4  # a week takes payonce's rules five minutes to simulate, a hundred times as long as other trials

REPORT: dict[str, Ranges] = {
    "ramp": Ranges(6, 40, (31, 88), lasting=(580, 1240), median_ms=510),
    "cliff": Ranges(5, 31, (0.02, 0.16), lasting=(170, 520), median_ms=470, stream=Stream(1.6, 1.1, 0.6)),
    "hang": Ranges(2, 17, (0.1, 0.23), lasting=(210, 640), median_ms=610),
    "gray": Ranges(3, 19, (5.6, 16), lasting=(230, 640), tail="pareto", median_ms=490),
    "loss": Ranges(2, 15, (0.28, 0.57), lasting=(160, 480), median_ms=580),
    "oscillation": Ranges(4, 19, (4.5, 10), lasting=(22, 95), median_ms=450),
    "recovery": Ranges(4, 34, (0.66, 0.97), lasting=(210, 720), median_ms=530),
    "saturating": Ranges(3, 32, (0.03, 0.17), lasting=(210, 620), median_ms=590, use=0.55),
    "demand_surge": Ranges(3, 10, (2.25, 3.4), lasting=(160, 400), median_ms=530, use=0.37),
    "decline_surge": Ranges(5, 27, (0.56, 0.97), lasting=(190, 740), median_ms=590),
    "noisy_merchant": Ranges(3, 22, (12, 17), use=0.6, lasting=(170, 520), median_ms=460),
    "diurnal": Ranges(5, 0.75, (1.39, 1.64), use=0.29, median_ms=590),
    # slower answers
    "late_all_2": Ranges(3, 23, (1.9, 2.65), kind="late_all", lasting=(240, 860), median_ms=520),
    "late_all_3": Ranges(5, 28, (2.75, 3.6), kind="late_all", lasting=(230, 700), median_ms=410),
    "slow_all": Ranges(3, 26, (3.5, 5.9), lasting=(170, 600), median_ms=470),
    "late_one": Ranges(5, 24, (1.85, 2.75), lasting=(230, 860), median_ms=510),
    "late_one_of_many": Ranges(6, 29, (2.0, 2.85), kind="late_one", lasting=(230, 860), median_ms=430),
    "late_lone": Ranges(1, 13, (1.85, 2.7), kind="late_one", lasting=(240, 700), median_ms=450),
    "slow_one": Ranges(4, 37, (4.6, 13), lasting=(170, 620), median_ms=480, stream=Stream(1.2, 0.8, 0.4)),
    "alone": Ranges(1, 22, (1.82, 2.65), lasting=(230, 720), median_ms=450),
    "several": Ranges(4, 29, (3.8, 7.0), use=0.34, lasting=(160, 480), median_ms=570),
    "late_method": Ranges(3, 21, (1.9, 2.7), lasting=(240, 860), median_ms=510),
    "busy": Ranges(4, 26, (1.9, 2.55), use=0.27, lasting=(240, 860), median_ms=470),
    # errors
    "unknown_4": Ranges(5, 32, (0.02, 0.046), kind="unknown", lasting=(230, 720), median_ms=480),
    "unknown_8": Ranges(2, 17, (0.067, 0.102), kind="unknown", lasting=(210, 620), median_ms=620),
    "unknown_15": Ranges(4, 29, (0.14, 0.205), kind="unknown", lasting=(210, 620), tail="mixture", median_ms=570),
    "unknown_40": Ranges(3, 16, (0.4, 0.96), kind="unknown", lasting=(170, 620), tail="pareto", median_ms=470),
    "unknown_method": Ranges(3, 22, (0.26, 0.9), lasting=(210, 620), median_ms=570),
    "unknown_ramp": Ranges(5, 27, (0.37, 0.94), lasting=(320, 820), median_ms=570, stream=Stream(1.9, 1.2, 0.7)),
    "unknown_all": Ranges(3, 19, (0.125, 0.5), lasting=(210, 640), tail="pareto", median_ms=480),
    "hang_all": Ranges(4, 23, (0.09, 0.52), lasting=(160, 560), tail="mixture", median_ms=460),
    "refusing": Ranges(3, 19, (0.77, 0.99), lasting=(170, 620), tail="pareto", median_ms=460),
    "limiter": Ranges(4, 37, (0.12, 0.47), lasting=(210, 700), tail="mixture", median_ms=470),
    # the policy starts inside the incident
    "inside_slow": Ranges(5, 34, (4.8, 12), kind="slow_one", start=(-650, -8), lasting=(230, 640), median_ms=470),
    "inside_unknown": Ranges(
        4, 25, (0.135, 0.74), kind="unknown", start=(-900, -8), lasting=(170, 640), tail="mixture", median_ms=570
    ),
    "inside_hang": Ranges(3, 16, (0.34, 0.95), kind="hang", start=(-420, -8), lasting=(500, 880), median_ms=590),
    "inside_late_all": Ranges(
        5, 36, (1.85, 2.65), kind="late_all", start=(-600, -8), lasting=(230, 860), median_ms=520
    ),
    "inside_alone": Ranges(1, 26, (1.8, 2.6), kind="alone", start=(-150, -14), lasting=(230, 720), median_ms=460),
    "inside_lone_unknown": Ranges(
        1, 15, (0.125, 0.66), kind="unknown", start=(-560, -8), lasting=(170, 640), median_ms=570
    ),
    "inside_lone_hang": Ranges(1, 14, (0.12, 0.64), kind="hang", start=(-420, -8), lasting=(500, 880), median_ms=580),
    # harmless
    "pauses": Ranges(5, 20, (1.75, 2.7), lasting=(2100, 3900), median_ms=520),
    "hiccups": Ranges(4, 12, (2.6, 4.5), lasting=(2100, 3900), median_ms=430),
    "deployments": Ranges(5, 15, (0.62, 0.97), lasting=(2100, 3900), tail="pareto", median_ms=460),
    "pareto_quiet": Ranges(4, 22, kind="quiet", lasting=(1300, 2600), tail="pareto", median_ms=490),
    "mixture_quiet": Ranges(5, 24, kind="quiet", lasting=(1300, 2600), tail="mixture", median_ms=610),
    "lagging_quiet": Ranges(
        3, 17, kind="quiet", lasting=(1300, 2600), stream=Stream(6.5, 11.0, 4.0), tail="mixture", median_ms=480
    ),
    # few payments
    "sparse_quiet": Ranges(5, 0.065, kind="quiet", lasting=(10500, 16500), median_ms=480),
    "sparse_hang": Ranges(3, 0.45, (0.53, 0.97), kind="hang", lasting=(1700, 3400), tail="pareto", median_ms=480),
    "sparse_unknown": Ranges(5, 0.65, (0.36, 0.9), kind="unknown", lasting=(1700, 3400), median_ms=480),
    "sparse_late": Ranges(3, 0.5, (1.85, 2.7), kind="late_one", lasting=(1700, 3400), median_ms=520),
    # uneven weights
    "uneven_hang": Ranges(
        5, 30, (0.37, 0.75), kind="hang", neutral=(0.1, 0.25, 0.4, 0.05, 0.2), use=0.29, lasting=(160, 480),
        median_ms=570,
    ),
    "uneven_unknown": Ranges(
        3, 18, (0.13, 0.5), kind="unknown", neutral=(0.15, 0.55, 0.3), use=0.3, lasting=(210, 640), median_ms=600
    ),
    "uneven_late": Ranges(
        4, 22, (1.85, 2.7), kind="late_one", neutral=(0.45, 0.1, 0.2, 0.25), use=0.27, lasting=(230, 860),
        median_ms=510,
    ),
    "uneven_slow": Ranges(
        4, 26, (4.8, 13), kind="slow_one", neutral=(0.2, 0.1, 0.4, 0.3), use=0.31, lasting=(170, 620), median_ms=590
    ),
    # the stream lags
    "lagging_hang": Ranges(
        3, 19, (0.41, 0.95), kind="hang", stream=Stream(9.0, 4.5, 4.5), lasting=(170, 620), tail="pareto",
        median_ms=470,
    ),
    "lagging_slow": Ranges(
        5, 28, (4.8, 13), kind="slow_one", stream=Stream(8.5, 10.0, 5.0), lasting=(180, 620), median_ms=470
    ),
    "lagging_pauses": Ranges(
        4, 17, (1.75, 2.65), kind="pauses", lasting=(1900, 3500), stream=Stream(9.5, 8.0, 4.0), median_ms=530
    ),
    # two troubles, other latencies
    "late_all_unknown_one": Ranges(4, 22, (1.76, 2.6), lasting=(210, 720), median_ms=520),
    "ramp_in_surge": Ranges(5, 37, (18, 48), lasting=(310, 720), median_ms=460),
    "hang_beside_late": Ranges(5, 31, (0.43, 0.96), lasting=(210, 640), median_ms=470),
    "handover": Ranges(5, 35, (0.43, 0.96), lasting=(230, 720), median_ms=570, stream=Stream(1.7, 2.0, 0.6)),
    "pareto_hang": Ranges(3, 21, (0.09, 0.185), kind="hang", lasting=(180, 640), tail="pareto", median_ms=560),
    "mixture_slow": Ranges(5, 27, (4.7, 13), kind="slow_one", lasting=(170, 620), tail="mixture", median_ms=550),
    "pareto_late_all": Ranges(5, 33, (1.4, 2.05), kind="late_all", lasting=(230, 860), tail="pareto", median_ms=430),
    "fast_and_slow_late": Ranges(
        5, 26, (1.7, 2.3), kind="late_one", medians=(720, 360, 940, 540, 430), lasting=(230, 860), median_ms=598
    ),
    "fast_and_slow_hang": Ranges(
        3, 18, (0.09, 0.185), kind="hang", medians=(310, 1150, 690), lasting=(210, 640), median_ms=717
    ),
    "peaks": Ranges(3, 0.7, (1.38, 1.65), use=0.26, median_ms=510),
    # kinds in other shops
    "uneven_slow_all": Ranges(
        4, 28, (3.5, 5.8), kind="slow_all", neutral=(0.15, 0.45, 0.1, 0.3), lasting=(170, 600), median_ms=480
    ),
    "lagging_late_all": Ranges(
        4, 25, (1.85, 2.65), kind="late_all", stream=Stream(6.5, 10.0, 5.0), lasting=(230, 860), median_ms=520
    ),
    "heavy_unknown": Ranges(5, 29, (0.13, 0.53), kind="unknown", lasting=(210, 640), tail="mixture", median_ms=470),
    "dense_alone": Ranges(1, 66, (1.8, 2.65), kind="alone", lasting=(200, 620), median_ms=460),
    "sparse_slow": Ranges(4, 0.75, (4.5, 12), kind="slow_one", lasting=(1700, 3400), median_ms=610),
    "lagging_handover": Ranges(
        3, 22, (0.43, 0.96), kind="handover", stream=Stream(9.0, 4.5, 4.0), lasting=(250, 720), median_ms=480
    ),
    # what no row of TUNING has
    "in_turn": Ranges(5, 31, (0.5, 0.95), lasting=(450, 1020), median_ms=580),
    "bursts": Ranges(3, 17, (0.46, 0.96), lasting=(900, 2000), median_ms=480),
    "relapsing": Ranges(3, 21, (0.6, 0.96), lasting=(800, 1700), median_ms=570, stream=Stream(1.5, 1.8, 0.5)),
    "split_methods": Ranges(3, 24, (0.43, 0.95), lasting=(230, 700), median_ms=600),
    "unequal_unknown": Ranges(4, 23, (0.37, 0.9), lasting=(230, 720), median_ms=570),
    "creeping": Ranges(3, 13, (6.5, 17), kind="ramp", lasting=(2800, 4600), median_ms=550),
    "rare_hang": Ranges(3, 0.014, (0.88, 0.98), kind="hang", lasting=(9000, 15000), median_ms=570),
    "two_of_six": Ranges(6, 47, (0.78, 0.98), kind="two_dead", lasting=(210, 640), median_ms=480),
    "cut_off": Ranges(4, 22, (0.88, 0.99), lasting=(270, 820), median_ms=460),
    "rush": Ranges(5, 15, (1.6, 2.4), lasting=(2400, 4000), use=0.25, median_ms=510),
    "crash_loop": Ranges(4, 26, (6.0, 14), lasting=(500, 1300), median_ms=540),
    "backed_up": Ranges(3, 25, (0.35, 0.85), lasting=(220, 700), median_ms=490),
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
