"""Faults in payments. Each takes a payment that no other fault has, edits its rows, and says what has to be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.reconciliation.model import LedgerState, Source
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.reconciliation_injector.maker import FEES, PLAIN
from tests.support.reconciliation_injector.model import HOUR_MS, Payment, Planted, RowName, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.reconciliation.model import LedgerRow
    from payonce.reconciliation.readers.rows import GatewayRow
    from tests.support.reconciliation_injector.world import World


def has_payment_ids(payment: Payment) -> bool:
    """Tell whether the gateway names payments."""
    return payment.gateway != PLAIN


def _key(payment: Payment, row: GatewayRow) -> RowName:
    return RowName(Source.GATEWAY, f"{payment.gateway}|{row.transaction_id}")


def _entry(row: LedgerRow) -> RowName:
    return RowName(Source.LEDGER, row.entry_id)


def _planted(break_class: BreakClass, payment: Payment, *subject: str, rows: list[RowName]) -> Planted:
    return Planted(break_class=break_class, subject=(payment.gateway, *subject), rows=tuple(rows))


def _pair(break_class: BreakClass, payment: Payment, index: int = 0) -> Planted:
    ours, theirs = payment.ledger[index], payment.reported[index]
    return _planted(break_class, payment, ours.reference, rows=[_entry(ours), _key(payment, theirs)])


def _missing_in_gateway(world: World) -> Planted:
    payment = world.take(world.maker.rng.choice((Shape.SINGLE, Shape.REFUNDED, Shape.CAPTURES)))
    payment.reported.pop()
    row = payment.ledger[-1]
    return _planted(BreakClass.MISSING_IN_GATEWAY, payment, row.reference, rows=[_entry(row)])


def _missing_in_ledger(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    payment.ledger.clear()
    if world.maker.rng.random() < 0.3:
        payment.reported[0] = replace(payment.reported[0], reference=None)
    return _gateway_only(BreakClass.MISSING_IN_LEDGER, payment)


def _orphan_refund(world: World) -> Planted:
    payment = world.take(Shape.REFUNDED)
    payment.ledger.pop()
    if world.maker.rng.random() < 0.3:
        payment.reported[-1] = replace(payment.reported[-1], reference=None)
    return _gateway_only(BreakClass.ORPHAN_REFUND, payment)


def _gateway_only(break_class: BreakClass, payment: Payment) -> Planted:
    row = payment.reported[-1]
    return _planted(break_class, payment, row.reference or row.transaction_id, rows=[_key(payment, row)])


def _late_settlement(world: World) -> Planted:
    early = world.window.start_ms + 30 * 24 * HOUR_MS
    payment = world.take(Shape.SINGLE, lambda one: one.ledger[0].booked_at_ms < early)
    row = payment.reported[0]
    over = world.maker.rng.choice((1, HOUR_MS, 72 * HOUR_MS))
    late = row.created_at_ms + world.settings.settlement_sla_hours * HOUR_MS + over
    payment.reported[0] = replace(row, available_at_ms=late)
    return _pair(BreakClass.LATE_SETTLEMENT, payment)


def _duplicate_capture(world: World) -> Planted:
    payment = world.take(world.maker.rng.choice((Shape.SINGLE, Shape.CAPTURES)))
    row = payment.reported[0]
    again = world.maker.report(payment, row.reference, row.amount_minor, row.created_at_ms + 40_000)
    if row.gateway_payment_id:
        again = payment.reported[-1] = replace(again, gateway_payment_id=world.maker.name("gp"))
    subject = (row.reference or "", again.transaction_id)
    return _planted(BreakClass.DUPLICATE_CAPTURE, payment, *subject, rows=[_key(payment, again)])


def _double_charge(world: World) -> Planted:
    first = world.take(Shape.SINGLE)
    row = first.ledger[0]
    second = replace(first, payment_id=world.maker.name("pay"), ledger=[], reported=[])
    second.gateway_payment_id = first.gateway_payment_id and world.maker.name("gp")
    world.maker.pair(second, row.amount_minor, row.booked_at_ms + world.maker.rng.randrange(5_000, 180_000))
    world.add(second)
    rows = [_entry(row), _entry(second.ledger[0])]
    return Planted(break_class=BreakClass.DOUBLE_CHARGE, subject=(), rows=tuple(rows))


def _duplicate_posting(world: World) -> Planted:
    payment = world.take(world.maker.rng.choice((Shape.SINGLE, Shape.CAPTURES)))
    row = payment.ledger[0]
    again = replace(row, entry_id=world.maker.name("je"), booked_at_ms=row.booked_at_ms + 30_000)
    payment.ledger.append(again)
    subject = (row.reference, again.entry_id)
    return _planted(BreakClass.DUPLICATE_POSTING, payment, *subject, rows=[_entry(again)])


def _payload_conflict(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    row = payment.reported[0]
    if world.maker.rng.random() < 0.3:
        return _one_id_with_two_contents(payment, row)
    other = row.amount_minor + world.maker.rng.choice((-1, 1)) * world.maker.rng.randrange(1, 800)
    added = world.maker.report(payment, row.reference, other, row.created_at_ms + 60_000)
    subject = (row.reference or "", added.transaction_id)
    return _planted(BreakClass.PAYLOAD_CONFLICT, payment, *subject, rows=[_key(payment, added)])


def _one_id_with_two_contents(payment: Payment, row: GatewayRow) -> Planted:
    """A second report tells of the same transaction otherwise; it was paid out once, so only one is settled."""
    other = replace(row, amount_minor=row.amount_minor + 7, net_minor=row.net_minor + 7, available_at_ms=None)
    payment.reported.append(other)
    subject = (row.reference or "", row.transaction_id)
    return _planted(BreakClass.PAYLOAD_CONFLICT, payment, *subject, rows=[_key(payment, row)])


def _amount_mismatch(world: World) -> Planted:
    payment = world.take(world.maker.rng.choice((Shape.SINGLE, Shape.REFUNDED)))
    row = payment.ledger[-1]
    off = world.maker.rng.choice((-1, 1)) * world.maker.rng.choice((1, 90, 800))
    payment.ledger[-1] = replace(row, amount_minor=row.amount_minor + off)
    return _pair(BreakClass.AMOUNT_MISMATCH, payment, -1)


def _currency_mismatch(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    row = payment.ledger[0]
    other = world.maker.rng.choice([c for c in ("EUR", "USD", "JPY", "KWD") if c != row.currency])
    payment.ledger[0] = replace(row, currency=other)
    return _pair(BreakClass.CURRENCY_MISMATCH, payment)


def _fee_mismatch(world: World) -> Planted:
    agreed = {(rule.gateway, rule.currency) for rule in FEES}
    payment = world.take(Shape.SINGLE, lambda one: (one.gateway, one.currency) in agreed)
    row = payment.reported[0]
    fee = row.fee_minor + world.maker.rng.choice((-3, 3, 20, 200))
    payment.reported[0] = replace(row, fee_minor=fee, net_minor=row.amount_minor - fee)
    return _pair(BreakClass.FEE_MISMATCH, payment)


def _fx_mismatch(world: World) -> Planted:
    payment = world.take(Shape.CONVERTED)
    row = payment.reported[0]
    off = world.maker.rng.choice((-1, 1)) * world.maker.rng.randrange(250, 1_500)
    amount = row.amount_minor + row.amount_minor * off // 10_000
    fee = world.maker.fee(payment.gateway, row.currency, amount)
    payment.reported[0] = replace(row, amount_minor=amount, fee_minor=fee, net_minor=amount - fee)
    return _pair(BreakClass.FX_MISMATCH, payment)


def _status_mismatch(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    states = [state for state in LedgerState if state is not LedgerState.BOOKED]
    payment.ledger[0] = replace(payment.ledger[0], state=world.maker.rng.choice(states))
    return _pair(BreakClass.STATUS_MISMATCH, payment)


def _refund_exceeds_capture(world: World) -> Planted:
    payment = world.take(Shape.REFUNDED, has_payment_ids)
    captured, last = payment.reported[0].amount_minor, payment.reported[-1]
    too_much = captured + last.amount_minor + world.maker.rng.choice((1, 500))
    at = last.created_at_ms + HOUR_MS
    reference = world.maker.name("ref")
    added = world.maker.report(payment, reference, -too_much, at)
    rows = [_key(payment, added)]
    if world.maker.rng.random() < 0.5:  # we asked for it, or nobody did
        ours = world.maker.posted(payment, -too_much, at)
        payment.ledger[-1] = replace(ours, reference=reference)
        rows.append(_entry(ours))
    return _planted(BreakClass.REFUND_EXCEEDS_CAPTURE, payment, reference, rows=rows)


def _dispute(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    row = payment.reported[0]
    reference = row.reference if world.maker.rng.random() < 0.5 else None
    at = row.created_at_ms + 3 * HOUR_MS
    added = world.maker.report(payment, reference, -row.amount_minor, at, kind=RowKind.DISPUTE)
    # Without our reference it stands under that of the charge, which the payment's id leads to.
    name = reference or (row.reference if row.gateway_payment_id else added.transaction_id) or ""
    return _planted(BreakClass.DISPUTE_OPEN, payment, name, rows=[_key(payment, added)])


def _dispute_lost(world: World) -> Planted:
    """The dispute was won first, and then lost for good."""
    payment = world.take(Shape.SINGLE)
    row = payment.reported[0]
    at = row.created_at_ms + 3 * HOUR_MS
    world.maker.report(payment, row.reference, -row.amount_minor, at, kind=RowKind.DISPUTE)
    world.maker.report(payment, row.reference, row.amount_minor, at + HOUR_MS, kind=RowKind.DISPUTE_REVERSAL)
    lost = world.maker.report(payment, row.reference, -row.amount_minor, at + 2 * HOUR_MS, kind=RowKind.DISPUTE_LOST)
    return _planted(BreakClass.DISPUTE_LOST, payment, row.reference or "", rows=[_key(payment, lost)])


def _refund_failed(world: World) -> Planted:
    payment = world.take(Shape.REFUNDED)
    row = payment.reported[-1]
    at = row.created_at_ms + 3 * HOUR_MS
    back = world.maker.report(payment, row.reference, -row.amount_minor, at, kind=RowKind.REFUND_REVERSAL)
    ours = payment.ledger[-1]
    rows = [_entry(ours), _key(payment, row), _key(payment, back)]
    return _planted(BreakClass.REFUND_FAILED, payment, ours.reference, rows=rows)


def _settlement_reversed(world: World) -> Planted:
    payment = world.take(Shape.SINGLE)
    row = payment.reported[0]
    # The row that takes back may name the payment alone.
    reference = None if row.gateway_payment_id and world.maker.rng.random() < 0.5 else row.reference
    at = row.created_at_ms + 3 * HOUR_MS
    gone = world.maker.report(payment, reference, -row.amount_minor, at, kind=RowKind.CHARGE_REVERSAL)
    ours = payment.ledger[0]
    rows = [_entry(ours), _key(payment, row), _key(payment, gone)]
    return _planted(BreakClass.SETTLEMENT_REVERSED, payment, ours.reference, rows=rows)


def _duplicate_row(world: World) -> Planted:
    payment = world.take(Shape.SINGLE, has_payment_ids)
    row = payment.reported[0]
    again = replace(row, transaction_id=row.transaction_id + "-again")
    payment.reported.append(again)
    subject = (row.reference or "", again.transaction_id)
    return _planted(BreakClass.DUPLICATE_ROW, payment, *subject, rows=[_key(payment, again)])


def _ambiguous(world: World) -> Planted:
    """Two equal charges without reference or payment id: either could be either of ours, or one could be of two."""
    first = world.take(Shape.SINGLE)
    row = first.ledger[0]
    second = world.maker.payment(Shape.OTHER, first.gateway, first.currency)
    world.maker.pair(second, row.amount_minor, row.booked_at_ms + 2 * HOUR_MS)
    world.add(second)
    rows = []
    if world.maker.rng.random() < 0.3:
        # One side has a row less. That one is missing is certain, but not which.
        side = world.maker.rng.choice((second.ledger, second.reported))
        side.clear()
    for payment in (first, second):
        nameless = [replace(row, reference=None, gateway_payment_id=None) for row in payment.reported]
        payment.reported[:] = nameless
        rows += [*map(_entry, payment.ledger), *(_key(payment, row) for row in nameless)]
    return Planted(break_class=BreakClass.AMBIGUOUS, subject=(first.gateway,), rows=tuple(rows))


PAYMENT_FAULTS: Mapping[BreakClass, Callable[[World], Planted]] = {
    BreakClass.MISSING_IN_GATEWAY: _missing_in_gateway,
    BreakClass.MISSING_IN_LEDGER: _missing_in_ledger,
    BreakClass.ORPHAN_REFUND: _orphan_refund,
    BreakClass.LATE_SETTLEMENT: _late_settlement,
    BreakClass.DUPLICATE_CAPTURE: _duplicate_capture,
    BreakClass.DOUBLE_CHARGE: _double_charge,
    BreakClass.DUPLICATE_POSTING: _duplicate_posting,
    BreakClass.PAYLOAD_CONFLICT: _payload_conflict,
    BreakClass.AMOUNT_MISMATCH: _amount_mismatch,
    BreakClass.CURRENCY_MISMATCH: _currency_mismatch,
    BreakClass.FEE_MISMATCH: _fee_mismatch,
    BreakClass.FX_MISMATCH: _fx_mismatch,
    BreakClass.STATUS_MISMATCH: _status_mismatch,
    BreakClass.REFUND_EXCEEDS_CAPTURE: _refund_exceeds_capture,
    BreakClass.REFUND_FAILED: _refund_failed,
    BreakClass.SETTLEMENT_REVERSED: _settlement_reversed,
    BreakClass.DUPLICATE_ROW: _duplicate_row,
    BreakClass.DISPUTE_OPEN: _dispute,
    BreakClass.DISPUTE_LOST: _dispute_lost,
    BreakClass.AMBIGUOUS: _ambiguous,
}
