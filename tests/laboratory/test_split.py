"""Nothing that is reported was tuned on."""

from __future__ import annotations

import pytest

from laboratory.demand import draw_demand
from laboratory.split import FIRST, REPORT, REPORT_SEEDS, TUNING, TUNING_SEEDS, WEEKS, scenario
from laboratory.trouble import KINDS


def test_seeds_do_not_overlap() -> None:
    assert not set(REPORT_SEEDS) & set(TUNING_SEEDS)
    assert len(REPORT_SEEDS) == len(TUNING_SEEDS) == 30


@pytest.mark.parametrize("name", sorted(REPORT))
def test_ranges_do_not_overlap(name: str) -> None:
    """Fails when a scenario is reported with the strength that it was tuned with."""
    reported, tuned = REPORT[name], TUNING[name]
    low, high = sorted([reported.strength, tuned.strength])
    assert low[1] < high[0] or reported.kind == tuned.kind == "quiet"
    assert (reported.gateways, reported.median_ms) != (tuned.gateways, tuned.median_ms)


def test_every_kind_is_in_both_groups() -> None:
    for group in (REPORT, TUNING):
        assert {ranges.kind or name for name, ranges in group.items()} == set(KINDS)
    assert list(REPORT) == list(TUNING)
    assert set(FIRST) | set(WEEKS) <= set(REPORT)


def test_the_same_seed_is_the_same_trial_and_another_is_another() -> None:
    one, again = (draw_demand(scenario(TUNING, "cliff", 1001), 1001) for _ in range(2))
    other = draw_demand(scenario(TUNING, "cliff", 1002), 1002)
    assert one == again
    assert one.at != other.at
