"""What a run finds of days that its period has partly left."""

from __future__ import annotations

from payonce.outbox import day_partition
from payonce.ports import Adjust, Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.runs.kept_rows import WEEK_MS, week_start_ms
from payonce.reconciliation.runs.ledger_rows import booked_rows
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.test_runs import DAY_MS, HEADER, HOUR_MS, Desk, _iso

BANK_HEADER = "record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description"


def accept(desk: Desk, name: str, *lines: str) -> None:
    desk.files.stored[name] = ("\n".join(lines) + "\n").encode()
    assert desk.inbox.accept(name).new


def statement(desk: Desk, number: int, reference: str, *, opening: int, amount: int = 10) -> None:
    """The bank's statement of today arrives, with one credit in whole euros."""
    day = _iso(desk.world.clock.now_ms() // 1000)[:10]
    accept(
        desk,
        f"incoming/bank/{number}.csv",
        BANK_HEADER,
        f"opening,NL26BANK0001,EUR,,,{opening}.00,2026-{number:03d},,,",
        f"line,NL26BANK0001,EUR,{day},{day},{amount}.00,{reference},,,",
        f"closing,NL26BANK0001,EUR,,,{opening + amount}.00,,,,",
    )


def month_of_payouts(desk: Desk, *paid_at_ms: int) -> None:
    """The gateway's report of a month arrives: payouts of 10.00, named by the time."""
    rows = [f"payout,payout-at-{at},,-10.00,0.00,-10.00,EUR,{_iso(at // 1000)},,payout-at-{at}" for at in paid_at_ms]
    total = -10 * len(rows)
    accept(
        desk, "incoming/gateway/bank/month.csv", HEADER, *rows, f"total,{len(rows)},,{total}.00,0.00,{total}.00,EUR,,,"
    )


def test_a_payout_is_not_missing_because_its_statement_left_the_period_before_the_report_did() -> None:
    """Fails when a bank's break is believed of days whose statements are no longer looked at.

    ::

        statement ──┐ day 1                 │ period of a later run
                    └───── report of a month, day 29 ──────────────
    """
    desk = Desk()
    desk.world.clock.ms = week_start_ms(desk.world.clock.ms) + WEEK_MS + HOUR_MS
    paid, lost = desk.world.clock.ms, desk.world.clock.ms + 20 * DAY_MS
    statement(desk, 1, f"payout-at-{paid}", opening=0)
    desk.world.clock.ms += 28 * DAY_MS
    month_of_payouts(desk, paid, lost)
    desk.run(hours=1)
    (case,) = desk.opened()
    assert (case.break_class, case.subject[1]) == (BreakClass.PAYOUT_MISSING, f"payout-at-{lost}")
    for number in range(4):
        statement(desk, 2 + number, "", opening=10 + number, amount=1)
        desk.run(hours=9 * 24)
    assert [each.break_id for each in desk.opened()] == [case.break_id]
    assert desk.cases.get(case.break_id).status is CaseStatus.OPEN


def at_the_end_of_a_week(desk: Desk, *, days: int = 0, hours: int = 0) -> int:
    """So long before the beginning of a week, which is returned."""
    week_ms = week_start_ms(desk.world.clock.ms) + 2 * WEEK_MS
    desk.world.clock.ms = week_ms - days * DAY_MS - hours * HOUR_MS
    return week_ms


def test_what_a_report_names_by_its_payment_alone_is_known_however_old_the_report_is() -> None:
    """Fails when the journal is read only a day further back than files: a week's report tells of days before that.

    ::

        journal  day 1 ─ paid        │ files of a later run
        report           └── day 5 ──┼─ arrives, without our reference
    """
    desk = Desk()
    week_ms = at_the_end_of_a_week(desk, days=4)
    desk.pay("a-key")
    (row,) = booked_rows(desk.database, from_ms=week_ms - 5 * DAY_MS, until_ms=week_ms)
    charge = f"charge,t1,,10.00,0.00,10.00,EUR,{_iso(row.booked_at_ms // 1000)},,,{row.gateway_payment_id}"
    desk.world.clock.ms = week_ms + HOUR_MS
    accept(
        desk, "incoming/gateway/bank/week.csv", f"{HEADER},gateway_payment_id", charge,
        "total,1,,10.00,0.00,10.00,EUR,,,,",
    )  # fmt: skip
    assert desk.run(hours=1).breaks == 0
    desk.world.clock.ms = week_ms + 41 * DAY_MS
    assert desk.run().breaks == 0
    assert desk.runs.run().rows == 2  # it was compared, not left out


def test_a_dispute_of_an_old_charge_does_not_make_its_report_missing() -> None:
    """Fails when any row that names a charge from before the period brings it in: its own report is not read again."""
    desk = Desk()
    week_ms = at_the_end_of_a_week(desk, hours=12)
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10))
    desk.world.clock.ms = week_ms + DAY_MS
    desk.report(("dispute", reference, -10))
    desk.world.clock.ms = week_ms + 41 * DAY_MS
    desk.run()
    assert [case.break_class for case in desk.opened()] == [BreakClass.DISPUTE_OPEN]


