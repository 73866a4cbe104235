"""Matches by hand, tolerances and rules of one's own in the engine: what they settle, and that they touch nothing else.

Oracle's reconciliation makes a tolerated variance an adjustment of the match, which stays to be seen, and so do we:
https://docs.oracle.com/en/cloud/saas/account-reconcile-cloud/suarc/trans_match_setup_automatch_rules_eg.html
Xero lets a person match what is off, and posts the rest as a minor adjustment: https://help.xero.com/uk/BankAccounts-Reconciliation-Adjust
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed
from payonce.engines.spark_engine import SparkEngine
from payonce.reconciliation.manual import Match, OwnRule, RowRef, Tolerance
from payonce.reconciliation.matching.run_result import MatchedSum, MatchState
from payonce.reconciliation.model import LedgerKind, LedgerState, Outcome
from payonce.reconciliation.readers.rows import RowKind
from tests.unit.reconciliation import test_bank_rules as bank
from tests.unit.reconciliation.transactions import SETTINGS, entry, moved, reconcile, seen

if TYPE_CHECKING:
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import LedgerRow, RunSettings
    from payonce.reconciliation.readers.rows import GatewayRow

TOLERANCE = Tolerance(gateway="bank", currency="EUR", amount_minor=10, reason="rounding")


def ledger(key: str) -> RowRef:
    return RowRef("ledger", key)


def reported(key: str, gateway: str = "bank") -> RowRef:
    return RowRef("gateway", f"{gateway}|{key}")


def match(*rows: RowRef, number: int = 1, **changes: Any) -> Match:
    values: dict[str, Any] = {"match_id": f"mat_{number}", "reason": "seen", "by": "operator:anna", "at_ms": 1}
    return Match(rows=rows, **(values | changes))


def by_hand(*matches: Match, **changes: Any) -> RunSettings:
    return replace(SETTINGS, matches=matches, **changes)


def ended(result: RunResult) -> dict[str, dict[Outcome, int]]:
    counts: dict[str, dict[Outcome, int]] = {}
    for tally in result.tallies:
        counts.setdefault(tally.source.value, {})[tally.outcome] = tally.rows
    return counts


def test_rows_that_a_person_matched_are_matched_in_a_run() -> None:
    """Fails when a match is not applied, or other breaks go with it."""
    rows = ([entry(1), entry(2), entry(4)], [moved(1), moved(3), moved(5)])
    before = reconcile(*rows)
    after = reconcile(*rows, settings=by_hand(match(ledger("e2"), reported("t3"))))
    assert seen(before) == [
        ("missing_in_gateway", "r2"),
        ("missing_in_gateway", "r4"),
        ("missing_in_ledger", "r3"),
        ("missing_in_ledger", "r5"),
    ]
    assert seen(after) == [("missing_in_gateway", "r4"), ("missing_in_ledger", "r5")]
    assert ended(after) == {side: {Outcome.MATCHED: 2, Outcome.BREAK: 1} for side in ("ledger", "gateway")}
    assert {one.break_id for one in after.breaks} < {one.break_id for one in before.breaks}
    [made] = after.matches
    assert (made.state, made.found, made.wanted) == (MatchState.MATCHED, 2, 2)
    assert made.sums == (MatchedSum("EUR", 1000, 0),)


def test_a_match_goes_before_the_pairs_of_the_rules() -> None:
    """Fails when the rules pair first: the person says that the other capture of the reference is the booked one."""
    rows = ([entry(1)], [moved("1a", reference="r1"), moved("1b", reference="r1", created_at_ms=SETTINGS.as_of_ms - 1)])
    late = by_hand(match(ledger("e1"), reported("t1b")), in_transit_hours=0)
    assert seen(reconcile(*rows, settings=late)) == [("missing_in_ledger", "r1")]


def test_a_row_of_a_plain_pair_can_be_matched_with_another_one() -> None:
    """Fails when the pass that settles plain pairs in bulk does not leave out what a person has decided."""
    for pair, left in (
        ((ledger("e9"), reported("t1")), ("missing_in_gateway", "r1")),
        ((ledger("e1"), reported("t9")), ("missing_in_ledger", "r1")),
    ):
        more = ([entry(9)], []) if pair[0].row_key == "e9" else ([], [moved(9)])
        assert seen(reconcile([entry(1), *more[0]], [moved(1), *more[1]], settings=by_hand(match(*pair)))) == [left]


def test_what_amounts_differ_by_stays_a_break_unless_it_is_accepted() -> None:
    """Fails when a difference vanishes, is not said, or is a break although somebody accepted it."""
    rows = ([entry(1)], [moved(2, amount_minor=990)])
    pair = (ledger("e1"), reported("t2"))
    different = reconcile(*rows, settings=by_hand(match(*pair)))
    [found] = different.breaks
    assert (found.break_class.value, found.amount_minor, found.subject) == ("amount_mismatch", 10, ("bank", "mat_1"))
    assert [row.row_key for row in found.evidence] == ["bank|t2", "e1"]
    assert (found.merchant_id, found.payment_id) == ("m1", "pay1")
    assert different.matches[0].state is MatchState.DIFFERENT
    assert not different.differences

    accepted = reconcile(*rows, settings=by_hand(match(*pair, accept_difference=True)))
    assert not accepted.breaks
    assert [(one.how, one.row_key, one.difference_minor) for one in accepted.differences] == [
        ("accepted", "mat_1", -10)
    ]
    assert [one.difference_minor for one in accepted.difference_totals] == [-10]
    assert len({different.digest, accepted.digest, reconcile(*rows).digest}) == 3

    tolerated = reconcile(*rows, settings=by_hand(match(*pair), tolerances=(TOLERANCE,)))
    assert not tolerated.breaks
    assert tolerated.matches[0].state is MatchState.TOLERATED


def test_rows_of_one_side_make_up_for_each_other() -> None:
    """Fails when a surplus and its refund, or a booking and the one against it, can't be matched with each other."""
    refund = moved(2, kind=RowKind.REFUND)
    assert seen(reconcile([], [moved(1), refund])) == [("missing_in_ledger", "r1"), ("orphan_refund", "r2")]
    assert not reconcile([], [moved(1), refund], settings=by_hand(match(reported("t1"), reported("t2")))).breaks
    short = reconcile(
        [], [moved(1), replace(refund, amount_minor=-400)], settings=by_hand(match(reported("t1"), reported("t2")))
    )
    assert [(one.break_class.value, one.amount_minor) for one in short.breaks] == [("amount_mismatch", 600)]


