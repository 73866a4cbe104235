"""The promises of routing, as checks of measured figures. Each scenario has only the checks that apply to it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GOODPUT_TOLERANCE = 0.005
NOISE = 0.0005  # where nothing fails, policies differ only by chance
Seeds = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one promise in one scenario: what was measured, and whether the promise was kept."""

    scenario: str
    promise: str
    measured: str
    met: bool


def goodput(seeds: Seeds, policy: str) -> float:
    """Return a policy's mean goodput (0..1) over the seeds."""
    return float(mean(figures["policies"][policy]["goodput"] for figures in seeds))


def verdicts(results: dict[str, Seeds]) -> list[Verdict]:
    """Return the verdicts of all promises for the scenarios that were run."""
    found: list[Verdict] = []
    for name, seeds in results.items():
        if not seeds:
            continue
        found += _everywhere(name, seeds)
        if name in _SPECIAL:
            found += [check(name, seeds) for check in _SPECIAL[name]]
    return found


def _everywhere(name: str, seeds: Seeds) -> list[Verdict]:
    own = goodput(seeds, "payonce")
    behind = goodput(seeds, "gradient2") - own
    checks = [
        Verdict(
            name, "goodput at least that of exact Gradient2 - 0.005", f"{-behind:+.4f}", behind <= GOODPUT_TOLERANCE
        )
    ]
    for policy in ("breaker", "gradient2_stale"):
        ahead = own - goodput(seeds, policy)
        promise = f"goodput above that of {policy} (equal within {NOISE} where nothing fails)"
        checks.append(Verdict(name, promise, f"{ahead:+.4f}", ahead > 0 or (ahead > -NOISE and _quiet(seeds))))
    doubles = sum(policy["double_charges"] for figures in seeds for policy in figures["policies"].values())
    return [*checks, Verdict(name, "0 double charges", str(doubles), doubles == 0)]


def _quiet(seeds: Seeds) -> bool:
    return goodput(seeds, "none") > 0.995


def _in_doubt(name: str, seeds: Seeds) -> Verdict:
    counts = {policy: mean(f["policies"][policy]["in_doubt"] for f in seeds) for policy in seeds[0]["policies"]}
    own = counts.pop("payonce")
    least = min(counts, key=counts.__getitem__)
    text = f"{own:.1f} against {counts[least]:.1f} ({least})"
    return Verdict(name, "fewer attempts in doubt than any other", text, own < counts[least])


def _lead(name: str, seeds: Seeds) -> Verdict:
    leads = [figures["routing"]["lead"] for figures in seeds]
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
    actions = sum(figures["routing"]["actions"] + figures["routing"]["sheddings"] for figures in seeds)
    rate = actions / sum(figures["routing"]["weeks"] for figures in seeds)
    return Verdict(name, "at most one false action per gateway and week", f"{rate:.2f}", rate <= 1)


def _restored(name: str, seeds: Seeds) -> Verdict:
    times = [figures["routing"]["restored_after"] for figures in seeds]
    known = sorted(time for time in times if time is not None)
    text = f"median {known[len(known) // 2]:.0f} s, most {known[-1]:.0f} s" if known else "never"
    if len(known) < len(times):
        text += f", {len(times) - len(known)} not by the end"
    late = sum(1 for time in times if time is None or time > 300)
    return Verdict(name, "even weights within 5 minutes of healing, in every seed", f"{text}; {late} late", late == 0)


def _flips(name: str, seeds: Seeds) -> Verdict:
    rates = sorted(figures["routing"]["flips_per_hour"] for figures in seeds)
    text = f"mean {mean(rates):.1f}, most {rates[-1]:.1f}"
    return Verdict(name, "at most 2 flips of the route per hour, on average", text, mean(rates) <= 2)


def _declines(name: str, seeds: Seeds) -> Verdict:
    actions = sum(figures["routing"]["actions"] + figures["routing"]["sheddings"] for figures in seeds)
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
