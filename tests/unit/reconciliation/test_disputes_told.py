"""Disputes and reversals that our ledger tells of: they agree with the gateway's rows, or are a break, never both."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import FileRejected
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.model import LedgerKind, LedgerRow
from payonce.reconciliation.readers.ledger_csv import read_ledger_csv, write_ledger_csv
from payonce.reconciliation.readers.rows import FileFormat, GatewayRow, ReconciliationFile, RowKind
from tests.unit.reconciliation.transactions import HOUR_MS, SETTINGS, START_MS, entry, moved, reconcile, seen

DISPUTE, REVERSAL = LedgerKind.DISPUTE, LedgerKind.CHARGE_REVERSAL


def told(number: str, amount_minor: int, *, of: int = 1, kind: LedgerKind = DISPUTE, at: int = 1) -> LedgerRow:
    """Return our entry of a dispute's or a reversal's money, under the reference of its charge."""
    changes = {"kind": kind, "amount_minor": amount_minor, "reference": f"r{of}", "payment_id": f"pay{of}"}
    return entry(number, **changes, gateway_payment_id=f"c{of}", booked_at_ms=START_MS + at * HOUR_MS)


def shown(number: str, kind: RowKind, amount_minor: int, *, of: int = 1, at: int = 1, **more: object) -> GatewayRow:
    """Return the gateway's row of it."""
    named = {"reference": f"r{of}", "gateway_payment_id": f"c{of}", **more}
    return moved(number, kind=kind, amount_minor=amount_minor, created_at_ms=START_MS + at * HOUR_MS, **named)


def charge(number: int = 1) -> LedgerRow:
    return entry(number, gateway_payment_id=f"c{number}")


def charged(number: int = 1) -> GatewayRow:
    return moved(number, gateway_payment_id=f"c{number}")


OURS, THEIRS = told("d1", -1000), shown("x1", RowKind.DISPUTE, -1000)
BACK, GIVEN = told("d2", 1000, at=2), shown("x2", RowKind.DISPUTE_REVERSAL, 1000, at=2)
SECOND, TAKEN = told("d3", -1000, at=3), shown("x3", RowKind.DISPUTE_LOST, -1000, at=3)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([OURS], [THEIRS], []),
        ([OURS, BACK], [THEIRS, GIVEN], []),
        ([OURS, BACK, SECOND], [THEIRS, GIVEN, TAKEN], []),
        ([], [THEIRS, GIVEN], []),
        ([], [THEIRS], [("dispute_open", "r1", "")]),
        ([], [THEIRS, GIVEN, TAKEN], [("dispute_lost", "r1", "")]),
        # Our ledger has another sum than the gateway: each side shows what it has.
        ([told("d1", -999)], [THEIRS], [("dispute_open", "r1", ""), ("missing_in_gateway", "r1", "")]),
        ([OURS], [], [("missing_in_gateway", "r1", "")]),
        # The win is not booked: what our ledger still holds as withdrawn is no longer at the gateway.
        ([OURS], [THEIRS, GIVEN], [("missing_in_gateway", "r1", "")]),
        # It is never a duplicate posting, which a correction would take back.
        ([OURS, told("d2", -1000, at=2)], [THEIRS], [("missing_in_gateway", "r1", "")]),
    ],
)
def test_a_disputes_entries_agree_with_its_rows_or_are_a_break(
    ours: list[LedgerRow], theirs: list[GatewayRow], expected: list[tuple[str, ...]]
) -> None:
    """Fails when a dispute that is booked stays a break, or any entry makes any row right."""
    result = reconcile([charge(), *ours], [charged(), *theirs])
    assert [found[:2] for found in seen(result)] == [found[:2] for found in expected]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([told("v1", -1000, kind=REVERSAL)], [shown("y1", RowKind.CHARGE_REVERSAL, -1000)], []),
        ([told("v1", -300, kind=REVERSAL)], [shown("y1", RowKind.CHARGE_REVERSAL, -300)], []),
        (
            [told("v1", -300, kind=REVERSAL), told("v2", -700, kind=REVERSAL, at=2)],
            [shown("y1", RowKind.CHARGE_REVERSAL, -300), shown("y2", RowKind.CHARGE_REVERSAL, -700, at=2)],
            [],
        ),
        ([], [shown("y1", RowKind.CHARGE_REVERSAL, -1000)], [("settlement_reversed", "r1")]),
        ([told("v1", -1000, kind=REVERSAL)], [], [("missing_in_gateway", "r1")]),
        (
            [told("v1", -300, kind=REVERSAL)],
            [shown("y1", RowKind.CHARGE_REVERSAL, -1000)],
            [("missing_in_gateway", "r1"), ("settlement_reversed", "r1")],
        ),
    ],
)
def test_a_reversals_entry_agrees_with_its_row_or_is_a_break(
    ours: list[LedgerRow], theirs: list[GatewayRow], expected: list[tuple[str, ...]]
) -> None:
    """Fails when a reversal that is booked stays a settlement that was reversed, or another amount is right, too."""
    result = reconcile([charge(), *ours], [charged(), *theirs])
    assert [found[:2] for found in seen(result)] == expected


def test_a_reversal_whose_charge_was_in_the_report_before() -> None:
    """The row stands alone. Fails when it needs the charge's row to be told from an unknown one."""
    ours = told("v1", -1000, kind=REVERSAL)
    assert seen(reconcile([ours], [shown("y1", RowKind.CHARGE_REVERSAL, -1000)])) == []
    assert seen(reconcile([charge(), ours], [shown("y1", RowKind.CHARGE_REVERSAL, -1000)])) == []
    unknown = reconcile([charge(2)], [charged(2), shown("y1", RowKind.CHARGE_REVERSAL, -1000)])
    assert [found[0] for found in seen(unknown)] == ["settlement_reversed"]