@pytest.mark.parametrize(
    ("rows", "more", "state"),
    [
        ((ledger("e1"), reported("t9")), [], MatchState.ROWS_MISSING),
        ((ledger("e9"), reported("t9")), [], MatchState.ROWS_MISSING),
        ((ledger("e1"), reported("t2")), [moved(2, amount_minor=900)], MatchState.TOLD_DIFFERENTLY),
        ((ledger("e1"), reported("t2")), [], MatchState.MATCHED),
        ((ledger("e1"), reported("t3")), [moved(3, currency="USD")], MatchState.SEVERAL_CURRENCIES),
    ],
)
def test_a_match_that_can_not_be_applied_is_said_and_changes_nothing(
    rows: tuple[RowRef, ...], more: list[GatewayRow], state: MatchState
) -> None:
    """Fails when rows that the run lacks are an error, or half of a match is applied."""
    files = ([entry(1)], [moved(2)], more)
    after = reconcile(*files, settings=by_hand(match(*rows)))
    assert [one.state for one in after.matches] == [state]
    assert (seen(after) == seen(reconcile(*files))) is (state is not MatchState.MATCHED)


def test_matches_that_contradict_each_other_are_both_left() -> None:
    """Fails when the first, the last or either of two contradicting matches is applied."""
    both = by_hand(match(ledger("e1"), reported("t2")), match(ledger("e1"), reported("t3"), number=2))
    rows = ([entry(1)], [moved(2), moved(3)])
    result = reconcile(*rows, settings=both)
    assert not result.matches
    assert seen(result) == seen(reconcile(*rows))


def test_the_digest_tells_other_decisions_apart() -> None:
    """Fails when two runs that end alike, by decisions about other rows, have one digest."""
    rows = ([entry(1), entry(2)], [moved(3), moved(4)])
    one = by_hand(match(ledger("e1"), reported("t3")), match(ledger("e2"), reported("t4"), number=2))
    other = by_hand(match(ledger("e1"), reported("t4"), number=3), match(ledger("e2"), reported("t3"), number=4))
    runs = [reconcile(*rows, settings=each) for each in (one, other, one)]
    assert runs[0].tallies == runs[1].tallies
    assert runs[0].digest == runs[2].digest != runs[1].digest


def test_the_same_rows_in_overlapping_files_are_matched_once() -> None:
    """Fails when a row that two files have in common is counted twice, which would break conservation."""
    result = reconcile(
        [entry(1), entry(1)], [moved(2)], [moved(2)], settings=by_hand(match(ledger("e1"), reported("t2")))
    )
    assert not result.breaks
    assert ended(result) == {side: {Outcome.MATCHED: 1} for side in ("ledger", "gateway")}
    assert [(one.rows, one.amount_minor) for one in result.balance] == [(1, 1000)]


