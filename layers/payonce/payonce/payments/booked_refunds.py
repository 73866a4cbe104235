"""The refunds of a payment as our journal and its operations have them: what one that comes back is held against."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import OperationKind
from payonce.domain.ids import operation_of
from payonce.domain.ledger import MovementKind
from payonce.domain.payment import OperationStatus
from payonce.outbox import partition_of
from payonce.paging import every_item
from payonce.payments.journal import entries_of
from payonce.payments.operations import FollowUpPlan
from payonce.payments.payment_items import OPERATION_PREFIX
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.gateway import RefundReturned
    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item

PAGE_SIZE = 100
UNDECIDED = frozenset({OperationStatus.IN_DOUBT, OperationStatus.PROCESSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRefund:
    """A refund that the journal has. ``returned_minor`` is what other entries have reversed of it.

    ``record_id`` names the key that requested it. ``operation`` is the refund of ours that it is, ``None`` for one that
    was made at the gateway.
    """

    entry_id: str
    reference: str
    amount_minor: int
    returned_minor: int = 0
    record_id: str | None = None
    operation: FollowUpPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRefunds:
    """What we hold of the refunds that a gateway says have come back.

    ``ours``: by the gateway's id, those that are operations of ours: the booked refund, or ``None`` where it is
    undecided, never booked, or not known. ``undecided`` names those of which the end is not stored yet.
    ``elsewhere``: all refunds booked as made at the gateway, oldest first, whether or not they have come back.
    ``returns_minor``: the amounts of what has been booked as come back of these.
    """

    ours: Mapping[str, BookedRefund | None] = field(default_factory=dict)
    undecided: frozenset[str] = frozenset()
    elsewhere: tuple[BookedRefund, ...] = ()
    returns_minor: tuple[int, ...] = ()


def known_refunds(database: Database, payment: Payment, returned: Sequence[RefundReturned]) -> KnownRefunds:
    """Return what is stored of the refunds ``returned``. The reads are consistent, and there are none without them.

    The gateway's id of a refund decides whose it is, because Adyen may tell of a refund under the payment's reference,
    and a gateway may have executed one reference twice. An operation that knows no such id is found by its reference.
    """
    if not returned:
        return KnownRefunds()
    items = _refund_items(database, payment)
    by_reference = {item["operation_reference"]: item for item in items}
    by_id = {item["gateway_operation_id"]: item for item in items if "gateway_operation_id" in item}
    entries = _refund_entries(database, payment)
    reversed_minor, returns = _reversals(entries, payment)
    booked: dict[str, list[BookedRefund]] = defaultdict(list)
    for entry in entries:
        # A correction's entry is about another charge, or reverses one of these.
        if entry.break_id is None and entry.movement is not None and entry.movement.reverses_entry_id is None:
            found = _booked(payment, entry, reversed_minor.get(entry.entry_id, 0), by_reference)
            booked[found.reference].append(found)
    ours: dict[str, BookedRefund | None] = {}
    undecided = set()
    for refund in returned:
        item = by_id.get(refund.gateway_refund_id) or by_reference.get(refund.gateway_reference or "")
        if item is None and operation_of(refund.gateway_reference) in (None, payment.payment_id):
            continue
        if item is not None and item.get("gateway_operation_id", refund.gateway_refund_id) != refund.gateway_refund_id:
            continue  # the reference was executed twice, and this is the other one: nobody has asked for it
        reference = str(refund.gateway_reference if item is None else item["operation_reference"])
        found_of = booked.get(reference, [])
        ours[refund.gateway_refund_id] = found_of[0] if found_of else None
        if not found_of and (item is None or OperationStatus(item["status"]) in UNDECIDED):
            undecided.add(refund.gateway_refund_id)
    return KnownRefunds(
        ours=ours,
        undecided=frozenset(undecided),
        elsewhere=tuple(booked.get(payment.gateway_reference, ())),
        returns_minor=tuple(returns),
    )


def _refund_items(database: Database, payment: Payment) -> list[Item]:
    partition = partition_of(payment.merchant_id, payment.payment_id)
    return [
        item
        for item in every_item(
            lambda start: database.query(
                Table.PAYMENTS,
                partition=("pk", partition),
                sort_prefix=("sk", OPERATION_PREFIX),
                limit=PAGE_SIZE,
                start=start,
            )
        )
        if item["kind"] == OperationKind.REFUND.value
    ]


def _refund_entries(database: Database, payment: Payment) -> list[JournalEntry]:
    return [
        entry
        for entry in entries_of(database, payment.merchant_id, payment.payment_id)
        if entry.movement is not None and entry.movement.kind is MovementKind.REFUND
    ]


def _reversals(entries: Sequence[JournalEntry], payment: Payment) -> tuple[dict[str, int], list[int]]:
    """Return what is reversed of each entry, by a correction too, and the amounts come back of refunds elsewhere."""
    reversed_minor: dict[str, int] = defaultdict(int)
    returns: list[int] = []
    for entry in entries:
        if entry.movement is None or entry.movement.reverses_entry_id is None:
            continue
        reversed_minor[entry.movement.reverses_entry_id] += entry.moved_minor
        if entry.movement.gateway_reference == payment.gateway_reference:
            returns.append(entry.moved_minor)
    return reversed_minor, returns


def _booked(
    payment: Payment, entry: JournalEntry, returned_minor: int, by_reference: Mapping[str, Mapping[str, Any]]
) -> BookedRefund:
    movement = entry.movement
    assert movement is not None  # noqa: S101 - narrows the type: only movements are looked at
    item = by_reference.get(movement.gateway_reference)
    operation = None
    if item is not None:
        operation = FollowUpPlan(
            kind=OperationKind.REFUND,
            merchant_id=payment.merchant_id,
            payment_id=payment.payment_id,
            operation_id=item["operation_id"],
            amount_minor=item["amount_minor"],
            created_at_ms=item["created_at_ms"],
            submission=item["attempts"],
        )
    return BookedRefund(
        entry_id=entry.entry_id,
        reference=movement.gateway_reference,
        amount_minor=-entry.moved_minor,
        returned_minor=returned_minor,
        record_id=movement.idempotency_record_id,
        operation=operation,
    )
