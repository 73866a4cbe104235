"""What does not prove itself is matched, and settles nothing: in the rules, in runs, in the inbox."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.errors import FileRejected
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.runs.run_policy import RunPolicy
from payonce.reconciliation.runs.stored_policy import POLICY_FILE
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.test_bank_rules import PO, line, payout, reconcile, seen, stated
from tests.unit.reconciliation.test_inbox import STATEMENT, World
from tests.unit.reconciliation.test_mapped_tables import SPARKASSE
from tests.unit.reconciliation.test_runs import HEADER, Desk, _iso
from tests.unit.reconciliation.test_runs_period import BANK_HEADER, accept

UNPROVED = "lines are missing or were changed"
MAPPING = b"""
[[mappings]]
account = "A1"
separator = ";"
decimal_sign = ","
date_form = "DD.MM.YYYY"
[mappings.columns]
booking_date = "Buchungstag"
amount = "Betrag"
currency = "Waehrung"
"""


def test_a_line_of_an_unproved_statement_is_matched() -> None:
    """Fails when a payout that an unproved file shows is still called missing."""
    told = replace(stated(1, line(5000, 1, PO)), unproved=UNPROVED)
    assert seen(reconcile([payout()], [told])) == []


def test_balances_that_are_not_proved_are_held_against_no_other() -> None:
    """Fails when a statement that contradicts itself makes its neighbours contradict it, too."""
    wrong = replace(stated(2, line(7, 2), opening=5000), closing_minor=9_999, unproved=UNPROVED)
    before, after = stated(1, line(5000, 1)), stated(3, opening=5000)
    assert seen(reconcile([], [before, wrong, after])) == []
    assert seen(reconcile([], [before, replace(wrong, unproved=None), after]))


def test_the_statement_of_a_day_counts_and_not_the_interim_report_before_it() -> None:
    """Fails when a credit that both tell of, in other words, is a duplicate."""
    interim = replace(stated(1, line(5000, 1, PO, description="intraday"), opening=None), unproved="interim")
    told = stated(1, line(5000, 1, PO, description="booked"))
    assert seen(reconcile([payout()], [interim, told])) == []
    assert seen(reconcile([payout()], [told, interim], one_by_one=True)) == []


def paid_out(desk: Desk) -> None:
    """The gateway's report of a payout of 10.00 arrives."""
    at = _iso(desk.world.clock.now_ms() // 1000)
    row = f"payout,t1,,-10.00,0.00,-10.00,EUR,{at},,payout-number-one"
    accept(desk, "incoming/gateway/bank/p.csv", HEADER, row, "total,1,,-10.00,0.00,-10.00,EUR,,,")


def credited(desk: Desk, number: int, *, closing: int) -> None:
    """The bank's statement with the payout in it arrives, with a closing balance in whole euros."""
    day = _iso(desk.world.clock.now_ms() // 1000)[:10]
    accept(
        desk,
        f"incoming/bank/{number}.csv",
        BANK_HEADER,
        f"opening,NL26BANK0001,EUR,,,0.00,2026-{number:03d},,,",
        f"line,NL26BANK0001,EUR,{day},{day},10.00,payout-number-one,,,",
        f"closing,NL26BANK0001,EUR,,,{closing}.00,,,,",
    )


def missed(desk: Desk) -> str:
    """Return the case of a payout that the bank does not show."""
    paid_out(desk)
    accept(
        desk,
        "incoming/bank/0.csv",
        BANK_HEADER,
        "opening,NL26BANK0001,EUR,,,0.00,S,,,",
        "closing,NL26BANK0001,EUR,,,0.00,,,,",
    )
    desk.run(hours=8 * 24)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.PAYOUT_MISSING
    return case.break_id


@pytest.mark.parametrize(("closing", "status"), [(10, CaseStatus.CLOSED), (99, CaseStatus.OPEN)])
def test_only_what_is_proved_closes_a_case(closing: int, status: CaseStatus) -> None:
    """Fails when the payout's line in a statement that contradicts its balances closes the case of its missing."""
    desk = Desk()
    break_id = missed(desk)
    credited(desk, 1, closing=closing)
    report = desk.run(hours=1)
    assert report.breaks == 0
    assert desk.cases.get(break_id).status is status


def test_a_proved_statement_closes_what_an_unproved_one_left_open() -> None:
    """Fails when a case stays open although the statement of the day has come at last."""
    desk = Desk()
    break_id = missed(desk)
    credited(desk, 1, closing=99)
    desk.run(hours=1)
    credited(desk, 2, closing=10)
    assert desk.run(hours=1).counts.closed == 1
    assert desk.cases.get(break_id).status is CaseStatus.CLOSED


def test_the_inbox_says_what_does_not_prove_itself_and_refuses_it_where_the_policy_says_so() -> None:
    """Fails when a strict policy lets it in, or the default keeps it out."""
    world = World()
    wrong = STATEMENT.replace(b"15.50", b"15.51")
    assert UNPROVED in world.put("incoming/bank/a.csv", wrong).unproved[0]
    assert world.put("incoming/bank/b.csv", STATEMENT).unproved == ()
    world.inbox._policy = lambda: RunPolicy(strict=True)
    with pytest.raises(FileRejected, match="does not prove itself"):
        world.put("incoming/bank/c.csv", STATEMENT.replace(b"15.50", b"15.52"))


def test_the_stored_policy_maps_the_tables_that_come_in() -> None:
    """Fails when a mapping in policy/run.toml is not what the inbox reads a bank's table by, or is forgotten later."""
    desk = Desk()
    desk.files.stored[POLICY_FILE] = MAPPING
    policy = desk.runs._policy
    desk.inbox._policy = desk.rows._policy = lambda: policy.in_force().policy
    desk.files.stored["incoming/bank/a.csv"] = SPARKASSE
    assert desk.inbox.accept("incoming/bank/a.csv").file.file_format == "mapped_bank_table"
    for name in [name for name in desk.files.stored if name.startswith("rows/")]:
        del desk.files.stored[name]
    assert desk.run(hours=1).rows == 3
