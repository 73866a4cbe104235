"""Every kind of trouble does what it claims, to payments that nobody protects."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from laboratory.figures import SLO_SHARE
from laboratory.policies.none import NoProtection
from laboratory.split import REPORT, REPORT_SEEDS, TUNING, TUNING_SEEDS, WEEKS, scenario
from laboratory.trouble import HARMLESS
from laboratory.trouble.compositions import SURGE
from payonce.routing.signals.book import Outcome
from tests.laboratory.unprotected import Unprotected, Watching, unprotected

if TYPE_CHECKING:
    from laboratory.trouble.ranges import Ranges


def rows(kind: str) -> list[str]:
    return [name for name, ranges in TUNING.items() if (ranges.kind or name) == kind]


def factor(ran: Unprotected, mask: np.ndarray, quantile: float) -> float:
    """How many times as long an answer takes during the trouble as before it."""
    return float(np.quantile(ran.seconds[ran.during & mask], quantile) / np.quantile(ran.seconds[ran.before], quantile))


@pytest.mark.parametrize(
    ("group", "name"),
    [
        pytest.param(group, name, id=f"{called}-{name}")
        for called, group in (("report", REPORT), ("tuning", TUNING))
        for name in sorted(group)
    ],
)
def test_a_draw_is_a_valid_scenario_and_a_seed_is_one_draw(group: dict[str, Ranges], name: str) -> None:
    seeds = REPORT_SEEDS if group is REPORT else TUNING_SEEDS
    for seed in seeds[:5]:
        drawn = scenario(group, name, seed)
        names = {spec.name for spec in drawn.gateways}
        assert len(names) == group[name].gateways
        assert set(drawn.weights) == names
        assert sum(drawn.weights.values()) == pytest.approx(1)
        assert {fault.gateway for fault in drawn.faults} <= names
        assert drawn.ailing is None or drawn.ailing in names
        assert drawn == scenario(group, name, seed)
        assert drawn.harmless is ((group[name].kind or name) in HARMLESS)
    assert drawn != scenario(group, name, seeds[0])


@pytest.mark.parametrize("name", ["late_all_2", "late_all_3", "inside_late_all"])
def test_correlated_lateness_queues_nowhere_and_leaves_everybody_within_the_slo(name: str) -> None:
    ran = unprotected(name)
    before = ran.before if ran.drawn.fault_at else ran.span(ran.drawn.healed_at + 30, ran.drawn.seconds)
    strengths = [fault.strength for fault in ran.drawn.faults]
    assert {fault.gateway for fault in ran.drawn.faults} == set(ran.drawn.weights)
    for quantile in (0.5, 0.95):
        measured = np.quantile(ran.seconds[ran.during], quantile) / np.quantile(ran.seconds[before], quantile)
        assert measured == pytest.approx(np.mean(strengths), rel=0.08)
    assert ran.good[ran.during].mean() >= SLO_SHARE


def test_one_late_method_is_late_everywhere_and_the_other_nowhere() -> None:
    ran = unprotected("late_method")
    for gateway in ran.drawn.weights:
        here = ran.gateway == gateway
        for method, strength in (("wallet", ran.drawn.faults[0].strength), ("card", 1.0)):
            mine = here & (ran.method == method)
            measured = np.median(ran.seconds[ran.during & mine]) / np.median(ran.seconds[ran.before & mine])
            assert measured == pytest.approx(strength, rel=0.15)


def test_a_busy_time_is_within_the_capacity() -> None:
    ran = unprotected("busy")
    [surge] = ran.drawn.surges
    rates = [mask.sum() / length for mask, length in (
        (ran.during, surge.end - surge.start), (ran.before, surge.start)
    )]  # fmt: skip
    assert rates[0] / rates[1] == pytest.approx(surge.factor, rel=0.1)
    assert factor(ran, np.ones_like(ran.good), 0.95) < 1.15


def test_correlated_slowness_with_servers_occupied_queues_and_breaks_the_slo() -> None:
    ran = unprotected("slow_all")
    assert factor(ran, np.ones_like(ran.good), 0.9) > 1.5 * max(fault.strength for fault in ran.drawn.faults)
    assert ran.good[ran.during].mean() < 0.5


@pytest.mark.parametrize("name", rows("late_one"))
def test_one_late_gateway_is_late_alone_and_within_the_slo(name: str) -> None:
    ran = unprotected(name)
    [fault] = ran.drawn.faults
    mine = np.quantile(ran.seconds[ran.during & ran.ailing], 0.5) / np.quantile(
        ran.seconds[ran.before & ran.ailing], 0.5
    )
    assert mine == pytest.approx(fault.strength, rel=0.15)
    if ran.ailing.all():
        assert len(ran.drawn.gateways) == 1
    else:
        others = ~ran.ailing
        assert np.quantile(ran.seconds[ran.during & others], 0.5) == pytest.approx(
            np.quantile(ran.seconds[ran.before & others], 0.5), rel=0.15
        )
    assert ran.good[ran.during].mean() >= SLO_SHARE


def test_one_slow_gateway_occupies_its_servers_and_queues() -> None:
    ran = unprotected("slow_one")
    [fault] = ran.drawn.faults
    assert factor(ran, ran.ailing, 0.9) > 1.5 * fault.strength
    assert ran.good[ran.during & ~ran.ailing].mean() > 0.99


@pytest.mark.parametrize("name", ["alone", "inside_alone"])
def test_a_lone_gateway_is_late_within_the_slo_and_then_saturated(name: str) -> None:
    ran = unprotected(name)
    late, saturated = ran.drawn.faults
    assert set(ran.gateway) == {"alder"}
    assert ran.good[ran.span(max(0, late.start), late.end)].mean() >= SLO_SHARE
    assert ran.good[ran.span(saturated.start + 15, saturated.end)].mean() < 0.1


class Everything(NoProtection):
    """Sends everything to one gateway."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway

    def preferred(self, payment: int, names: list[str]) -> str:
        return self.gateway


