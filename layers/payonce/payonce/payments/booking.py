"""The writes for a change of a payment and for the end of a capture, void or refund: events, journal, operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.dispute import CHANGES
from payonce.domain.events import build_event
from payonce.domain.gateway import OperationKind
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, gateway_receivable
from payonce.domain.payment import Change, OperationStatus
from payonce.outbox import DISPUTES, FIRSTS, event_write
from payonce.payments.dispute_items import dispute_write
from payonce.payments.journal import balance_write, told_of
from payonce.payments.payment_items import (
    adjust_payment,
    first_version,
    head_insert,
    operation_write,
    replace_payment,
    returned_write,
)
from payonce.payments.representation import dispute_view, operation_view, payment_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.events import Event
    from payonce.domain.ledger import Posting
    from payonce.domain.payment import Payment
    from payonce.payments.effects import Effect
    from payonce.payments.operations import FollowUpPlan
    from payonce.ports import Write

MOVEMENTS: Mapping[OperationKind, MovementKind | None] = MappingProxyType(
    {OperationKind.CAPTURE: MovementKind.CHARGE, OperationKind.VOID: None, OperationKind.REFUND: MovementKind.REFUND}
)
ELSEWHERE_MOVEMENTS: Mapping[Change, MovementKind | None] = MappingProxyType(
    {
        Change.CAPTURED_ELSEWHERE_PART: MovementKind.CHARGE,
        Change.CAPTURED_ELSEWHERE: MovementKind.CHARGE,
        Change.VOIDED_ELSEWHERE: None,
        Change.REFUNDED_ELSEWHERE_PART: MovementKind.REFUND,
        Change.REFUNDED_ELSEWHERE: MovementKind.REFUND,
        Change.REVERSED_PART: MovementKind.CHARGE_REVERSAL,
        Change.REVERSED: MovementKind.CHARGE_REVERSAL,
        # The entry that reverses a refund's keeps its kind: see ``Movement``.
        Change.RETURNED_PART: MovementKind.REFUND,
        Change.RETURNED: MovementKind.REFUND,
        Change.RETURNED_ELSEWHERE_PART: MovementKind.REFUND,
        Change.RETURNED_ELSEWHERE: MovementKind.REFUND,
        **dict.fromkeys(CHANGES.values(), MovementKind.DISPUTE),
    }
)


@dataclass(frozen=True, slots=True)
class References:
    """The references of an operation: our own, and the one under which the gateway reports the movement of money.

    ``at_gateway`` is the gateway's own id of the operation, "" where it has none.
    """

    operation: str
    moved_as: str
    at_gateway: str = ""


def follow_up_writes(
    plan: FollowUpPlan,
    before: Payment,
    effects: Sequence[Effect],
    code: str | None,
    *,
    references: References,
    record_id: str | None,
) -> list[Write]:
    """Return the writes of an operation's own effect, and of any effects outside payonce that it revealed."""
    own, after = effects[0], effects[-1].payment
    exact = {name for effect in effects for name in effect.exact}
    if len(effects) > 1:
        exact |= {"capturable_minor", "refundable_minor"}  # operations in flight limited how much of it is certain
    writes: list[Write] = [
        adjust_payment(before, after, exact=sorted(exact)),
        operation_write(
            plan,
            own.status,
            code,
            own.payment.updated_at_ms,
            reference=references.operation,
            at_gateway=references.at_gateway,
        ),
    ]
    entries: list[JournalEntry] = []
    for effect in effects:
        if effect is own:
            data = operation_view(plan, own.payment, own.status, code)
            kind, reference = MOVEMENTS[plan.kind], references.moved_as
            entry = _entry_of_effect(effect, kind, reference=reference, record_id=record_id)
            writes.append(change_write(payment_event(own.payment, own.change, data), entry))
        else:
            entry = _entry_elsewhere(effect, record_id=record_id)
            writes.append(_change_elsewhere(effect, entry))
        entries += [] if entry is None else [entry]
    told = [*_dispute_writes(effects), *_returned_writes(effects)]
    return writes + told + ([balance_write(*entries)] if entries else [])


def elsewhere_writes(before: Payment, effects: Sequence[Effect]) -> list[Write]:
    """Return the writes of what was done outside payonce, on condition that ``before`` is still stored as the head."""
    exact = {name for effect in effects for name in effect.exact}
    # Operations in flight limit how much of it is certain: see ``payments.elsewhere``.
    exact |= {"capturable_minor", "refundable_minor"}
    booked = [(effect, _entry_elsewhere(effect, record_id=None)) for effect in effects]
    entries = [entry for _, entry in booked if entry is not None]
    return [
        adjust_payment(before, effects[-1].payment, exact=sorted(exact)),
        *(_change_elsewhere(effect, entry) for effect, entry in booked),
        *_dispute_writes(effects),
        *_returned_writes(effects),
        *([balance_write(*entries)] if entries else []),
    ]


