"""Switches one mechanism of payonce's routing off after the other, and measures what is lost.

``python -m laboratory.ablations [--seeds N] [--scenario NAME ...] [--switch NAME ...]`` prints a table: for each switch
the mean change of goodput, in per mille, and of attempts in doubt, refusals and flips over all rows of the tuning
group, and the rows in which it matters most. A mechanism that no row misses should go.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import contextmanager
from multiprocessing import Pool
from statistics import mean
from typing import TYPE_CHECKING, Any

from laboratory.figures import run_seed
from laboratory.policies.predictive import Predictive
from laboratory.split import TUNING, TUNING_SEEDS, WEEKS
from payonce.routing.decision import decide, levels, reflex, sharing, weights
from payonce.routing.detection import memory, trust, verdict
from payonce.routing.detection.trust import FAILED, LATE

if TYPE_CHECKING:
    from collections.abc import Iterator

Patch = tuple[Any, str, Any]
BASE = "as it is"

SWITCHES: dict[str, tuple[Patch, ...]] = {
    BASE: (),
    "no reflex": ((reflex, "is_alarm", lambda _signals: False),),
    "slower is full": ((reflex, "ALLOWED_SHARE", 0.0),),
    "refuses without certainty": ((reflex, "_surges", lambda _limit: True), (reflex, "OVERFULL", 0.0)),
    "never refuses": (
        (reflex, "_surges", lambda _limit: False),
        (reflex, "_lengthens", lambda _limit: False),
        (reflex, "OVERFULL", math.inf),
    ),
    "no service time": ((reflex, "COSTLY", 0.0),),
    "no hang in the reflex": ((reflex, "hangs", lambda _signals: False),),
    "no rooms": (
        (decide, "apply_limits", lambda known, demand, limits, _rooms: weights.apply_limits(known, demand, limits, {})),
    ),
    "no trust": ((trust, "NOTHING", math.inf),),
    "failures are not asked for": ((trust, "FAILED", FAILED._replace(margin=math.inf)),),
    "late is not asked for": ((trust, "LATE", LATE._replace(margin=math.inf)),),
    "late is as bad as failed": ((trust, "LATE", FAILED),),
    "no rises": ((verdict, "RISING_ATTEMPTS", 0.0),),
    "methods are not pooled": (
        (trust, "FAILED", FAILED._replace(pooled=1e-6)),
        (trust, "LATE", LATE._replace(pooled=1e-6)),
    ),
    "a queue is a fault": ((decide, "_queueing", lambda *_: set()),),
    "full only now": ((decide, "FULL_LATELY_SECONDS", 0.0),),
    "no patience for the sparse": ((memory, "MOST_FADE_SECONDS", memory.FADE_SECONDS),),
    "a cut as soon as anything speaks for it": ((levels, "CUT", levels.WHOLE),),
    "whole share at once": ((levels, "RAISE", 1000.0),),
    "a demotion fades as fast as all else": ((decide, "FADE_HOLDS", 0.0),),
    # the reflex in detail
    "worse without deviations": ((sharing, "WORSE_DEVIATIONS", 0.0),),
    "worse within a second": ((sharing, "WORSE_SECONDS", 1),),
    "worse and no longer worse are one": ((sharing, "NO_LONGER_WORSE", sharing.WORSE),),
    "better days count as full": ((reflex, "CLEAN_SECONDS", 0.0),),
    "the full rate is forgotten": ((reflex, "FADING", 0.0),),
    "growth does not double": ((reflex, "MOST_DOUBLINGS", 0.0),),
    "a short queue shows the service time": ((reflex, "SLOW_SHARE", 0.0),),
    "sure as soon as it is broken": ((reflex, "SURE_SHARE", 0.0),),
    "sure at once": ((reflex, "SURE_SLOS", 0.0),),
    "sudden demand is not asked for": ((reflex, "_is_asked_more", lambda _limit: False),),
    "no surges": ((reflex, "_surges", lambda _limit: False),),
    "no lengthening": ((reflex, "_lengthens", lambda _limit: False),),
    "only short thirds": ((reflex, "THIRDS_SECONDS", (3,)),),
    "only long thirds": ((reflex, "THIRDS_SECONDS", (6,)),),
    "surges though less is answered": ((reflex, "AS_EVER", 0.0),),
    "waiting is not told from service": ((reflex, "OVERFULL", math.inf),),
    "a limit goes though it limits": ((reflex, "RELEASE_HEADROOM", 0.0),),
    "a limit goes at once": ((reflex, "CALM_SECONDS", 0.0),),
    "nothing is kept while a queue drains": ((reflex, "KEPT_SHARE", 0.0),),
    "a queue is not drained": ((reflex, "SETTLE_SECONDS", math.inf),),
    "no gateway counts as well": ((reflex, "WELL_EVIDENCE", 0.0),),
}
MECHANISMS = tuple(name for name in SWITCHES if name != BASE)
ROWS = tuple(name for name in TUNING if name not in WEEKS)


@contextmanager
def _switched(name: str) -> Iterator[None]:
    before = [(module, attribute, getattr(module, attribute)) for module, attribute, _ in SWITCHES[name]]
    for module, attribute, value in SWITCHES[name]:
        setattr(module, attribute, value)
    try:
        yield
    finally:
        for module, attribute, value in before:
            setattr(module, attribute, value)


def _trial(task: tuple[str, str, int]) -> tuple[str, str, dict[str, Any]]:
    switch, row, seed = task
    with _switched(switch):
        measured = run_seed(TUNING, row, seed, {"payonce": Predictive})["policies"]["payonce"]
    return switch, row, measured


def main(arguments: list[str] | None = None) -> int:
    """Run the ablations and print their table."""
    parser = argparse.ArgumentParser(prog="python -m laboratory.ablations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenario", action="append", choices=ROWS)
    parser.add_argument("--switch", action="append", choices=MECHANISMS)
    chosen = parser.parse_args(arguments)
    rows, switches = chosen.scenario or ROWS, [BASE, *(chosen.switch or MECHANISMS)]
    tasks = [(switch, row, seed) for row in rows for seed in TUNING_SEEDS[: chosen.seeds] for switch in switches]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with Pool(os.cpu_count() or 1, initializer=os.nice, initargs=(10,)) as pool:
        for done, (switch, row, measured) in enumerate(pool.imap_unordered(_trial, tasks), 1):
            found.setdefault((switch, row), []).append(measured)
            print(f"\r{done} of {len(tasks)} trials", end="", file=sys.stderr)
    print(file=sys.stderr)
    print("| switched off | goodput, ‰ | in doubt | refusals | flips an hour | most missed by |")
    print("|---|---:|---:|---:|---:|---|")
    for switch in switches:
        print(_line(found, switch, rows))
    return 0


def _line(found: dict[tuple[str, str], list[dict[str, Any]]], switch: str, rows: tuple[str, ...] | list[str]) -> str:
    def change(row: str, figure: str) -> float:
        return _mean(found[switch, row], figure) - _mean(found[BASE, row], figure)

    lost = sorted(rows, key=lambda row: change(row, "goodput"))[:3]
    doubted = sorted(rows, key=lambda row: -change(row, "in_doubt"))[:2]
    named = [f"{row} {1000 * change(row, 'goodput'):+.1f} ‰" for row in lost if change(row, "goodput") < -0.001]
    named += [f"{row} {change(row, 'in_doubt'):+.0f} in doubt" for row in doubted if change(row, "in_doubt") >= 1]
    sums = [1000 * mean(change(row, "goodput") for row in rows)]
    sums += [mean(change(row, figure) for row in rows) for figure in ("in_doubt", "refusals", "flips_per_hour")]
    return (
        f"| {switch} | {sums[0]:+.2f} | {sums[1]:+.1f} | {sums[2]:+.1f} | {sums[3]:+.1f} | {', '.join(named) or '-'} |"
    )


def _mean(trials: list[dict[str, Any]], figure: str) -> float:
    return mean(float(trial[figure] if figure in trial else trial["routing"][figure]) for trial in trials)


if __name__ == "__main__":
    sys.exit(main())