def test_several_ill_gateways_queue_and_the_well_one_cannot_take_everything() -> None:
    ran = unprotected("several")
    ill = {fault.gateway for fault in ran.drawn.faults}
    [well] = set(ran.drawn.weights) - ill
    assert len(ill) >= 2
    assert ran.good[ran.during & (ran.gateway == well)].mean() > 0.99
    assert ran.good[ran.during & (ran.gateway != well)].mean() < 0.5
    everything = Unprotected("several", Everything(well))
    assert everything.good[everything.during].mean() < 0.5


@pytest.mark.parametrize("name", rows("unknown"))
def test_quick_errors_are_quick_unknown_and_half_of_them_executed(name: str) -> None:
    ran = unprotected(name)
    [fault] = ran.drawn.faults
    mine, failed = ran.during & ran.ailing, ran.during & ran.unknown
    assert failed[mine].mean() == pytest.approx(fault.strength, abs=3 * (0.25 / mine.sum()) ** 0.5)
    assert np.quantile(ran.seconds[failed], 0.99) < 0.6
    assert not ran.unknown[ran.before].any()
    assert set(ran.gateway[failed]) == {ran.drawn.ailing}


def test_half_of_the_quick_errors_are_charged() -> None:
    ran = unprotected("unknown_15")
    charged = np.array(
        [payment in ran.trial.gateways[ran.drawn.ailing or ""].charged for payment in range(len(ran.at))]
    )
    assert charged[ran.unknown].mean() == pytest.approx(0.5 * 0.92, abs=0.08)


def test_quick_errors_of_one_method_leave_the_other_alone() -> None:
    ran = unprotected("unknown_method")
    assert set(ran.method[ran.unknown]) == {"wallet"}
    assert ran.unknown.sum() > 30


def test_a_ramp_of_errors_begins_with_none() -> None:
    ran = unprotected("unknown_ramp")
    [fault] = ran.drawn.faults
    lasting = fault.end - fault.start
    shares = [
        ran.unknown[ran.ailing & ran.span(fault.start + a * lasting, fault.start + b * lasting)].mean()
        for a, b in ((0, 0.2), (0.8, 1.0))
    ]
    assert shares[0] < 0.25 * fault.strength
    assert shares[1] == pytest.approx(fault.strength, rel=0.3)


def test_errors_everywhere_are_everywhere() -> None:
    ran = unprotected("unknown_all")
    for gateway, strength in ((fault.gateway, fault.strength) for fault in ran.drawn.faults):
        assert ran.unknown[ran.during & (ran.gateway == gateway)].mean() == pytest.approx(strength, rel=0.4)
    assert {fault.gateway for fault in ran.drawn.faults} == set(ran.drawn.weights)


def test_answers_are_missing_everywhere() -> None:
    ran = unprotected("hang_all")
    assert set(ran.gateway[ran.unknown]) == set(ran.drawn.weights)
    assert ran.seconds[ran.unknown].min() == pytest.approx(10)


