"""The policy in the bucket: judged by at once, the last good one when it is wrong, the defaults when it is gone."""

from __future__ import annotations

from payonce.ports import Adjust, Table
from payonce.reconciliation.runs.stored_policy import IN_FORCE_KEY, MAX_POLICY_BYTES, POLICY_FILE
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.test_runs import Desk

FEE = b'[[fees]]\ngateway = "bank"\ncurrency = "EUR"\nfixed_minor = 99\n'


def test_runs_judge_by_the_policy_in_the_bucket() -> None:
    """Fails when runs judge by the defaults."""
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10))
    before = desk.run(hours=1)
    assert (before.breaks, before.policy_id, before.policy_refused) == (0, "", None)
    desk.files.stored[POLICY_FILE] = FEE
    after = desk.run(hours=1)
    assert len(after.policy_id) == 64
    assert [case.break_class for case in desk.opened()] == [BreakClass.FEE_MISMATCH]


def test_a_policy_with_a_mistake_is_said_and_the_last_good_one_stays() -> None:
    """Fails when a slip stops the runs, or when the defaults come back with it."""
    desk = Desk()
    desk.files.stored[POLICY_FILE] = b"in_transit_hours = 48\n"
    good = desk.run()
    # The last two are no mistake of TOML's grammar: the parser gives up on them with errors of its own.
    too_large = (b"#" * (MAX_POLICY_BYTES + 1), b"judged_days = " + b"1" * 5_000, b"fees = " + b"[" * 30_000)
    for bad in (b"in_transit_hour = 1\n", b"\xff", b"x = ", *too_large):
        desk.files.stored[POLICY_FILE] = bad
        report = desk.run()
        assert report.policy_id == good.policy_id
        assert POLICY_FILE in str(report.policy_refused)
    desk.pay("a-key")
    # By the default of 24 hours it would be missing.
    assert desk.run(hours=30).breaks == 0
    desk.files.stored[POLICY_FILE] = b"in_transit_hours = 1\n"
    report = desk.run()
    assert (report.breaks, report.policy_refused) == (1, None)


def test_a_first_policy_with_a_mistake_leaves_the_defaults_and_so_does_a_deleted_one() -> None:
    """Fails when a policy that was deleted comes back with the next mistake."""
    desk = Desk()
    desk.files.stored[POLICY_FILE] = b"nonsense"
    assert (desk.run().policy_id, desk.run().policy_refused is None) == ("", False)
    desk.files.stored[POLICY_FILE] = b"in_transit_hours = 48\n"
    assert desk.run().policy_id
    del desk.files.stored[POLICY_FILE]
    assert (desk.run().policy_id, desk.run().policy_refused) == ("", None)
    desk.files.stored[POLICY_FILE] = b"nonsense"
    assert desk.run().policy_id == ""


def test_a_last_good_policy_that_is_good_no_more_leaves_the_defaults() -> None:
    """Fails when a release that takes a setting away leaves its operators without runs."""
    desk = Desk()
    desk.files.stored[POLICY_FILE] = FEE
    desk.run()
    desk.database.write([Adjust(table=Table.RECONCILIATION, key=IN_FORCE_KEY, set={"text": "gone_hours = 1"})])
    desk.files.stored[POLICY_FILE] = b"gone_hours = 1"
    report = desk.run()
    assert report.policy_id == ""
    assert "the last good one, too: the policy" in str(report.policy_refused)