def test_rows_that_take_back_and_disputes_can_be_matched() -> None:
    """Fails when only charges and refunds are taken out of what follows."""
    lost = moved(2, kind=RowKind.DISPUTE_LOST)
    refund = entry(1, kind=LedgerKind.REFUND)
    assert not reconcile([refund], [lost], settings=by_hand(match(ledger("e1"), reported("t2")))).breaks
    declined = entry(3, state=LedgerState.DECLINED)
    assert not reconcile([declined], [moved(3)], settings=by_hand(match(ledger("e3"), reported("t3")))).breaks


# Tolerances.


@pytest.mark.parametrize(
    ("tolerance", "off", "tolerated"),
    [
        (None, -1, False),
        (TOLERANCE, -10, True),
        (TOLERANCE, 10, True),
        (TOLERANCE, -11, False),
        (replace(TOLERANCE, gateway="other"), -1, False),
        (replace(TOLERANCE, currency="USD"), -1, False),
        (replace(TOLERANCE, payout=True), -1, False),
        (replace(TOLERANCE, amount_minor=None, basis_points=50), -5, True),
        (replace(TOLERANCE, amount_minor=None, basis_points=50), -6, False),
        (replace(TOLERANCE, basis_points=50), -6, False),
        (replace(TOLERANCE, amount_minor=4, basis_points=50), -5, False),
    ],
)
def test_a_pair_within_the_tolerance_is_matched_and_what_it_is_off_is_said(
    tolerance: Tolerance | None, off: int, *, tolerated: bool
) -> None:
    """Fails for each bound that is not kept, and when the tolerated difference is not told with its sum."""
    tolerances = () if tolerance is None else (tolerance,)
    result = reconcile([entry(1)], [moved(1, amount_minor=1000 + off)], settings=by_hand(tolerances=tolerances))
    assert seen(result) == ([] if tolerated else [("amount_mismatch", "r1")])
    totals = [(one.how, one.gateway, one.currency, one.rows, one.difference_minor) for one in result.difference_totals]
    assert totals == ([("tolerated", "bank", "EUR", 1, off)] if tolerated else [])
    assert [(one.row_key, one.other_key) for one in result.differences] == ([("bank|t1", "e1")] if tolerated else [])


def test_the_largest_amount_has_a_tolerance_too() -> None:
    """Fails when basis points of an amount of eighteen digits exceed 64 bits, so that the run has no result."""
    largest = 10**18 - 1
    share = replace(TOLERANCE, amount_minor=None, basis_points=1_000)
    rows = ([entry(1, amount_minor=largest)], [moved(1, amount_minor=largest - 10**17)])
    assert seen(reconcile(*rows, settings=by_hand(tolerances=(share,)))) == [("amount_mismatch", "r1")]
    rows = ([entry(1, amount_minor=largest)], [moved(1, amount_minor=largest - 10**17 + 1)])
    assert seen(reconcile(*rows, settings=by_hand(tolerances=(share,)))) == []
    pair = match(ledger("e1"), reported("t1"))
    assert seen(reconcile(*rows, settings=by_hand(pair, tolerances=(share,)))) == []


def test_a_tolerated_pair_is_still_judged_by_everything_else() -> None:
    """Fails when a tolerance of the amount hides that it came too late."""
    late = moved(1, amount_minor=995, available_at_ms=SETTINGS.as_of_ms)
    result = reconcile([entry(1)], [late], settings=by_hand(tolerances=(TOLERANCE,)))
    assert [(one.break_class.value, one.amount_minor) for one in result.breaks] == [("late_settlement", 995)]
    assert len(result.differences) == 1


CHARGES = Tolerance(gateway="gw", currency="EUR", amount_minor=500, payout=True, reason="the bank's charges")