@pytest.mark.parametrize("name", ["refusing", "limiter"])
def test_refused_connections_are_quick_and_everybody_is_served_by_another(name: str) -> None:
    policy = Watching()
    ran = Unprotected(name, policy)
    [fault] = ran.drawn.faults
    ends = [end for end in policy.ends if end[1] == fault.gateway and fault.start < end[0] < fault.end]
    refused = [latency for _, _, latency, outcome in ends if outcome is Outcome.NEVER_SENT]
    assert max(refused) < 0.1
    if name == "refusing":
        assert len(refused) / len(ends) == pytest.approx(fault.strength, abs=0.06)
    else:
        accepted = (len(ends) - len(refused)) / (fault.end - fault.start)
        assert accepted == pytest.approx(fault.strength, rel=0.1)
        assert len(refused) > 100
    assert ran.good[ran.during].mean() > 0.99


@pytest.mark.parametrize("name", [name for name in TUNING if name.startswith("inside")])
def test_inside_an_incident_the_first_payment_meets_it(name: str) -> None:
    for group, seeds in ((TUNING, TUNING_SEEDS), (REPORT, REPORT_SEEDS)):
        for seed in seeds:
            drawn = scenario(group, name, seed)
            assert drawn.fault_at == 0
            assert drawn.healed_at > 60
            assert any(fault.at(0.0) is not None for fault in drawn.faults)
    ran = unprotected(name)
    after = ran.span(ran.drawn.healed_at + 30, ran.drawn.seconds)
    first = ran.span(0, 30)
    assert (
        np.quantile(ran.seconds[first], 0.9) > 1.15 * np.quantile(ran.seconds[after], 0.9) or ran.unknown[first].any()
    )


@pytest.mark.parametrize("name", [name for name in TUNING if (TUNING[name].kind or name) in HARMLESS - set(WEEKS)])
def test_what_is_harmless_harms_nobody(name: str) -> None:
    ran = unprotected(name)
    assert ran.good[ran.span(0, ran.drawn.seconds - 15)].mean() > 0.985
    assert ran.unknown.mean() < 0.001


@pytest.mark.parametrize(("name", "share"), [("pauses", 0.001), ("hiccups", 0.0005)])
def test_pauses_come_and_go(name: str, share: float) -> None:
    ran = unprotected(name)
    [fault, *_] = ran.drawn.faults
    on = np.array([fault.at(float(at)) is not None for at in ran.at])
    here = ran.gateway == fault.gateway
    assert share < on[ran.during].mean() < 0.2
    pause = np.median(ran.seconds[on & here]) / np.median(ran.seconds[ran.before & here])
    assert pause == pytest.approx(fault.strength, rel=0.2)


def test_a_deployment_goes_round_the_gateways() -> None:
    drawn = unprotected("deployments").drawn
    refusing = [fault.gateway for fault in drawn.faults if fault.kind == "fail"]
    assert set(refusing) == set(drawn.weights)
    assert all(one != other for one, other in pairwise(refusing))


@pytest.mark.parametrize("name", ["late_all_unknown_one", "hang_beside_late"])
def test_two_troubles_come_at_once(name: str) -> None:
    ran = unprotected(name)
    late = {fault.gateway for fault in ran.drawn.faults if fault.kind == "late"}
    other = ran.during & np.isin(ran.gateway, list(late - {ran.drawn.ailing}))
    assert np.median(ran.seconds[other]) > 1.3 * np.median(ran.seconds[ran.before])
    assert set(ran.gateway[ran.unknown]) == {ran.drawn.ailing}


def test_a_ramp_meets_a_surge() -> None:
    ran = unprotected("ramp_in_surge")
    rate = ran.during.sum() / (ran.drawn.healed_at - ran.drawn.fault_at)
    usual = ran.span(0, ran.drawn.fault_at - 60).sum() / (ran.drawn.fault_at - 60)
    assert SURGE[0] * 0.9 < rate / usual < SURGE[1] * 1.1
    assert ran.good[ran.during & ran.ailing].mean() < 0.5


def test_one_recovers_while_another_fails() -> None:
    ran = unprotected("handover")
    first, second = ran.drawn.faults
    assert first.start < second.start < first.end < second.end
    last = ran.span(first.end + 1, second.end)
    assert set(ran.gateway[ran.unknown & last]) == {second.gateway}
    assert ran.unknown[last & (ran.gateway == first.gateway)].sum() == 0
