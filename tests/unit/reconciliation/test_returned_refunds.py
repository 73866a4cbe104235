"""Refunds that came back: the gateway's row agrees with our entry that reverses the refund, or is a break.

The gateways call the row ``refund_failure`` (https://docs.stripe.com/reports/balance-transaction-types),
``RefundedReversed`` (https://docs.adyen.com/reporting/settlement-detail-report/) and a returned refund
(https://docs.mollie.com/reference/list-balance-transactions).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.gateway import OperationKind
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import LedgerKind, LedgerRow
from payonce.reconciliation.readers.rows import FileFormat, GatewayRow, ReconciliationFile, RowKind
from payonce.reconciliation.runs.ledger_rows import booked_rows, rows_of
from tests.unit.payments.test_elsewhere import captured
from tests.unit.payments.test_returned_refunds import refunded
from tests.unit.payments.test_taken_back import look
from tests.unit.reconciliation.transactions import HOUR_MS, SETTINGS, START_MS, entry, moved, reconcile, seen

REFUND = LedgerKind.REFUND


def booked(number: str, amount_minor: int, reference: str = "f1", *, at: int = 1, **more: object) -> LedgerRow:
    """Return our entry of a refund, or of one's return."""
    changes = {"kind": REFUND, "amount_minor": amount_minor, "reference": reference, "payment_id": "pay1"}
    return entry(number, **changes, gateway_payment_id="c1", booked_at_ms=START_MS + at * HOUR_MS, **more)


def shown(number: str, kind: RowKind, amount_minor: int, reference: str | None = "f1", *, at: int = 1) -> GatewayRow:
    """Return the gateway's row of it."""
    named = {"reference": reference, "gateway_payment_id": "c1"}
    return moved(number, kind=kind, amount_minor=amount_minor, created_at_ms=START_MS + at * HOUR_MS, **named)


CHARGE, CHARGED = entry(1, gateway_payment_id="c1"), moved(1, gateway_payment_id="c1")
OURS, THEIRS = booked("f1", -400), shown("x1", RowKind.REFUND, -400)
BACK, RETURNED = (
    booked("f2", 400, at=2, reverses_entry_id=OURS.entry_id),
    shown("x2", RowKind.REFUND_REVERSAL, 400, at=2),
)
AGAIN, SECOND = booked("f3", -400, "f3", at=3), shown("x3", RowKind.REFUND, -400, "f3", at=3)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([OURS, BACK], [THEIRS, RETURNED], []),
        ([OURS], [THEIRS, RETURNED], ["refund_failed"]),
        # It was refunded anew, for the same amount.
        ([OURS, BACK, AGAIN], [THEIRS, RETURNED, SECOND], []),
        ([OURS, AGAIN], [THEIRS, RETURNED, SECOND], ["refund_failed"]),
        # The refund is in an earlier report, or in an earlier period of our ledger, or in both.
        ([OURS, BACK], [RETURNED], []),
        ([BACK], [RETURNED], []),
        ([OURS], [RETURNED], ["refund_failed"]),
        # The gateway names no reference with the return.
        ([OURS, BACK], [THEIRS, replace(RETURNED, reference=None)], []),
        ([OURS], [THEIRS, replace(RETURNED, reference=None)], ["refund_failed"]),
        # Neither side ever had it: it failed before it had succeeded.
        ([], [THEIRS, RETURNED], []),
    ],
)
def test_a_return_agrees_with_its_entry_or_is_a_break(
    ours: list[LedgerRow], theirs: list[GatewayRow], expected: list[str]
) -> None:
    """Fails when a return that is booked stays a break for ever, or one that is not booked is none."""
    result = reconcile([CHARGE, *ours], [CHARGED, *theirs])
    assert [found[0] for found in seen(result)] == expected


def test_the_entry_of_an_earlier_period_is_looked_up() -> None:
    """The report has both rows, and the period of our ledger the return alone. Fails when its reference counts as
    known: the refund would be none of ours, and a break.
    """
    with DuckDbWorkspace() as workspace:
        workspace.add_ledger([CHARGE, BACK])
        rows = (CHARGED, THEIRS, RETURNED)
        file = ReconciliationFile("file", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=rows)
        workspace.add_file(file, gateway="bank")
        assert workspace.unknown_references() == [("bank", "f1")]
        workspace.add_ledger([OURS, BACK])
        assert workspace.unknown_references() == []
        assert seen(workspace.run(SETTINGS)) == []


@pytest.mark.parametrize("returned", [True, False])
def test_what_a_payment_books_agrees_with_the_gateways_rows(returned: bool) -> None:
    """A refund comes back, is booked, and is compared. Fails when the entry does not name the one that it reverses."""
    world, payment_id = captured()
    booking = refunded(world, payment_id, 400)
    if returned:
        world.gateway.give_back(booking)
        look(world, payment_id)
    reference = booking.instruction.gateway_reference
    rows = list(booked_rows(world.database, from_ms=world.clock.ms - 1, until_ms=world.clock.ms + 1))
    amounts = sorted(row.amount_minor for row in rows if row.reference == reference)
    assert amounts == ([-400, 400] if returned else [-400])
    ours = sorted(rows_of(world.database, [reference]), key=lambda row: row.amount_minor)
    assert [row.reverses_entry_id for row in ours] == ([None, ours[0].entry_id] if returned else [None])
    charged = moved(1, reference=f"{payment_id}-1", gateway_payment_id="c1", created_at_ms=world.clock.ms)
    theirs = [
        replace(THEIRS, reference=reference, created_at_ms=world.clock.ms),
        replace(RETURNED, reference=reference, created_at_ms=world.clock.ms),
    ]
    result = reconcile([replace(row, gateway=OURS.gateway) for row in rows], [charged, *theirs])
    assert [found[0] for found in seen(result)] == ([] if returned else ["refund_failed"])
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1
