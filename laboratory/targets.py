"""The promises of routing, as checks of measured figures. Each scenario has only the checks that apply to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from statistics import mean
from typing import TYPE_CHECKING, Any

from laboratory.figures import SLO_SHARE
from laboratory.split import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable

GOODPUT_TOLERANCE = 0.005
DOUBT_FACTOR = 1.2
DOUBT_NOISE = 0.5  # attempts per trial: means of 30 trials in which one is in doubt now and then differ by this much
NOISE = 0.0005  # where nothing fails, policies differ only by chance
LIMITERS = ("breaker", "gradient2_stale", "gradient2")  # what the first promises name
Seeds = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one promise in one scenario: what was measured, and whether the promise was kept."""

    scenario: str
    promise: str
    measured: str
    met: bool


def average(seeds: Seeds, policy: str, figure: str = "goodput") -> float:
    """Return the mean of a policy's figure over the seeds; of those that have it, as a sparse trouble may not."""
    values = [figures["policies"][policy][figure] for figures in seeds]
    return float(mean([value for value in values if value is not None] or [nan]))


def _routing(figures: dict[str, Any]) -> dict[str, Any]:
    routing: dict[str, Any] = figures["policies"]["payonce"]["routing"]
    return routing


def baselines(seeds: Seeds) -> list[str]:
    """Return the names of the policies that payonce is held against: all but it and its variants."""
    return [name for name, measured in seeds[0]["policies"].items() if "routing" not in measured]


def within_slo(seeds: Seeds) -> bool:
    """Return whether the promise to clients holds without protection: the SLO's share in time during the trouble.

    Where it does, there is no reason to refuse anybody.
    """
    return average(seeds, "none", "during") >= SLO_SHARE


def harmless(seeds: Seeds) -> bool:
    """Return whether there is nothing to win by changing routes, by the scenario's own word."""
    return bool(seeds[0]["harmless"])


def verdicts(results: dict[str, Seeds]) -> list[Verdict]:
    """Return the verdicts of all promises for the scenarios that were run."""
    found: list[Verdict] = []
    for name, seeds in results.items():
        if not seeds:
            continue
        found += _everywhere(name, seeds)
        if name in FIRST:
            found += _above(name, seeds)
        found += [check(name, seeds) for check in _SPECIAL.get(name, ())]
    return found


def _everywhere(name: str, seeds: Seeds) -> list[Verdict]:
    doubles = sum(policy["double_charges"] for figures in seeds for policy in figures["policies"].values())
    found = [
        _best(name, seeds, "goodput", "goodput"),
        _best(name, seeds, "during", "goodput during the trouble"),
        _least_in_doubt(name, seeds),
        Verdict(name, "0 double charges", str(doubles), doubles == 0),
    ]
    if within_slo(seeds):
        refusals = sum(figures["policies"]["payonce"]["refusals"] for figures in seeds)
        promise = "no refusal, because without protection the SLO holds"
        found.append(Verdict(name, promise, f"{refusals} refusals", refusals == 0))
    if harmless(seeds):
        found.append(_flips(name, seeds, "at most 2 flips of the route per hour, because there is nothing to win"))
    return found


def _best(name: str, seeds: Seeds, figure: str, title: str) -> Verdict:
    own = average(seeds, "payonce", figure)
    best = max(baselines(seeds), key=lambda policy: average(seeds, policy, figure))
    ahead = own - average(seeds, best, figure)
    promise = f"{title} within {GOODPUT_TOLERANCE} of the best other policy's"
    return Verdict(name, promise, f"{ahead:+.4f} ({best})", ahead >= -GOODPUT_TOLERANCE)


def _least_in_doubt(name: str, seeds: Seeds) -> Verdict:
    """Judge against the least of those that serve as many: a policy that refuses everybody has nothing in doubt."""
    own = average(seeds, "payonce")
    goodput = {policy: average(seeds, policy) for policy in baselines(seeds)}
    best = max(goodput, key=goodput.__getitem__)
    rivals = {policy for policy in goodput if goodput[policy] >= own - GOODPUT_TOLERANCE} | {best}
    doubt = {policy: average(seeds, policy, "in_doubt") for policy in sorted(rivals)}
    least = min(doubt, key=doubt.__getitem__)
    mine = average(seeds, "payonce", "in_doubt")
    promise = f"attempts in doubt at most {DOUBT_FACTOR} times the least of those that serve as many"
    return Verdict(name, promise, f"{mine:.1f} against {doubt[least]:.1f} ({least})", mine <= _allowed(doubt[least]))


