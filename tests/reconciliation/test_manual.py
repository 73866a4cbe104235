"""People's decisions about months with planted faults: nothing else changes, whatever files the rows came in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.reconciliation.manual import OwnRule, Tolerance
from payonce.reconciliation.matching.run_result import MatchState
from payonce.reconciliation.model import Outcome
from tests.reconciliation.feeding import run_disturbed, run_plainly
from tests.support.manual_matches import pairs_of
from tests.support.reconciliation_injector.compose import compose


@pytest.mark.parametrize("seed", range(2))
def test_decisions_settle_their_rows_and_nothing_else(seed: int) -> None:
    """Each break that is not about a matched row is found as before, and the proof of conservation holds (else the run
    raises). Shuffled, in overlapping files and run twice the digest is one. Fails when a match takes rows of others
    with it, or an overlapping file makes two rows of one.
    """
    case = compose(seed, 8)
    before = run_plainly(case)
    matches = pairs_of(before.breaks)
    assert len(matches) >= 4
    decided = replace(case, settings=replace(case.settings, matches=tuple(matches)))
    after = run_plainly(decided)
    assert {one.state for one in after.matches} <= {MatchState.MATCHED, MatchState.ACCEPTED}
    rows = {(row.source, row.row_key) for match in matches for row in match.rows}
    gone = {one.break_id for one in before.breaks if any((e.source, e.row_key) in rows for e in one.evidence)}
    assert {one.break_id for one in after.breaks} == {one.break_id for one in before.breaks} - gone
    assert len(gone) == 2 * len(matches)
    for tallies in (before.tallies, after.tallies):
        assert sum(tally.rows for tally in tallies) == sum(before.rows.values())
    first, second = run_disturbed(decided, seed)
    assert first.digest == second.digest == after.digest


def test_tolerances_and_rules_hold_whatever_the_files() -> None:
    """Fails when a rule names a line in one file and not in another, or a difference is tolerated twice."""
    seed = 3
    case = compose(seed, 8)
    gateways = sorted(case.reported)
    settings = replace(
        case.settings,
        tolerances=tuple(
            Tolerance(gateway=name, currency=currency, basis_points=1_000, reason="a tenth", payout=payout)
            for name in gateways
            for currency in ("EUR", "USD", "JPY")
            for payout in (False, True)
        ),
        rules=(OwnRule(source="gateway", field="kind", pattern="^(fee|adjustment)$", label="costs"),),
    )
    decided = replace(case, settings=settings)
    plain = run_plainly(decided)
    assert plain.differences
    assert any(total.reason == "rule: costs" for total in plain.open_totals)
    assert not any(item.reason in ("fee", "adjustment") for item in plain.open_items)
    assert sum(one.difference_minor for one in plain.differences) == sum(
        total.difference_minor for total in plain.difference_totals
    )
    assert sum(tally.rows for tally in plain.tallies if tally.outcome is Outcome.BREAK) < sum(
        tally.rows for tally in run_plainly(case).tallies if tally.outcome is Outcome.BREAK
    )
    first, _ = run_disturbed(decided, seed)
    assert first.digest == plain.digest
