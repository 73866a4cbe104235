"""Money on planted faults of every class: what a break compares, what matched, and what moved the accounts."""

from __future__ import annotations

from collections import Counter

import pytest

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.comparison import compared
from payonce.reconciliation.model import Outcome, Source
from payonce.reconciliation.taxonomy import CLASSES, BreakClass
from tests.reconciliation.feeding import run_plainly
from tests.support.reconciliation_injector.compose import compose
from tests.support.reconciliation_injector.files import gateway_file, statement_file

PER_CLASS = 12
SEEDS = range(4)
# Two amounts of two currencies, equal amounts too late, and groups whose two sides are of several rows.
APART = {BreakClass.CURRENCY_MISMATCH, BreakClass.LATE_SETTLEMENT, BreakClass.AMBIGUOUS}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_difference_of_every_break_is_what_is_at_stake_in_it(seed: int) -> None:
    """Fails when a class of the engine's breaks compares other rows, or with another sign on one side only."""
    case = compose(seed, PER_CLASS)
    seen: Counter[BreakClass] = Counter()
    for found in run_plainly(case).breaks:
        difference = compared(found, case.settings).difference_minor
        seen[found.break_class] += 1
        if found.break_class not in APART:
            assert difference is not None, (found.break_class, found.subject)
            assert abs(difference) == found.amount_minor, (found.break_class, found.subject)
        elif found.break_class is BreakClass.LATE_SETTLEMENT:
            assert difference == 0
    assert set(seen) == {name for name, rule in CLASSES.items() if rule.deterministic}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_no_movement_explains_is_what_the_breaks_of_statements_say(seed: int) -> None:
    """Fails when a line is lost or counted twice between opening and closing, or a gap is not in the account."""
    case = compose(seed, PER_CLASS)
    result = run_plainly(case)
    off: Counter[tuple[str, str]] = Counter()
    for found in result.breaks:
        if found.break_class in (BreakClass.STATEMENT_GAP, BreakClass.BALANCE_BREAK):
            off[found.subject[0], found.currency] += compared(found, case.settings).difference_minor or 0
    told = {(one.account, one.currency): one for one in result.accounts if one.source is Source.BANK}
    assert set(off) <= set(told)
    assert {key: one.unexplained_minor for key, one in told.items()} == {key: off[key] for key in told}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_matches_are_the_matched_rows_of_the_run_in_rows_and_money(seed: int) -> None:
    """Fails when a matched row is missing among the matches, is there twice, or one is there that did not match."""
    case = compose(seed, PER_CLASS)
    with DuckDbWorkspace() as workspace:
        workspace.add_ledger(case.ledger)
        for gateway, rows in case.reported.items():
            # The same rows again in a second file, as overlapping reports have them.
            for number, part in enumerate((rows, rows[: len(rows) // 3])):
                workspace.add_file(gateway_file(part, f"{gateway} {number}"), gateway=gateway)
        workspace.add_file(statement_file(case.statements, "bank"))
        result = workspace.run(case.settings)
        counted: Counter[tuple[Source, str, str]] = Counter()
        keys: Counter[tuple[Source, str]] = Counter()
        for line in workspace.matches():
            for row in filter(None, (line.ledger, line.gateway_row, line.bank)):
                counted[row.source, row.currency, "rows"] += 1
                counted[row.source, row.currency, "minor"] += row.amount_minor
                keys[row.source, row.row_key] += 1
    assert set(keys.values()) == {1}
    expected: Counter[tuple[Source, str, str]] = Counter()
    for tally in result.tallies:
        if tally.outcome is Outcome.MATCHED and tally.source is not Source.STATEMENT:
            expected[tally.source, tally.currency, "rows"] += tally.rows
            expected[tally.source, tally.currency, "minor"] += tally.amount_minor
    assert counted == expected