@pytest.mark.parametrize(
    ("tolerances", "came", "seen_"),
    [
        ((), [4990], [("payout_different", 10)]),
        ((CHARGES,), [4990], []),
        ((CHARGES,), [2000, 2990], []),
        ((CHARGES,), [4499], [("payout_different", 501)]),
        ((replace(CHARGES, payout=False),), [4990], [("payout_different", 10)]),
        ((CHARGES,), [5000, 100], [("duplicate_credit", 100)]),
        ((CHARGES,), [5000, -5000], [("payout_returned", 5000)]),
    ],
)
def test_what_a_bank_takes_of_a_payout_is_tolerated_where_the_policy_says_so(
    tolerances: tuple[Tolerance, ...], came: list[int], seen_: list[tuple[str, int]]
) -> None:
    """Fails when bank charges are a break although tolerated, or a second credit or a return is tolerated too."""
    lines = [bank.line(amount, 1 + on, bank.PO) for on, amount in enumerate(came)]
    result = bank.reconcile(
        [bank.payout()], [bank.stated(1, *lines)], settings=replace(bank.SETTINGS, tolerances=tolerances)
    )
    assert bank.seen(result) == seen_
    totals = [(one.how, one.difference_minor) for one in result.difference_totals]
    assert totals == ([] if seen_ else [("tolerated_payout", sum(came) - 5000)])


# Payouts and bank lines by hand.


def line_keys(rows: list[GatewayRow], statement: Any) -> dict[int, str]:
    """Return the lines' keys by amount: each statement here is one of open items."""
    result = bank.reconcile(rows, [statement])
    items = {item.amount_minor: item.row_key for item in result.open_items if item.source.value == "bank"}
    shown = {
        int(row.fields["amount_minor"] or 0): row.row_key
        for found in result.breaks
        for row in found.evidence
        if row.source.value == "bank"
    }
    return items | shown


def test_a_payout_and_the_line_that_a_person_names_are_matched() -> None:
    """Fails when a payout that the bank does not name can't be matched by hand, or its difference is not said."""
    statement = bank.stated(9, bank.line(4900, 9, "WIRE 77"), bank.line(77, 9, "rent"))
    key = line_keys([], statement)[4900]
    rows = (reported(f"tx_{bank.PO}", "gw"), RowRef("bank", key))
    [missing] = bank.reconcile([bank.payout()], [statement]).breaks
    assert missing.break_class.value == "payout_missing"
    assert missing.evidence[0].row_key == rows[0].row_key
    different = bank.reconcile([bank.payout()], [statement], settings=replace(bank.SETTINGS, matches=(match(*rows),)))
    assert bank.seen(different) == [("payout_different", 100)]
    assert {row.row_key for row in different.breaks[0].evidence} == {row.row_key for row in rows}
    accepted = match(*rows, accept_difference=True)
    result = bank.reconcile([bank.payout()], [statement], settings=replace(bank.SETTINGS, matches=(accepted,)))
    assert not result.breaks
    assert [one.difference_minor for one in result.differences] == [-100]


def test_members_of_a_payout_stay_its_members() -> None:
    """Fails when a charge that is matched by hand is taken out of the sum of its payout, too."""
    rows = [bank.payout(), bank.member("a", 3000), bank.member("b", 2000)]
    statement = bank.stated(1, bank.line(5000, 1, bank.PO))
    charge = replace(rows[1], kind=RowKind.CHARGE)
    again = replace(rows[1], kind=RowKind.REFUND, transaction_id="c", amount_minor=-3000, payout_id=None)
    settled = replace(bank.SETTINGS, matches=(match(reported("a", "gw"), reported("c", "gw")),))
    assert not bank.reconcile([rows[0], charge, rows[2], again], [statement], settings=settled).breaks


def test_a_payout_of_which_the_report_has_only_the_members_can_be_matched() -> None:
    """Fails for gateways such as Stripe, whose payout reconciliation has no row of a payout."""
    rows = [bank.member("a", 3000), bank.member("b", 2000)]
    statement = bank.stated(9, bank.line(5000, 9, "WIRE"))
    [missing] = bank.reconcile(rows, [statement]).breaks
    refs = (RowRef("gateway", missing.evidence[0].row_key), RowRef("bank", line_keys([], statement)[5000]))
    result = bank.reconcile(rows, [statement], settings=replace(bank.SETTINGS, matches=(match(*refs),)))
    assert (result.breaks, result.matches[0].state) == ((), MatchState.MATCHED)


# Rules of one's own.

