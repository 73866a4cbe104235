"""Figures that break a promise get the verdict that it is broken."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from laboratory import targets
from laboratory.figures import SLO_SHARE
from laboratory.policies import POLICIES
from laboratory.split import FIRST

ROUTING = {
    "actions": 0, "sheddings": 0, "on_the_well": 0, "weeks": 1.0, "flips_per_hour": 0.0, "acted_after": 3.0,
    "lead": 40.0, "restored_after": 100.0,
}  # fmt: skip
MEASURED = {
    "goodput": 0.99, "during": 0.98, "in_doubt": 10, "refused": 0, "refusals": 0, "double_charges": 0,
    "dearest_share": 0.4, "others_goodput": 0.97,
}  # fmt: skip


def seed(*, harmless: bool = False) -> dict[str, Any]:
    """Return the figures of a seed in which payonce keeps every promise and is a little better than the others."""
    policies: dict[str, Any] = {name: dict(MEASURED) for name in POLICIES}
    policies["payonce"] |= {"goodput": 0.991, "in_doubt": 9, "routing": dict(ROUTING)}
    return {"seed": 1, "payments": 1000, "harmless": harmless, "policies": policies}


def broken(name: str, figures: dict[str, Any]) -> list[str]:
    return [verdict.promise for verdict in targets.verdicts({name: [figures]}) if not verdict.met]


@pytest.mark.parametrize("name", [*FIRST, "unknown_4"])
@pytest.mark.parametrize("harmless", [False, True])
def test_good_figures_keep_every_promise(name: str, harmless: bool) -> None:
    assert broken(name, seed(harmless=harmless)) == []


@pytest.mark.parametrize(
    ("name", "change", "promise"),
    [
        ("unknown_4", {"goodput": 0.9849}, "goodput within 0.005"),
        ("unknown_4", {"during": 0.9749}, "goodput during the trouble within 0.005"),
        ("unknown_4", {"in_doubt": 12.1}, "attempts in doubt at most 1.2 times"),
        ("unknown_4", {"double_charges": 1}, "0 double charges"),
        ("unknown_4", {"refusals": 1}, "no refusal, because without protection the SLO holds"),
        ("cliff", {"goodput": 0.99}, "goodput above that of"),
        ("ramp", {"in_doubt": 10}, "fewer attempts in doubt than"),
        ("cliff", {"dearest_share": 0.6}, "less than 60 % on the dearest gateway"),
        ("noisy_merchant", {"others_goodput": 0.94}, "the others keep 95 %"),
    ],
)
def test_worse_figures_break_a_promise(name: str, change: dict[str, float], promise: str) -> None:
    figures = seed()
    figures["policies"]["payonce"] |= change
    found = broken(name, figures)
    assert found, change
    assert all(one.startswith(promise) for one in found)


@pytest.mark.parametrize(
    ("name", "change", "promise"),
    [
        ("pauses", {"flips_per_hour": 2.1}, "at most 2 flips of the route per hour, because there is nothing to win"),
        ("oscillation", {"flips_per_hour": 2.1}, "at most 2 flips of the route per hour, on average"),
        ("diurnal", {"actions": 2}, "at most one false action per gateway and week"),
        ("decline_surge", {"sheddings": 1}, "issuers' declines change no route"),
        ("ramp", {"lead": 29}, "acts at least 30 s before"),
        ("ramp", {"lead": None}, "acts at least 30 s before"),
        ("hang", {"restored_after": 301}, "even weights within 5 minutes"),
        ("hang", {"restored_after": None}, "even weights within 5 minutes"),
    ],
)
def test_worse_routing_breaks_a_promise(name: str, change: dict[str, float | None], promise: str) -> None:
    figures = seed(harmless=name == "pauses")
    figures["policies"]["payonce"]["routing"] |= change
    found = broken(name, figures)
    assert found, change
    assert all(one.startswith(promise) for one in found)


def test_any_policy_can_be_the_best() -> None:
    """Fails when the verdict knows the policies by their names."""
    figures = seed()
    figures["policies"]["another"] = MEASURED | {"goodput": 0.9961, "during": 0.9861, "in_doubt": 7.4}
    assert broken("unknown_4", figures) == [
        "goodput within 0.005 of the best other policy's",
        "goodput during the trouble within 0.005 of the best other policy's",
        "attempts in doubt at most 1.2 times the least of those that serve as many",
    ]


def test_a_variant_of_payonce_is_no_other_policy() -> None:
    figures = seed()
    figures["policies"]["variant"] = MEASURED | {"goodput": 1.0, "during": 1.0, "in_doubt": 0, "routing": dict(ROUTING)}
    assert broken("unknown_4", figures) == []


def test_who_refuses_everybody_has_nothing_in_doubt_and_sets_no_measure() -> None:
    figures = seed()
    figures["policies"]["breaker"] |= {"goodput": 0.4, "in_doubt": 0}
    assert broken("unknown_4", figures) == []
    figures["policies"]["breaker"] |= {"goodput": 0.987}
    assert broken("unknown_4", figures) == ["attempts in doubt at most 1.2 times the least of those that serve as many"]


def test_refusing_is_judged_only_where_the_slo_holds_without_protection() -> None:
    figures = seed()
    figures["policies"]["payonce"]["refusals"] = 5
    assert broken("unknown_4", figures) != []
    for measured in figures["policies"].values():
        measured["during"] = SLO_SHARE - 0.001
    assert broken("unknown_4", figures) == []


def test_verdicts_are_of_means_over_the_seeds() -> None:
    one, other = seed(), deepcopy(seed())
    one["policies"]["payonce"]["goodput"], other["policies"]["payonce"]["goodput"] = 0.98, 0.992
    found = {verdict.promise: verdict for verdict in targets.verdicts({"unknown_4": [one, other]})}
    assert found["goodput within 0.005 of the best other policy's"].measured.startswith("-0.0040")
    assert found["goodput within 0.005 of the best other policy's"].met
