"""Every kind of trouble that only the report has does what it claims, to payments that nobody protects."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from laboratory.demand import draw_demand
from laboratory.scenarios import Fault
from laboratory.split import REPORT, TUNING, TUNING_SEEDS, scenario
from laboratory.trouble import HARMLESS, NAMES, Ranges
from laboratory.trouble.compositions import A_LITTLE, FILLING_SECONDS, LET_IN, PENT_UP, RESTART_SECONDS, WAITING
from laboratory.trouble.errors import BURST_SECONDS, EVERY_SECONDS, WELL_SECONDS
from laboratory.trouble.load import RUSH
from payonce.routing.signals.book import Outcome
from tests.laboratory.unprotected import SEED, UNSEEN, Unprotected, Watching, unprotected

DRAINED_SECONDS = 90  # after that the queue of a slow gateway is empty again


def failing(ran: Unprotected, gateway: str, start: float, end: float) -> float:
    """Return the share of a gateway's payments of a time that were left unknown."""
    return float(ran.unknown[ran.span(start, end) & (ran.gateway == gateway)].mean())


def test_each_kind_that_nobody_tuned_for_is_tested() -> None:
    kinds = [{ranges.kind or name for name, ranges in group.items()} for group in (REPORT, TUNING)]
    assert kinds[0] - kinds[1] == set(UNSEEN)


@pytest.mark.parametrize("name", sorted(set(UNSEEN) - HARMLESS))
def test_it_costs_payments_while_it_lasts_and_only_then(name: str) -> None:
    ran = unprotected(name)
    quiet = ran.before | ran.span(ran.drawn.healed_at + DRAINED_SECONDS, ran.drawn.seconds - 15)
    assert ran.good[quiet].mean() > 0.99
    assert ran.good[ran.during].mean() < ran.good[quiet].mean() - 0.015


def test_gateways_hang_in_turn_and_two_at_once_in_between() -> None:
    ran = unprotected("in_turn")
    faults = ran.drawn.faults
    assert len({fault.gateway for fault in faults}) == 3 < len(ran.drawn.gateways)
    assert all(one.start < other.start < one.end < other.end for one, other in pairwise(faults))
    assert all(one.end <= other.start for one, other in zip(faults, faults[2:], strict=False))
    for one, other in pairwise(faults):
        for gateway in (one.gateway, other.gateway):
            measured = failing(ran, gateway, other.start + 1, one.end)
            assert measured == pytest.approx(one.strength, abs=0.15)
        assert failing(ran, one.gateway, one.end + 1, other.end) < 0.02
    assert faults[-1].end == pytest.approx(ran.drawn.healed_at)


def test_bursts_are_short_and_leave_it_healthy_in_between() -> None:
    ran = unprotected("bursts")
    [fault] = ran.drawn.faults
    assert EVERY_SECONDS[0] <= fault.period_seconds <= EVERY_SECONDS[1]
    assert BURST_SECONDS[0] <= fault.on_seconds <= BURST_SECONDS[1]
    into = (ran.at - fault.start) % fault.period_seconds
    mine = ran.during & ran.ailing
    assert ran.unknown[mine & (into > 1) & (into < fault.on_seconds - 1)].mean() == pytest.approx(
        fault.strength, abs=0.1
    )
    assert not ran.unknown[mine & (into > fault.on_seconds + 1)].any()


def test_a_relapsing_gateway_is_well_in_between_and_hangs_again() -> None:
    ran = unprotected("relapsing")
    faults = ran.drawn.faults
    assert len(faults) >= 3
    assert {fault.gateway for fault in faults} == {ran.drawn.ailing}
    for fault in faults:
        assert failing(ran, fault.gateway, fault.start + 1, fault.end) == pytest.approx(fault.strength, abs=0.1)
    for one, other in pairwise(faults):
        assert WELL_SECONDS[0] <= other.start - one.end <= WELL_SECONDS[1]
        assert failing(ran, one.gateway, one.end + 1, other.start) < 0.02
    assert faults[-1].end == ran.drawn.healed_at
    assert len({round(fault.end - fault.start) for fault in faults}) > 1