RENT = OwnRule(source="bank", field="description", pattern="(?i)acme rent", label="rent, not ours")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (RENT, True),
        (replace(RENT, sign=-1), False),
        (replace(RENT, sign=1), True),
        (replace(RENT, from_minor=5001), False),
        (replace(RENT, from_minor=5000, until_minor=5001), True),
        (replace(RENT, until_minor=5000), False),
        (replace(RENT, currency="USD"), False),
        (replace(RENT, account="NL02"), False),
        (replace(RENT, account="NL01BANK0123456789"), True),
        (replace(RENT, field="reference", pattern="R-7"), True),
        (replace(RENT, field="counterparty", pattern="^Acme$"), True),
        (replace(RENT, source="gateway", field="reference", pattern="acme"), False),
    ],
)
def test_a_rule_of_ones_own_names_the_rows_that_it_fits(rule: OwnRule, *, named: bool) -> None:
    """Fails for each condition that is not kept. The line has the payout's amount, and would be taken for it."""
    line = bank.line(5000, 1, "R-7", description="ACME RENT march", counterparty="Acme")
    result = bank.reconcile([bank.payout()], [bank.stated(1, line)], settings=replace(bank.SETTINGS, rules=(rule,)))
    assert [found.break_class.value for found in result.breaks] == (["payout_missing"] if named else [])
    items = [(one.reason, one.rows, one.amount_minor) for one in result.open_totals if one.source.value == "bank"]
    assert items == ([("rule: rent, not ours", 1, 5000)] if named else [])


def test_the_first_rule_that_fits_is_the_rule_and_a_match_goes_before_it() -> None:
    """Fails when the order of the rules does not count, or a rule takes a row out of a person's match."""
    rules = tuple(
        OwnRule(source="gateway", field="reference", pattern=pattern, label=label)
        for pattern, label in (("r3", "three"), ("r", "any"))
    )
    result = reconcile(
        [entry(1)], [moved(2), moved(3), moved(4)], settings=by_hand(match(ledger("e1"), reported("t2")), rules=rules)
    )
    assert Counter(item.reason for item in result.open_items) == {"rule: three": 1, "rule: any": 1}
    assert not result.breaks


def test_a_pattern_that_would_backtrack_for_ever_does_not() -> None:
    """Fails when texts of strangers are searched by backtracking, which takes 2^n steps here.

    RE2's promise: https://github.com/google/re2/wiki/WhyRE2
    """
    bomb = OwnRule(source="gateway", field="reference", pattern="(a+)+(b+)+(a|aa)+$", label="bomb")
    result = reconcile([], [moved(1, reference="a" * 5_000 + "!")], settings=by_hand(rules=(bomb,)))
    assert [one.break_class.value for one in result.breaks] == ["missing_in_ledger"]


def test_spark_refuses_rules_before_anything() -> None:
    """Fails when Java's regular expressions, which backtrack, would search the texts of strangers, or nothing would."""
    with pytest.raises(BodyMalformed, match="one machine only"):
        SparkEngine(None).run(by_hand(rules=(RENT,)))


# Whatever is decided.

_AMOUNTS = st.sampled_from([1000, 990, 500])


@settings(max_examples=15)
@given(st.data())
def test_a_match_keeps_conservation_and_every_break_that_it_does_not_concern(data: st.DataObject) -> None:
    """Fails when a match loses or doubles a row (the run then raises), or changes what is said of rows beside it.

    A break is beside it if none of its rows has a reference in common with the match's.
    """
    ours: list[LedgerRow] = [
        entry(number, entry_id=f"e{place}", amount_minor=amount)
        for place, (number, amount) in enumerate(
            data.draw(st.lists(st.tuples(st.integers(0, 5), _AMOUNTS), max_size=8))
        )
    ]
    theirs: list[GatewayRow] = [
        moved(number, transaction_id=f"t{place}", amount_minor=amount)
        for place, (number, amount) in enumerate(
            data.draw(st.lists(st.tuples(st.integers(0, 5), _AMOUNTS), max_size=8))
        )
    ]
    known = {ledger(row.entry_id): row.reference for row in ours} | {
        reported(row.transaction_id): str(row.reference) for row in theirs
    }
    rows = data.draw(
        st.lists(st.sampled_from([*sorted(known), ledger("none"), ledger("no")]), min_size=2, max_size=4, unique=True)
    )
    accepts = data.draw(st.booleans())
    before = reconcile(ours, theirs)
    after = reconcile(ours, theirs, settings=by_hand(match(*rows, accept_difference=accepts)))
    concerned = {known[row] for row in rows if row in known}

    def beside(result: RunResult) -> dict[str, tuple[object, ...]]:
        return {
            one.break_id: (one.amount_minor, one.evidence)
            for one in result.breaks
            if one.subject[1] != "mat_1"
            and not concerned & {known[RowRef(e.source.value, e.row_key)] for e in one.evidence}  # type: ignore[arg-type]
        }

    assert beside(before) == beside(after)
    count = {
        side: sum(tally.rows for tally in after.tallies if tally.source.value == side) for side in ("ledger", "gateway")
    }
    assert count == {"ledger": len(ours), "gateway": len(theirs)}