def _change_elsewhere(effect: Effect, entry: JournalEntry | None) -> Write:
    """Return the write of a change that was made at the gateway. A dispute's first one puts it into the list."""
    payment, dispute = effect.payment, effect.dispute
    if effect.returned is not None and effect.returned.operation is not None:
        view = operation_view(effect.returned.operation, payment, OperationStatus.RETURNED, None)
        return change_write(payment_event(payment, effect.change, view), entry)
    if dispute is None:
        return change_write(payment_event(payment, effect.change, payment_view(payment)), entry)
    event = payment_event(payment, effect.change, dispute_view(dispute, payment))
    reference = DISPUTES if effect.is_first_of_dispute else None
    return event_write(event, _booked(entry), reference=reference)


def _dispute_writes(effects: Sequence[Effect]) -> list[Write]:
    """Return the writes that store the disputes as the last effect of each leaves them."""
    last = {effect.dispute.dispute_id: effect.dispute for effect in effects if effect.dispute is not None}
    return [dispute_write(dispute) for dispute in last.values()]


def _returned_writes(effects: Sequence[Effect]) -> list[Write]:
    """Return the writes that mark the refunds of ours that came back."""
    return [
        returned_write(effect.returned.operation, effect.payment.updated_at_ms)
        for effect in effects
        if effect.returned is not None and effect.returned.operation is not None
    ]


def _entry_elsewhere(effect: Effect, *, record_id: str | None) -> JournalEntry | None:
    kind, refund = ELSEWHERE_MOVEMENTS[effect.change], effect.returned
    if refund is not None:
        return _entry_of_effect(effect, kind, reference=refund.reference, record_id=refund.record_id)
    # The gateway reports what was done in its dashboard under the payment's reference.
    return _entry_of_effect(effect, kind, reference=effect.payment.gateway_reference, record_id=record_id)


def _entry_of_effect(
    effect: Effect, kind: MovementKind | None, *, reference: str, record_id: str | None
) -> JournalEntry | None:
    if not effect.postings:
        return None
    moved = None
    at_gateway = gateway_receivable(effect.payment.gateway)
    # A dispute that is lost moves money between two accounts of ours: the gateway has it already.
    if kind is not None and any(posting.account == at_gateway for posting in effect.postings):
        moved = payment_movement(effect.payment, kind, reference=reference, record_id=record_id)
        refund, made = effect.returned, effect.elsewhere
        if refund is not None:
            moved = replace(moved, reverses_entry_id=refund.entry_id, gateway_refund_id=refund.gateway_refund_id)
        elif made is not None:
            moved = replace(moved, gateway_refund_id=made.gateway_refund_id)
    return payment_entry(effect.payment, effect.change, effect.postings, moved)


def first_writes(payment: Payment, change: Change, entry: JournalEntry | None) -> list[Write]:
    """Return the writes of a payment's first version."""
    event = payment_event(payment, change, payment_view(payment))
    told = first_version(payment) | _booked(entry)
    balance = [] if entry is None else [balance_write(entry)]
    first = event_write(event, told, listed=FIRSTS, reference=payment.reference, customer=payment.customer)
    return [first, *balance]


def next_writes(payment: Payment, change: Change, entry: JournalEntry | None, *, head: Payment | None) -> list[Write]:
    """Return the writes of a later version of a payment that no operation made.

    ``head`` is what has to be stored as the head until then; ``None`` where the payment has only its first version.
    """
    writes: list[Write] = [
        head_insert(payment) if head is None else replace_payment(payment, expected=head),
        change_write(payment_event(payment, change, payment_view(payment)), entry),
    ]
    return writes if entry is None else [*writes, balance_write(entry)]


def change_write(event: Event, entry: JournalEntry | None) -> Write:
    """Return the write of a change: its event and, if it moved or held money, its journal entry, in one item."""
    return event_write(event, _booked(entry))


def _booked(entry: JournalEntry | None) -> dict[str, Any]:
    return {} if entry is None else {"entry": told_of(entry)}


def payment_event(payment: Payment, change: Change, data: Mapping[str, object]) -> Event:
    """Return the event of the change that made this version of the payment; ``data`` becomes the event's data."""
    return build_event(
        change,
        merchant_id=payment.merchant_id,
        resource_id=payment.payment_id,
        version=payment.version,
        created_at_ms=payment.updated_at_ms,
        data=data,
    )


def payment_movement(payment: Payment, kind: MovementKind, *, reference: str, record_id: str | None) -> Movement:
    """Return the movement that the gateway reports under ``reference``; ``record_id`` names the requesting key."""
    return Movement(
        kind=kind,
        gateway=payment.gateway,
        gateway_reference=reference,
        gateway_payment_id=payment.gateway_charge_id,
        payer=payment.payment_method,
        idempotency_record_id=record_id,
    )


def payment_entry(
    payment: Payment, change: Change, postings: tuple[Posting, ...], movement: Movement | None
) -> JournalEntry:
    """Return the journal entry of the change that made this version of the payment."""
    return JournalEntry(
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        version=payment.version,
        currency=payment.currency,
        description=change.value,
        booked_at_ms=payment.updated_at_ms,
        postings=postings,
        movement=movement,
    )