def _allowed(doubt: float) -> float:
    return max(DOUBT_FACTOR * doubt, doubt + DOUBT_NOISE)


def _above(name: str, seeds: Seeds) -> list[Verdict]:
    own = average(seeds, "payonce")
    found = []
    for policy in LIMITERS[:2]:
        ahead = own - average(seeds, policy)
        promise = f"goodput above that of {policy} (equal within {NOISE} where nothing fails)"
        found.append(Verdict(name, promise, f"{ahead:+.4f}", ahead > 0 or (ahead > -NOISE and _quiet(seeds))))
    return found


def _quiet(seeds: Seeds) -> bool:
    return average(seeds, "none") > 0.995


def _in_doubt(name: str, seeds: Seeds) -> Verdict:
    counts = {policy: average(seeds, policy, "in_doubt") for policy in ("none", *LIMITERS)}
    own = average(seeds, "payonce", "in_doubt")
    least = min(counts, key=counts.__getitem__)
    text = f"{own:.1f} against {counts[least]:.1f} ({least})"
    return Verdict(
        name, "fewer attempts in doubt than unprotected, with a breaker or with Gradient2", text, own < counts[least]
    )


def _lead(name: str, seeds: Seeds) -> Verdict:
    leads = [_routing(figures)["lead"] for figures in seeds]
    known = [lead for lead in leads if lead is not None]
    least = min(known) if known else float("nan")
    text = f"median {sorted(known)[len(known) // 2] if known else least:.0f} s, least {least:.0f} s"
    if len(known) < len(leads):
        text += f", {len(leads) - len(known)} without"
    return Verdict(
        name,
        "acts at least 30 s before the unprotected SLO breach, in every seed",
        text,
        bool(known) and least >= 30 and len(known) == len(leads),
    )


def _dearest(name: str, seeds: Seeds) -> Verdict:
    share = mean(figures["policies"]["payonce"]["dearest_share"] for figures in seeds)
    return Verdict(name, "less than 60 % on the dearest gateway", f"{share:.1%}", share < 0.6)


def _false_actions(name: str, seeds: Seeds) -> Verdict:
    actions = sum(_routing(figures)["actions"] + _routing(figures)["sheddings"] for figures in seeds)
    rate = actions / sum(_routing(figures)["weeks"] for figures in seeds)
    return Verdict(name, "at most one false action per gateway and week", f"{rate:.2f}", rate <= 1)


def _restored(name: str, seeds: Seeds) -> Verdict:
    times = [_routing(figures)["restored_after"] for figures in seeds]
    known = sorted(time for time in times if time is not None)
    text = f"median {known[len(known) // 2]:.0f} s, most {known[-1]:.0f} s" if known else "never"
    if len(known) < len(times):
        text += f", {len(times) - len(known)} not by the end"
    late = sum(1 for time in times if time is None or time > 300)
    return Verdict(name, "even weights within 5 minutes of healing, in every seed", f"{text}; {late} late", late == 0)


def _flips(name: str, seeds: Seeds, promise: str = "at most 2 flips of the route per hour, on average") -> Verdict:
    rates = sorted(_routing(figures)["flips_per_hour"] for figures in seeds)
    return Verdict(name, promise, f"mean {mean(rates):.1f}, most {rates[-1]:.1f}", mean(rates) <= 2)


def _declines(name: str, seeds: Seeds) -> Verdict:
    actions = sum(_routing(figures)["actions"] + _routing(figures)["sheddings"] for figures in seeds)
    return Verdict(name, "issuers' declines change no route", f"{actions} actions", actions == 0)


def _fairness(name: str, seeds: Seeds) -> Verdict:
    shares = [figures["policies"]["payonce"]["others_goodput"] for figures in seeds]
    text = f"mean {mean(shares):.1%}, least {min(shares):.1%}"
    return Verdict(name, "the others keep 95 % of their goodput, in every seed", text, min(shares) >= 0.95)


_SPECIAL: dict[str, tuple[Callable[[str, Seeds], Verdict], ...]] = {
    "ramp": (_lead, _in_doubt, _restored),
    "cliff": (_dearest, _restored),
    "hang": (_in_doubt, _restored),
    "gray": (_restored,),
    "loss": (_restored,),
    "recovery": (_restored,),
    "oscillation": (_flips,),
    "diurnal": (_false_actions,),
    "decline_surge": (_declines,),
    "noisy_merchant": (_fairness,),
}
