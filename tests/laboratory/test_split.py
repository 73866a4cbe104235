"""Nothing that is reported was tuned on."""

from __future__ import annotations

import pytest

from laboratory.demand import draw_demand
from laboratory.split import FIRST, REPORT, REPORT_SEEDS, TUNING, TUNING_SEEDS, WEEKS, scenario
from laboratory.trouble import KINDS


def test_seeds_do_not_overlap() -> None:
    assert not set(REPORT_SEEDS) & set(TUNING_SEEDS)
    assert len(REPORT_SEEDS) == len(TUNING_SEEDS) == 30


@pytest.mark.parametrize("name", sorted(TUNING))
def test_ranges_do_not_overlap(name: str) -> None:
    """Fails when a scenario is reported with the strength that it was tuned with."""
    reported, tuned = REPORT[name], TUNING[name]
    low, high = sorted([reported.strength, tuned.strength])
    assert low[1] < high[0] or reported.kind == tuned.kind == "quiet"
    assert (reported.gateways, reported.median_ms) != (tuned.gateways, tuned.median_ms)


def test_every_kind_is_reported_and_so_is_every_row_that_was_tuned_on() -> None:
    assert {ranges.kind or name for name, ranges in REPORT.items()} == set(KINDS)
    assert {ranges.kind or name for name, ranges in TUNING.items()} <= set(KINDS)
    assert set(TUNING) | set(FIRST) | set(WEEKS) <= set(REPORT)


def test_the_report_has_rows_that_nobody_tuned_for() -> None:
    """Fails when such a row is copied into the group that constants are tuned on, under its own or another name."""
    unseen = set(REPORT) - set(TUNING)
    assert len(unseen) >= 6
    kinds = {REPORT[name].kind or name for name in unseen} - {ranges.kind or name for name, ranges in TUNING.items()}
    assert len(kinds) >= 6


def test_the_same_seed_is_the_same_trial_and_another_is_another() -> None:
    one, again = (draw_demand(scenario(TUNING, "cliff", 1001), 1001) for _ in range(2))
    other = draw_demand(scenario(TUNING, "cliff", 1002), 1002)
    assert one == again
    assert one.at != other.at