def test_each_method_has_another_gateway_to_avoid() -> None:
    ran = unprotected("split_methods")
    hanging, slow = ran.drawn.faults
    assert hanging.gateway != slow.gateway
    here = ran.during & (ran.gateway == hanging.gateway)
    assert ran.unknown[here & (ran.method == "wallet")].mean() == pytest.approx(hanging.strength, abs=0.1)
    assert ran.good[here & (ran.method == "card")].mean() > 0.99
    there = ran.during & (ran.gateway == slow.gateway)
    assert ran.good[there & (ran.method == "card")].mean() < 0.5
    elsewhere = ran.during & ~np.isin(ran.gateway, [hanging.gateway, slow.gateway])
    assert ran.good[elsewhere].mean() > 0.99


def test_every_gateway_fails_a_little_and_one_much() -> None:
    ran = unprotected("unequal_unknown")
    assert {fault.gateway for fault in ran.drawn.faults} == set(ran.drawn.weights)
    for fault in ran.drawn.faults:
        measured = failing(ran, fault.gateway, ran.drawn.fault_at + 1, ran.drawn.healed_at)
        assert measured == pytest.approx(fault.strength, abs=0.06)
        if fault.gateway != ran.drawn.ailing:
            assert A_LITTLE[0] <= fault.strength <= A_LITTLE[1]
            assert measured > 0.01


def test_two_of_six_die_together_and_four_are_well() -> None:
    ran = unprotected("two_dead")
    dead = {fault.gateway for fault in ran.drawn.faults}
    assert len(dead) == 2
    assert set(ran.gateway[ran.unknown]) == dead
    for fault in ran.drawn.faults:
        assert failing(ran, fault.gateway, fault.start + 1, fault.end) == pytest.approx(fault.strength, abs=0.06)
    assert set(ran.gateway) == set(NAMES)


def test_who_was_cut_off_comes_back_to_more_demand_that_can_be_served() -> None:
    ran = unprotected("cut_off")
    [surge] = ran.drawn.surges
    assert {fault.gateway for fault in ran.drawn.faults} == set(ran.drawn.weights)
    assert all(fault.end == surge.start < surge.end == ran.drawn.healed_at for fault in ran.drawn.faults)
    assert ran.good[ran.span(ran.drawn.fault_at + 1, surge.start - 1)].mean() < 0.5
    assert ran.good[ran.span(surge.start + 5, surge.end)].mean() > 0.99
    rates = ran.span(surge.start, surge.end).sum() / (surge.end - surge.start), ran.before.sum() / ran.drawn.fault_at
    assert PENT_UP[0] * 0.9 < rates[0] / rates[1] < PENT_UP[1] * 1.1


def test_a_process_in_a_crash_loop_fills_up_refuses_all_and_begins_anew() -> None:
    ran = unprotected("crash_loop")
    filling, down = ran.drawn.faults[::2], ran.drawn.faults[1::2]
    assert len(filling) == len(down) >= 3
    assert {fault.gateway for fault in ran.drawn.faults} == {ran.drawn.ailing}
    assert down[-1].end == ran.drawn.healed_at
    assert all(one.end == other.start for one, other in pairwise(ran.drawn.faults))
    for slow, refusing in zip(filling, down, strict=True):
        lasting = slow.end - slow.start
        assert FILLING_SECONDS[0] <= lasting <= FILLING_SECONDS[1]
        assert RESTART_SECONDS[0] <= refusing.end - refusing.start <= RESTART_SECONDS[1]
        assert ran.good[ran.ailing & ran.span(slow.start + 1, slow.start + lasting / 3)].mean() > 0.97
        assert ran.good[ran.ailing & ran.span(slow.end - lasting / 6, slow.end)].mean() < 0.5
        refused = ran.span(refusing.start + 1, refusing.end)
        assert not ran.ailing[refused].any()
        assert ran.good[refused].mean() > 0.97