def test_a_reversal_in_a_report_that_names_no_payments() -> None:
    """Fails when the row is settled in bulk with our entry and judged with its charge, too: it would count twice."""
    row = shown("y1", RowKind.CHARGE_REVERSAL, -1000, gateway_payment_id=None)
    assert seen(reconcile([charge(), told("v1", -1000, kind=REVERSAL)], [moved(1), row])) == []


def test_a_dispute_in_the_payers_currency_agrees_with_what_the_payer_saw() -> None:
    """The balance is in another currency, at another rate when the money comes back. Fails when only it is compared."""
    sees = {"currency": "USD", "presented_currency": "EUR"}
    ours = [charge(), OURS, BACK]
    paid = moved(1, gateway_payment_id="c1", amount_minor=1100, presented_minor=1000, **sees)
    taken = shown("x1", RowKind.DISPUTE, -1110, presented_minor=-1000, **sees)
    assert seen(reconcile([charge(), OURS], [paid, taken])) == []
    given = shown("x2", RowKind.DISPUTE_REVERSAL, 1090, presented_minor=1000, at=2, **sees)
    assert seen(reconcile(ours, [paid, taken, given])) == []


def test_charges_are_still_settled_in_bulk_beside_disputes_and_reversals() -> None:
    """Fails when the kinds of our ledger make a gateway's rows count twice, or a charge of the payment is lost."""
    ours = [
        *(charge(number) for number in range(1, 6)),
        told("d1", -1000, of=2),
        told("v1", -1000, of=3, kind=REVERSAL),
    ]
    rows = [
        *(charged(number) for number in range(1, 6)),
        shown("x1", RowKind.DISPUTE, -1000, of=2),
        shown("y1", RowKind.CHARGE_REVERSAL, -1000, of=3),
    ]
    result = reconcile(ours, rows)
    assert (seen(result), list(result.open_items)) == ([], [])


def test_what_matched_is_shown_together() -> None:
    """Fails when the entry of a dispute or of a reversal stands alone in the list of matches."""
    rows = [charged(), charged(2), THEIRS, shown("y1", RowKind.CHARGE_REVERSAL, -1000, of=2)]
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger([charge(), charge(2), OURS, told("v1", -1000, of=2, kind=REVERSAL)])
        file = ReconciliationFile("file", FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(rows))
        workspace.add_file(file, gateway="bank")
        workspace.run(SETTINGS)
        groups: dict[int, set[str]] = {}
        for line in workspace.matches():
            for row in (line.ledger, line.gateway_row):
                if row is not None:
                    groups.setdefault(line.number, set()).add(row.row_key.rpartition("|")[2])
    assert {"ed1", "tx1"} in groups.values()
    assert {"e2", "ev1", "t2", "ty1"} in groups.values()


entries = st.lists(
    st.tuples(st.sampled_from([DISPUTE, REVERSAL]), st.integers(1, 2), st.sampled_from([-1000, -300, 300, 1000])),
    max_size=5,
)
rows_shown = st.lists(
    st.tuples(
        st.sampled_from(
            [RowKind.DISPUTE, RowKind.DISPUTE_REVERSAL, RowKind.DISPUTE_LOST, RowKind.CHARGE_REVERSAL, RowKind.REFUND]
        ),
        st.integers(1, 2),
        st.sampled_from([300, 1000]),
    ),
    max_size=5,
)


@settings(max_examples=15, deadline=None)
@given(ours=entries, theirs=rows_shown, charges=st.booleans())
def test_whatever_both_sides_tell_every_row_ends_once(
    ours: list[tuple[LedgerKind, int, int]], theirs: list[tuple[RowKind, int, int]], charges: bool
) -> None:
    """The run itself fails (``ConservationViolated``) when a rule loses a row or takes one twice."""
    ledger = [charge(1), charge(2)]
    for place, (kind, of, amount_minor) in enumerate(ours):
        amount = -abs(amount_minor) if kind is REVERSAL else amount_minor
        ledger.append(told(f"o{place}", amount, of=of, kind=kind, at=place))
    rows = [charged(1), charged(2)] if charges else []
    for place, (row_kind, of, amount_minor) in enumerate(theirs):
        amount = amount_minor if row_kind is RowKind.DISPUTE_REVERSAL else -amount_minor
        rows.append(shown(f"s{place}", row_kind, amount, of=of, at=place))
    result = reconcile(ledger, rows)
    for of in (1, 2):
        own = sum(amount for kind, number, amount in ours if (kind, number) == (DISPUTE, of))
        other = sum(row.amount_minor for row in rows if row.reference == f"r{of}" and row.kind.value.startswith("disp"))
        classes = {found[0] for found in seen(result) if found[1] == f"r{of}"}
        if own == other:
            assert not classes & {"dispute_open", "dispute_lost"}
        assert "duplicate_posting" not in classes


def test_the_ledgers_file_has_them() -> None:
    """Fails when a file that payonce writes itself is refused, or a sign that no such entry has is taken."""
    rows = [charge(), OURS, BACK, told("v1", -1000, kind=REVERSAL)]
    out = io.StringIO()
    assert write_ledger_csv(rows, out) == 4
    assert list(read_ledger_csv(io.BytesIO(out.getvalue().encode()))) == rows
    wrong = out.getvalue().replace("charge_reversal,booked,r1,-1000", "charge_reversal,booked,r1,1000")
    with pytest.raises(FileRejected, match="negative"):
        list(read_ledger_csv(io.BytesIO(wrong.encode())))
