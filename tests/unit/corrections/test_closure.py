"""From the report that shows a double charge to the run that proves it gone."""

from __future__ import annotations

from datetime import UTC, datetime

from payonce.corrections.following import break_of
from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import OperationKind, Succeeded
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import check_corrected, corrections_in, deadline
from tests.unit.reconciliation.test_runs import HEADER, Desk


def report_of_the_bank(desk: Desk) -> None:
    """The bank's report of everything that it really did arrives."""
    lines, total = [HEADER + ",gateway_payment_id"], 0
    for booking in desk.world.gateway.succeeded():
        assert isinstance(booking.outcome, Succeeded)
        at = datetime.fromtimestamp(booking.visible_at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        sign = -1 if booking.instruction.kind is OperationKind.REFUND else 1
        kind = "refund" if sign < 0 else "charge"
        minor = sign * booking.instruction.money.amount_minor
        total += minor
        lines.append(
            f"{kind},{booking.outcome.gateway_operation_id},{booking.instruction.gateway_reference},{_euros(minor)},0.00,"
            f"{_euros(minor)},EUR,{at},,,{booking.outcome.gateway_charge_id}"
        )
    lines.append(f"total,{len(lines) - 1},,{_euros(total)},0.00,{_euros(total)},EUR,,,,")
    desk.reports += 1
    name = f"incoming/gateway/bank/{desk.reports}.csv"
    desk.files.stored[name] = ("\n".join(lines) + "\n").encode()
    desk.inbox.accept(name)


def _euros(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def test_a_double_charge_is_found_given_back_and_proved_gone() -> None:
    """Fails when the correction's entries are no movements: the surplus charge would be a break for ever."""
    desk = Desk()
    desk.pay("a-key")
    desk.world.gateway.submit(desk.world.gateway.submissions[-1], deadline(desk.world))
    report_of_the_bank(desk)
    assert desk.run(hours=1).counts == RunCounts(opened=1)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.DUPLICATE_CAPTURE
    found = break_of(case)
    assert found.break_id == case.break_id
    assert desk.workflows.started == [(case.break_id, 1)]
    step = corrections_in(desk.world).advance(found, deadline(desk.world))
    assert step.correction.status is CorrectionStatus.CORRECTED
    check_corrected(desk.world, found)

    # The bank has not reported the refund yet: the books agree, and nothing is proved.
    assert desk.run(hours=1).counts == RunCounts()
    desk.world.clock.ms += 1_000
    report_of_the_bank(desk)
    report = desk.run(hours=48)
    assert (report.breaks, report.counts) == (0, RunCounts(closed=1))
    assert desk.workflows.started == [(case.break_id, 1)]


def test_what_a_correction_books_is_no_purchase_of_the_payer() -> None:
    """Fails when the entry of the surplus names the payer: it is booked when it is given back, and what the payer buys
    for the same price just then would be taken for its double.
    """
    desk = Desk()
    desk.pay("a-key")
    desk.world.gateway.submit(desk.world.gateway.submissions[-1], deadline(desk.world))
    report_of_the_bank(desk)
    desk.run(hours=1)
    (case,) = desk.opened()
    assert corrections_in(desk.world).advance(break_of(case), deadline(desk.world)).correction.outcome == "executed"
    desk.world.clock.ms += 1_000
    desk.world.create("another-sale")
    report_of_the_bank(desk)
    desk.run(hours=48)
    assert desk.opened() == []