def test_a_gateway_that_is_backed_up_harms_only_those_whom_it_accepts() -> None:
    policy = Watching()
    ran = Unprotected("backed_up", policy)
    hang, late, limit = ran.drawn.faults
    assert {fault.gateway for fault in ran.drawn.faults} == {ran.drawn.ailing}
    assert WAITING[0] <= late.strength <= WAITING[1]
    even = ran.drawn.rate / len(ran.drawn.gateways)
    assert LET_IN[0] <= limit.strength / even <= LET_IN[1]
    ends = [end for end in policy.ends if end[1] == limit.gateway and limit.start + 10 < end[0] < limit.end]
    refused = [end for end in ends if end[3] is Outcome.NEVER_SENT]
    assert (len(ends) - len(refused)) / (limit.end - limit.start - 10) == pytest.approx(limit.strength, rel=0.1)
    assert len(refused) / len(ends) > 0.2
    accepted = ran.during & ran.ailing
    assert ran.unknown[accepted].mean() == pytest.approx(hang.strength, abs=0.05)
    answered = np.median(ran.seconds[accepted & ~ran.unknown]) / np.median(ran.seconds[ran.before])
    assert answered == pytest.approx(late.strength, rel=0.1)
    assert ran.good[ran.during & ~ran.ailing].mean() > 0.99


def test_a_rush_harms_nobody_and_comes_and_goes_slowly() -> None:
    ran = unprotected("rush")
    assert ran.drawn.harmless
    assert ran.good[ran.span(0, ran.drawn.seconds - 15)].mean() > 0.985
    assert ran.unknown.mean() < 0.001
    start, end = ran.drawn.fault_at, ran.drawn.healed_at
    middle = ran.span((start + end) / 2 - 120, (start + end) / 2 + 120)
    usual = ran.before.sum() / start
    assert RUSH[0] * 0.85 < middle.sum() / 240 / usual < RUSH[1] * 1.15
    strength = ran.drawn.faults[0].strength
    assert {(fault.gateway, fault.strength) for fault in ran.drawn.faults} == {
        (gateway, strength) for gateway in ran.drawn.weights
    }
    assert np.median(ran.seconds[middle]) / np.median(ran.seconds[ran.before]) == pytest.approx(strength, rel=0.1)
    edges = ran.span(start, start + 60) | ran.span(end - 60, end)
    assert np.median(ran.seconds[edges]) / np.median(ran.seconds[ran.before]) < 1 + (strength - 1) * 0.3


def test_a_hill_rises_from_nothing_to_its_strength_and_falls_back() -> None:
    fault = Fault("late", "alder", 100, 300, 3.0, "hill")
    assert [fault.at(at) for at in (99, 100, 200)] == [None, 1.0, 3.0]
    assert fault.at(150) == pytest.approx(fault.at(250))
    assert fault.at(299.9) == pytest.approx(1.0, abs=0.01)
    assert fault.at(300) is None


def test_six_gateways_draw_six_fees_and_four_still_draw_what_they_drew() -> None:
    """Fails when more fees to draw from change the draws of rows that constants were tuned on."""
    drawn = scenario(UNSEEN, "two_dead", SEED)
    assert sorted(spec.fee_basis_points for spec in drawn.gateways) == [100, 120, 140, 150, 160, 180]
    for seed in TUNING_SEEDS[:5]:
        fees = {spec.fee_basis_points for spec in scenario(TUNING, "handover", seed).gateways}
        assert fees == {100, 140, 160, 180}


def test_a_payment_in_two_minutes_is_still_a_payment() -> None:
    """Fails when demand that is rarer than any row of ``TUNING`` is drawn as none."""
    group = {"rare": Ranges(3, 0.0085, kind="quiet", lasting=(11000, 12000))}
    drawn = scenario(group, "rare", SEED)
    expected = drawn.rate * drawn.seconds
    assert len(draw_demand(drawn, SEED)) == pytest.approx(expected, abs=3 * expected**0.5)
