"""Brings what was done to a charge at its gateway into our payment, without a request of the merchant's.

::

    read our payment ─ read the charge ─ read our payment ─ the same? ─ difference? ─ none: done
            ▲                                                  │             │
            ├───────────────────── no ─────────────────────────┘             ▼
            └───────────────────── conflict ───── write: payment (on its version), events, journal entries

Only the difference is booked, and only while the payment is as it was read. So it does not matter how often, how late
or in which order somebody asks for it: the second time there is no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound, StoreUnavailable, WriteConflict
from payonce.domain.gateway import ChargeState, Unknown
from payonce.domain.payment import PaymentStatus
from payonce.payments.booked_refunds import KnownRefunds, known_refunds
from payonce.payments.booking import elsewhere_writes
from payonce.payments.charge_refunds import refund_changes
from payonce.payments.dispute_items import known_disputes
from payonce.payments.elsewhere import effects_of, unknown_to_us
from payonce.payments.stored_payments import find_payment, keep_head
from payonce.payments.taken_back import dispute_effects, reversal_effects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.dispute import Dispute
    from payonce.domain.payment import Change, Payment
    from payonce.payments.effects import Effect
    from payonce.payments.payment_work import Services
    from payonce.ports import Database, Deadline, Gateway

# What one transaction books at most: each change is an event, and a dispute an item more. DynamoDB takes 100 writes:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
MAX_CHANGES = 20
TRIES = 5  # each conflict is another change of this payment, of which there are a few in its life


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What ``catch_up`` has brought in, in order. ``open_reason`` says why it may not be all, "" when it is.

    ``explained``: the gateway's ids of refunds that came back, and of which nothing was left to be booked.
    """

    changes: list[Change] = field(default_factory=list)
    open_reason: str = ""
    explained: frozenset[str] = frozenset()


def catch_up(
    services: Services,
    gateway: Gateway,
    payment: Payment,
    deadline: Deadline,
    *,
    told: Callable[[Payment], ChargeState] | None = None,
) -> CaughtUp:
    """Read the payment's charge and book what our payment lacks, each change with its event and journal entry."""
    if payment.gateway_charge_id is None:
        return CaughtUp()
    for _ in range(TRIES):
        seen = _payment_now(services, payment)
        state = told(seen) if told is not None else gateway.read_charge(payment.gateway_charge_id, deadline)
        if not isinstance(state, ChargeState):
            reason = state.reason if isinstance(state, Unknown) else "the gateway knows no such charge"
            return CaughtUp(open_reason=reason)
        if state.currency != payment.currency:
            return CaughtUp(open_reason=f"the gateway's charge is in {state.currency}")
        before = _payment_now(services, payment)
        if before.version != seen.version:
            # Ours has changed while the charge was read: what the charge shows may be older, and would hide a part.
            continue
        changes = _book(services, gateway, before, state)
        if changes is not None:
            return changes
    raise StoreUnavailable("The payment changes faster than it can be brought up to date.")


def _book(services: Services, gateway: Gateway, before: Payment, state: ChargeState) -> CaughtUp | None:
    """Book the difference; return ``None`` when the payment has changed meanwhile."""
    known = known_of(services.database, before, state)
    effects, refunds_open = changes_of(
        before,
        state,
        known,
        multiple_captures=gateway.capabilities.multiple_captures,
        at_ms=services.clock.now_ms(),
    )
    if not effects:
        came_back = frozenset(refund.gateway_refund_id for refund in state.refunds if refund.came_back)
        return CaughtUp(open_reason=_still_open(before, state, refunds_open), explained=came_back - refunds_open)
    keep_head(services.database, before.merchant_id, before.payment_id)
    try:
        services.database.write(elsewhere_writes(before, effects))
    except WriteConflict:
        return None
    reason = _still_open(effects[-1].payment, state, refunds_open)
    if len(effects) == MAX_CHANGES:
        reason = "there may be more than one transaction takes"
    return CaughtUp(changes=[effect.change for effect in effects], open_reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored of what a charge's state tells: its disputes by our id, and its refunds."""

    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    refunds: KnownRefunds = field(default_factory=KnownRefunds)


def known_of(database: Database, payment: Payment, state: ChargeState) -> Known:
    """Return what is stored of what ``state`` tells. Whoever books by it writes on the version of ``payment``."""
    return Known(
        disputes=known_disputes(database, payment, state.disputes),
        refunds=known_refunds(database, payment, state.refunds),
    )


def changes_of(
    payment: Payment, state: ChargeState, known: Known, *, multiple_captures: bool, at_ms: int
) -> tuple[list[Effect], frozenset[str]]:
    """Return what ``payment`` lacks of its charge's state, in order; each effect is one version of the payment.

    At most ``MAX_CHANGES`` are returned: who books them and looks again gets the next ones. The gateway's ids beside
    them are of the refunds of which something may have to be booked later. This is the one place for whatever a gateway
    or a payer's bank does to a charge by itself; what is added has a row in ``booking.ELSEWHERE_MOVEMENTS``.
    """
    found = unknown_to_us(payment, state, multiple_captures=multiple_captures)
    effects = effects_of(payment, found, at_ms=at_ms, multiple_captures=multiple_captures)
    refunds = refund_changes(effects[-1].payment if effects else payment, state, known.refunds, at_ms=at_ms)
    effects += refunds.effects
    for taken_back in (reversal_effects, partial(dispute_effects, known=known.disputes)):
        effects += taken_back(effects[-1].payment if effects else payment, state, at_ms=at_ms)
    return effects[:MAX_CHANGES], refunds.left_open


def _payment_now(services: Services, payment: Payment) -> Payment:
    found = find_payment(services.database, payment.merchant_id, payment.payment_id)
    if found is None:
        raise NotFound(f"There is no payment {payment.payment_id}.")
    return found


def _still_open(payment: Payment, state: ChargeState, refunds_open: frozenset[str]) -> str:
    """Return why the gateway shows more than is booked: an operation of ours in flight, which books itself.

    ``payment`` is what it is after what was just booked, and ``refunds_open`` names the refunds that were not.
    """
    authorized = payment.status is PaymentStatus.AUTHORIZED
    if not payment.captured_minor and 0 < state.captured_minor == state.reversed_minor and not authorized:
        return ""  # a debit that failed before it succeeded: see ``gateways.stripe_charge.read_charge``
    if (
        state.captured_minor > payment.captured_minor
        or refunds_open
        or (not state.refunds and state.refunded_minor > payment.refunded_minor)
        or state.reversed_minor > payment.reversed_minor
        or (state.disputes and not payment.is_open_to_disputes)
        or (state.voided and authorized)
    ):
        which = f"; not booked yet: {' '.join(sorted(refunds_open))}" if refunds_open else ""
        return (
            f"the gateway shows more than is certainly not ours: captured {state.captured_minor}, refunded "
            f"{state.refunded_minor}, reversed {state.reversed_minor}; the payment "
            f"here is {payment.status}, with {payment.captured_minor}, {payment.refunded_minor} and "
            f"{payment.reversed_minor}{which}"
        )
    return ""
