"""The refunds of a payment as our journal and its operations have them: what those of its gateway are held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    from collections.abc import Iterable, Mapping, Sequence

    from payonce.domain.gateway import ChargeRefund
    from payonce.domain.ledger import JournalEntry, Movement
    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item

PAGE_SIZE = 100
UNDECIDED = frozenset({OperationStatus.IN_DOUBT, OperationStatus.PROCESSING})
NOT_EXECUTED = frozenset({OperationStatus.DECLINED, OperationStatus.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRefund:
    """A refund that the journal has, of ``amount_minor``. ``is_reversed``: another entry takes it back.

    ``record_id`` names the key that requested it. ``operation`` is the refund of ours that it is, ``None`` for one that
    was made at the gateway, whose id of it is ``gateway_refund_id``.
    """

    entry_id: str
    reference: str
    amount_minor: int
    is_reversed: bool = False
    gateway_refund_id: str | None = None
    record_id: str | None = None
    operation: FollowUpPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRefunds:
    """What we hold of the refunds that a gateway tells, by the gateway's ids.

    ``booked``: those that the journal has. ``undecided``: refunds of ours of which the end is not stored yet, and
    ``undecided_minor`` what they have reserved. ``never_booked``: refunds of ours that came back, and ended here as not
    executed: they had failed before they had succeeded. Any other one was made at the gateway. ``unnamed_minor``: what
    is booked as refunded there when the gateway named no refunds, and told their sum.
    """

    booked: Mapping[str, BookedRefund] = field(default_factory=dict)
    undecided: frozenset[str] = frozenset()
    undecided_minor: int = 0
    never_booked: frozenset[str] = frozenset()
    unnamed_minor: int = 0


def known_refunds(database: Database, payment: Payment, refunds: Sequence[ChargeRefund]) -> KnownRefunds:
    """Return what is stored of ``refunds``. The reads are consistent, and there are none without refunds.

    The gateway's id of a refund decides whose it is, because Adyen may tell of a refund under the payment's reference,
    and a gateway may have executed one reference twice. An operation that knows no such id is found by its reference.
    """
    if not refunds:
        return KnownRefunds()
    items = _refund_items(database, payment)
    books = _books(payment, _refund_entries(database, payment), items)
    by_operation = {item["operation_id"]: item for item in items}
    by_id = {item["gateway_operation_id"]: item for item in items if "gateway_operation_id" in item}
    booked: dict[str, BookedRefund] = {}
    reserved_minor: dict[str, int] = {}
    undecided, never_booked = set(), set()
    for refund in refunds:
        identity, operation_id = refund.gateway_refund_id, operation_of(refund.gateway_reference)
        item = by_id.get(identity) or by_operation.get(operation_id or "")
        if identity in books.by_id:
            booked[identity] = books.by_id[identity]
        elif item is None and operation_id in (None, payment.payment_id):
            continue  # nobody has asked us for it
        elif item is not None and item.get("gateway_operation_id", identity) != identity:
            continue  # the reference was executed twice, and this is the other one: nobody has asked for it
        elif item is None or OperationStatus(item["status"]) in UNDECIDED:
            # A claim of which no operation is stored has not ended either.
            undecided.add(identity)
            reserved_minor[str(operation_id)] = refund.amount_minor if item is None else item["amount_minor"]
        elif item["operation_reference"] in books.by_reference:
            # It is taken out: where an operation does not know its id, the first of two refunds is the one.
            booked[identity] = books.by_reference.pop(item["operation_reference"])
        elif refund.came_back and OperationStatus(item["status"]) in NOT_EXECUTED:
            never_booked.add(identity)
    return KnownRefunds(
        booked=booked,
        undecided=frozenset(undecided),
        undecided_minor=sum(reserved_minor.values()),
        never_booked=frozenset(never_booked),
        unnamed_minor=books.unnamed_minor,
    )


@dataclass(frozen=True, slots=True)
class _Books:
    """The booked refunds: those that were made at the gateway by its ids, ours by their references."""

    by_id: dict[str, BookedRefund]
    by_reference: dict[str, BookedRefund]
    unnamed_minor: int


def _books(payment: Payment, entries: Sequence[tuple[JournalEntry, Movement]], items: Iterable[Item]) -> _Books:
    by_reference = {item["operation_reference"]: item for item in items}
    by_gateway_id = {item["gateway_operation_id"]: item for item in items if "gateway_operation_id" in item}
    reversed_ids = {movement.reverses_entry_id for _, movement in entries}
    named: dict[str, BookedRefund] = {}
    ours: dict[str, BookedRefund] = {}
    unnamed_minor = 0
    for entry, movement in entries:
        # A correction's entry is about another charge, or reverses one of these.
        if entry.break_id is not None or movement.reverses_entry_id is not None:
            continue
        identity, reference = movement.gateway_refund_id, movement.gateway_reference
        item = by_reference.get(reference) or by_gateway_id.get(identity or "")
        refund = BookedRefund(
            entry_id=entry.entry_id,
            reference=reference,
            amount_minor=-entry.moved_minor,
            is_reversed=entry.entry_id in reversed_ids,
            gateway_refund_id=identity,
            record_id=movement.idempotency_record_id,
            operation=None if item is None else _operation(payment, item),
        )
        if identity is not None:
            named[identity] = refund
        elif item is not None:
            ours[reference] = refund
        elif not refund.is_reversed:
            unnamed_minor += refund.amount_minor
    return _Books(named, ours, unnamed_minor)


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


def _refund_entries(database: Database, payment: Payment) -> list[tuple[JournalEntry, Movement]]:
    return [
        (entry, entry.movement)
        for entry in entries_of(database, payment.merchant_id, payment.payment_id)
        if entry.movement is not None and entry.movement.kind is MovementKind.REFUND
    ]


def _operation(payment: Payment, item: Item) -> FollowUpPlan:
    return FollowUpPlan(
        kind=OperationKind.REFUND,
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        operation_id=item["operation_id"],
        amount_minor=item["amount_minor"],
        created_at_ms=item["created_at_ms"],
        submission=item["attempts"],
    )
