"""Our side of a run, read from what the payment protocol commits."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, Posting, charge
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState
from payonce.reconciliation.runs.ledger_rows import booked_rows, rows_of
from tests.support.world import MERCHANT, World

FAR_MS = 10 * DAY_MS


def rows(world: World, *, back_ms: int = FAR_MS, ahead_ms: int = FAR_MS) -> list[LedgerRow]:
    now_ms = world.clock.now_ms()
    found = booked_rows(world.database, from_ms=now_ms - back_ms, until_ms=now_ms + ahead_ms)
    return sorted(found, key=lambda row: (row.booked_at_ms, row.entry_id))


def payment_of(answer: object) -> str:
    return str(answer.response.headers["location"].split("/")[-1])  # type: ignore[attr-defined]


def test_a_charge_and_a_refund_carry_what_a_report_is_compared_by() -> None:
    """Fails when the journal entry is written without its movement: the run would miss it at the ledger's side."""
    world = World()
    payment_id = payment_of(world.create("a-key-of-the-client"))
    world.clock.ms += 1000
    world.follow_up(OperationKind.REFUND, payment_id, "refund-key", 300)
    charged, refunded = rows(world)
    assert (charged.kind, charged.amount_minor, charged.reference) == (LedgerKind.CHARGE, 1000, f"{payment_id}-1")
    assert (refunded.kind, refunded.amount_minor) == (LedgerKind.REFUND, -300)
    assert refunded.reference == world.gateway.submissions[-1].gateway_reference
    assert charged.gateway_payment_id == refunded.gateway_payment_id == "ch_0"
    assert {(row.merchant_id, row.payment_id, row.gateway, row.currency, row.payer) for row in (charged, refunded)} == {
        (MERCHANT, payment_id, "bank", "EUR", "pm_visa")
    }
    hashed = hashlib.sha256(b"a-key-of-the-client").hexdigest()
    assert charged.idempotency_record_id == f"{MERCHANT}#create_payment#{hashed}"


def test_holds_are_no_movements_and_each_capture_is_one() -> None:
    world = World()
    payment_id = payment_of(world.create(capture=CaptureMethod.MANUAL))
    assert rows(world) == []
    world.follow_up(OperationKind.CAPTURE, payment_id, "first", 400)
    world.follow_up(OperationKind.CAPTURE, payment_id, "rest")
    assert sorted(row.amount_minor for row in rows(world)) == [400, 600]
    assert len({row.reference for row in rows(world)}) == 2


def test_a_movement_found_by_recovery_names_its_key_too() -> None:
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    world.create("lost-answer-key")
    world.gateway.lookup_fails = False
    world.clock.ms += 3_600_000
    world.recover()
    (row,) = rows(world)
    assert row.idempotency_record_id is not None
    assert row.idempotency_record_id.endswith(hashlib.sha256(b"lost-answer-key").hexdigest())


def test_the_period_is_half_open_and_crosses_midnight() -> None:
    """Fails when a day's partition is left out at either end, or a row on the boundary is in two periods."""
    world = World()
    midnight = (world.clock.ms // DAY_MS + 1) * DAY_MS
    for number, at_ms in enumerate((midnight - 1, midnight, midnight + DAY_MS - 1, midnight + DAY_MS)):
        world.clock.ms = at_ms
        world.create(f"key-{number}")
    found = [
        {row.booked_at_ms for row in booked_rows(world.database, from_ms=start, until_ms=end)}
        for start, end in ((midnight - DAY_MS, midnight), (midnight, midnight + DAY_MS))
    ]
    assert found == [{midnight - 1}, {midnight, midnight + DAY_MS - 1}]
    both = booked_rows(world.database, from_ms=midnight - 1, until_ms=midnight + DAY_MS + 1)
    assert len(list(both)) == 4


def test_what_was_booked_before_the_period_is_found_by_its_reference() -> None:
    """Fails when a late report's old movement is looked for in the period alone: it would be missing in our ledger."""
    world = World()
    payment_id = payment_of(world.create("old"))
    world.follow_up(OperationKind.REFUND, payment_id, "old-refund", 100)
    references = [instruction.gateway_reference for instruction in world.gateway.submissions]
    assert sorted(rows_of(world.database, references), key=lambda row: row.entry_id) == sorted(
        rows(world), key=lambda row: row.entry_id
    )
    assert [row.amount_minor for row in rows_of(world.database, references[:1])] == [1000]


def test_what_we_hold_without_having_booked_it() -> None:
    """Fails when a reference that moved no money at ours looks like one that we never heard of."""
    world = World()
    world.gateway.script = ["decline"]
    declined = payment_of(world.create("declined"))
    world.gateway.script = ["lost"]
    doubtful = payment_of(world.create("doubtful"))
    authorized = payment_of(world.create("authorized", capture=CaptureMethod.MANUAL))
    booked = payment_of(world.create("booked"))
    world.gateway.script = ["decline"]
    world.follow_up(OperationKind.REFUND, booked, "declined-refund", 100)
    refund = world.gateway.submissions[-1].gateway_reference
    asked = [f"{name}-1" for name in (declined, doubtful, authorized, booked)] + [refund, "not-ours", refund]
    held = {row.reference: row for row in rows_of(world.database, asked)}
    assert {reference: row.state for reference, row in held.items()} == {
        f"{declined}-1": LedgerState.DECLINED,
        f"{doubtful}-1": LedgerState.IN_DOUBT,
        f"{authorized}-1": LedgerState.AUTHORIZED,
        f"{booked}-1": LedgerState.BOOKED,
        refund: LedgerState.DECLINED,
    }
    assert (held[refund].kind, held[refund].amount_minor, held[refund].payment_id) == (LedgerKind.REFUND, -100, booked)


def test_a_movement_without_a_posting_at_its_gateway_is_refused() -> None:
    movement = Movement(
        kind=MovementKind.CHARGE, gateway="bank", gateway_reference="r", gateway_payment_id=None, payer="pm"
    )
    entry = JournalEntry(
        merchant_id="m",
        payment_id="p",
        version=1,
        currency="EUR",
        description="",
        booked_at_ms=1,
        postings=charge("bank", 5),
        movement=movement,
    )
    assert entry.moved_minor == 5
    with pytest.raises(ValueError, match="gateway's account"):
        dataclasses.replace(entry, postings=(Posting("a", 1), Posting("b", -1)))
