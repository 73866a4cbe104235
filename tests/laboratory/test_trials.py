"""A few whole trials of the tuning scenarios: the promises, and that breaking one of them would be seen."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from laboratory import summary, targets
from laboratory.__main__ import plan, read
from laboratory.demand import draw_demand
from laboratory.figures import measure, routing_figures, run_seed
from laboratory.gateway import TIMEOUT_SECONDS
from laboratory.policies import POLICIES
from laboratory.policies.predictive import Predictive
from laboratory.report import render
from laboratory.simulation import Trial
from laboratory.split import TUNING, scenario
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from pathlib import Path

    from laboratory.simulation import Policy

SEED = 1030


def trial(name: str, policy: Policy, **more: Any) -> Trial:
    drawn = scenario(TUNING, name, SEED)
    return Trial(drawn, draw_demand(drawn, SEED), policy, Random(SEED), **more).run()


@pytest.fixture(scope="module")
def hang() -> dict[str, Any]:
    return run_seed(TUNING, "hang", SEED, series=True)


def test_a_gateway_that_hangs_loses_its_traffic_before_the_first_timeout(hang: dict[str, Any]) -> None:
    """Fails when open claims do not count before their timeout."""
    assert hang["policies"]["payonce"]["routing"]["acted_after"] < TIMEOUT_SECONDS


def test_fewer_are_in_doubt_than_with_any_other_and_nobody_is_charged_twice(hang: dict[str, Any]) -> None:
    verdicts = {verdict.promise: verdict for verdict in targets.verdicts({"hang": [hang]})}
    assert verdicts["fewer attempts in doubt than unprotected, with a breaker or with Gradient2"].met
    assert verdicts["0 double charges"].met
    assert verdicts["goodput within 0.005 of the best other policy's"].met


def test_variants_are_compared_with_each_other_on_the_same_payments(hang: dict[str, Any]) -> None:
    variants = {"none": POLICIES["none"], "payonce": Predictive, "shadow": lambda: Predictive(mode=Mode.SHADOW)}
    compared = run_seed(TUNING, "hang", SEED, variants)["policies"]
    own = {key: value for key, value in hang["policies"]["payonce"].items() if key != "series"}
    assert compared["payonce"] == own
    assert compared["shadow"]["in_doubt"] > 3 * own["in_doubt"]
    assert compared["shadow"]["routing"]["actions"] > 0, "in shadow it decides, and nobody follows"


def test_the_same_seed_gives_the_same_figures(hang: dict[str, Any]) -> None:
    assert run_seed(TUNING, "hang", SEED, series=True) == hang


def test_a_double_charge_would_be_seen() -> None:
    assert trial("hang", POLICIES["none"]()).double_charges == 0
    assert trial("hang", POLICIES["none"](), keys_honoured=False).double_charges > 10


def test_the_report_shows_every_policy_and_every_verdict(hang: dict[str, Any]) -> None:
    page = render("tuning", {"hang": [hang]})
    assert all(f"{policy['goodput']:.4f}" in page for policy in hang["policies"].values())
    assert all(verdict.measured in page for verdict in targets.verdicts({"hang": [hang]}))
    assert page.count("data:image/png;base64,") == 1


def acted(policy: Predictive, name: str) -> int:
    ran = trial(name, policy)
    return int(routing_figures(ran.scenario, policy.published, None)["actions"])


def test_declines_change_no_route_and_would_if_they_were_errors() -> None:
    assert acted(Predictive(), "decline_surge") == 0
    assert acted(Predictive(declines_are_errors=True), "decline_surge") > 0


def test_a_noisy_merchant_costs_the_others_little_and_would_cost_them_much() -> None:
    fair, unfair = (measure(trial("noisy_merchant", Predictive(fair=fair)))["others_goodput"] for fair in (True, False))
    assert fair >= 0.95
    assert unfair < 0.85


def test_weeks_are_run_first_and_fewer() -> None:
    tasks = plan("tuning", ["diurnal", "hang"], 3, 1)
    assert tasks == [
        ("tuning", name, seed) for name, seed in (("diurnal", 1001), ("hang", 1001), ("hang", 1002), ("hang", 1003))
    ]
    with pytest.raises(SystemExit, match="no scenario is called hung"):
        plan("tuning", ["hung"], 3, 1)


def test_shadow_mode_routes_as_no_protection_would_by_the_same_choice() -> None:
    shadow, off = (trial("cliff", Predictive(mode=mode)) for mode in (Mode.SHADOW, Mode.OFF))
    assert shadow.served_by == off.served_by
    assert shadow.outcome == off.outcome


def test_a_page_of_documentation_is_only_made_of_what_was_not_tuned_on(hang: dict[str, Any], tmp_path: Path) -> None:
    """Fails when the group of the figures is not asked."""
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"group": "report", "results": {"hang": [hang]}}, sort_keys=True), "utf-8")
    page = summary.render(read([file]))
    assert f"| hang | 1 | {hang['policies']['none']['goodput']:.4f} / " in page
    during = [f"{hang['policies'][policy]['during']:.4f}" for policy in POLICIES]
    assert f"| scenario | {' | '.join(POLICIES)} |\n| {' | '.join(['---'] * (len(POLICIES) + 1))} |\n| hang | " in page
    assert f"| hang | {' | '.join(during)} |" in page
    file.write_text(json.dumps({"group": "tuning", "results": {"hang": [hang]}}), "utf-8")
    with pytest.raises(SystemExit, match="tuned on"):
        read([file])
