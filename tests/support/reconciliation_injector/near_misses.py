"""What looks like a fault and is none. Nothing here may become a break."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.reconciliation.model import LedgerState
from payonce.reconciliation.readers.rows import RowKind
from tests.support.reconciliation_injector.maker import FEES, PLAIN, Maker
from tests.support.reconciliation_injector.model import DAY_MS, HOUR_MS, Payment, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.reconciliation.model import RunSettings


def near_misses(maker: Maker, settings: RunSettings, count: int) -> Iterator[Payment]:
    """Yield payments of each kind, ``count`` times."""
    for _ in range(count):
        for make in _KINDS:
            for payment in make(maker, settings):
                payment.shape = Shape.OTHER
                yield payment


def _equal_purchases_of_two_payers(maker: Maker, _: RunSettings) -> list[Payment]:
    first = maker.single()
    row = first.ledger[0]
    second = maker.payment(Shape.OTHER, first.gateway, first.currency)
    second.merchant_id = first.merchant_id
    maker.pair(second, row.amount_minor, row.booked_at_ms + maker.rng.randrange(1_000, 60_000))
    return [first, second]


def _equal_captures(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.payment(Shape.OTHER)
    amount, at = maker.amount(payment.gateway, payment.currency), maker.moment()
    for delay in (0, maker.rng.randrange(HOUR_MS, DAY_MS)):
        maker.pair(payment, amount, at + delay)
    return [payment]


def _monthly_subscription(maker: Maker, _: RunSettings) -> list[Payment]:
    first = maker.single(maker.rng.randrange(maker.window.start_ms, maker.window.start_ms + 5 * DAY_MS))
    row = first.ledger[0]
    second = replace(first, payment_id=maker.name("pay"), ledger=[], reported=[])
    second.gateway_payment_id = first.gateway_payment_id and maker.name("gp")
    maker.pair(second, row.amount_minor, row.booked_at_ms + 30 * DAY_MS)
    return [first, second]


def _refund_in_two_parts(maker: Maker, _: RunSettings) -> list[Payment]:
    return [maker.refunded(parts=2), maker.refunded(all_of_it=True)]


def _settled_at_the_last_moment(maker: Maker, settings: RunSettings) -> list[Payment]:
    payment = maker.single()
    row = payment.reported[0]
    available = row.created_at_ms + settings.settlement_sla_hours * HOUR_MS
    payment.reported[0] = replace(row, available_at_ms=available)
    return [payment]


def _fee_within_tolerance(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.single(gateway="northpay")
    row = payment.reported[0]
    rule = next(rule for rule in FEES if (rule.gateway, rule.currency) == ("northpay", row.currency))
    exact = rule.fixed_minor + row.amount_minor * rule.basis_points // 10_000
    payment.reported[0] = replace(row, fee_minor=exact + 1, net_minor=row.amount_minor - exact - 1)
    return [payment]


def _entry_and_its_reversal(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.payment(Shape.OTHER)
    row = maker.posted(payment, maker.amount(payment.gateway, payment.currency), maker.moment())
    reversal = replace(
        row,
        entry_id=maker.name("je"),
        amount_minor=-row.amount_minor,
        booked_at_ms=row.booked_at_ms + HOUR_MS,
        reverses_entry_id=row.entry_id,
    )
    payment.ledger.append(reversal)
    return [payment]


def _moved_no_money(maker: Maker, _: RunSettings) -> list[Payment]:
    payments = []
    for state in LedgerState:
        if state is not LedgerState.BOOKED:
            payment = maker.payment(Shape.OTHER)
            maker.posted(payment, maker.amount(payment.gateway, payment.currency), maker.moment(), state)
            payments.append(payment)
    return payments


def _in_transit(maker: Maker, settings: RunSettings) -> list[Payment]:
    first_ms = settings.as_of_ms - settings.in_transit_hours * HOUR_MS + 1
    ours, theirs = (maker.single(maker.rng.randrange(first_ms + 30_000, settings.as_of_ms - 30_000)) for _ in range(2))
    ours.reported.clear()
    theirs.ledger.clear()
    return [ours, theirs]


def _without_reference(maker: Maker, _: RunSettings) -> list[Payment]:
    """By the gateway's payment id, and where it has none, by an amount that nobody else has."""
    return [maker.single(referenced=False, gateway="southpay"), maker.single(referenced=False, gateway=PLAIN)]


def _fees_and_adjustments(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.payment(Shape.OTHER)
    for kind in (RowKind.FEE, RowKind.ADJUSTMENT):
        maker.report(payment, None, -maker.rng.randrange(1, 90), maker.moment(), kind=kind)
    return [payment]


def _captured_in_part(maker: Maker, _: RunSettings) -> list[Payment]:
    """More was authorised than captured; the rest is taken out, under the reference or under the payment alone."""
    payment = maker.single()
    row, ours = payment.reported[0], payment.ledger[0]
    rest = row.amount_minor // 3
    payment.ledger[0] = replace(ours, amount_minor=ours.amount_minor - rest)
    reference = row.reference if row.gateway_payment_id is None or maker.rng.random() < 0.5 else None
    maker.report(payment, reference, -rest, row.created_at_ms + HOUR_MS, kind=RowKind.UNCAPTURED)
    return [payment]


def _dispute_won(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.single()
    row = payment.reported[0]
    maker.report(payment, row.reference, -row.amount_minor, row.created_at_ms + HOUR_MS, kind=RowKind.DISPUTE)
    maker.report(
        payment, row.reference, row.amount_minor, row.created_at_ms + 9 * HOUR_MS, kind=RowKind.DISPUTE_REVERSAL
    )
    return [payment]


def _refund_that_failed_on_both_sides(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.refunded()
    row, ours = payment.reported[-1], payment.ledger[-1]
    at = row.created_at_ms + 5 * HOUR_MS
    maker.report(payment, row.reference, -row.amount_minor, at, kind=RowKind.REFUND_REVERSAL)
    payment.ledger.append(
        replace(
            ours,
            entry_id=maker.name("je"),
            amount_minor=-ours.amount_minor,
            booked_at_ms=at,
            reverses_entry_id=ours.entry_id,
        )
    )
    return [payment]


def _surplus_given_back_by_hand(maker: Maker, _: RunSettings) -> list[Payment]:
    payment = maker.single(gateway="southpay")
    row = payment.reported[0]
    surplus = maker.report(payment, row.reference, row.amount_minor, row.created_at_ms + 40_000)
    surplus = payment.reported[-1] = replace(surplus, gateway_payment_id=maker.name("gp"))
    back = maker.report(payment, None, -row.amount_minor, row.created_at_ms + 9 * HOUR_MS)
    payment.reported[-1] = replace(back, gateway_payment_id=surplus.gateway_payment_id)
    return [payment]


_KINDS: tuple[Callable[[Maker, RunSettings], list[Payment]], ...] = (
    _equal_purchases_of_two_payers,
    _equal_captures,
    _monthly_subscription,
    _refund_in_two_parts,
    _settled_at_the_last_moment,
    _fee_within_tolerance,
    _entry_and_its_reversal,
    _moved_no_money,
    _in_transit,
    _without_reference,
    _fees_and_adjustments,
    _captured_in_part,
    _dispute_won,
    _refund_that_failed_on_both_sides,
    _surplus_given_back_by_hand,
)