def test_a_second_capture_is_not_proved_gone_because_the_first_one_left_the_period() -> None:
    """Fails when a case closes because its latest row alone is looked at, and no longer what it was too much beside.

    ::

        first capture, day 1 ──┐ │ files of a later run
        second, day 20         │ │────────┐ alone, it looks like the one that we booked
    """
    desk = Desk()
    week_ms = at_the_end_of_a_week(desk, hours=12)
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10))
    desk.world.clock.ms = week_ms + 20 * DAY_MS
    desk.report(("charge", reference, 10))
    desk.run(hours=1)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.DUPLICATE_CAPTURE
    desk.world.clock.ms = week_ms + 42 * DAY_MS
    assert desk.run().counts == RunCounts()
    assert [each.break_id for each in desk.opened()] == [case.break_id]


def test_a_statement_that_does_not_go_on_is_not_proved_right_because_the_one_before_left_the_period() -> None:
    """Fails when a balance break closes for want of a statement to hold it against."""
    desk = Desk()
    week_ms = at_the_end_of_a_week(desk, hours=12)
    statement(desk, 1, "", opening=0)
    desk.world.clock.ms = week_ms + 30 * DAY_MS
    statement(desk, 2, "", opening=99)
    desk.run(hours=1)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.BALANCE_BREAK
    desk.world.clock.ms = week_ms + 42 * DAY_MS
    assert desk.run().counts == RunCounts()
    assert [each.break_id for each in desk.opened()] == [case.break_id]


def test_a_gap_closes_when_the_statement_comes() -> None:
    """Fails when no statement is ever found to go on from another."""
    desk = Desk()
    for number in (1, 3):
        statement(desk, number, "", opening=10 * (number - 1))
        desk.world.clock.ms += DAY_MS
    assert desk.run().counts == RunCounts(opened=1)
    desk.world.clock.ms -= 2 * DAY_MS
    statement(desk, 2, "", opening=10)
    assert desk.run(hours=49).counts == RunCounts(closed=1)


def test_what_was_booked_weeks_after_its_report_is_not_missing_when_the_report_left_the_period() -> None:
    """Fails when a movement that was in doubt is looked for only in files from after its booking, and when
    one that never was reported is proved right by that.

    ::

        sent ─ report ──┐             │ files of a later run
                        └─ in doubt ──┼── booked, day 12
    """
    desk = Desk()
    week_ms = at_the_end_of_a_week(desk, hours=12)
    reference, lost = desk.pay("a-key"), desk.pay("lost-key")
    desk.report(("charge", reference, 10))
    booked_at_ms = week_ms + 12 * DAY_MS
    moved = {"created_at_ms": booked_at_ms, "day_shard": day_partition(booked_at_ms, 0)}
    for item in list(desk.database._tables[Table.OUTBOX].values()):  # type: ignore[attr-defined]
        desk.database.write([Adjust(table=Table.OUTBOX, key={"pk": item["pk"], "sk": item["sk"]}, set=moved)])
    desk.world.clock.ms = week_ms + 13 * DAY_MS
    missing = desk.pay("other-key")
    desk.run(hours=25)
    desk.world.clock.ms = week_ms + 41 * DAY_MS
    desk.run()
    assert {case.break_class for case in desk.opened()} == {BreakClass.MISSING_IN_GATEWAY}
    assert {case.subject[1] for case in desk.opened()} == {lost, missing}
