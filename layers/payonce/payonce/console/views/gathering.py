"""Reads everything that is stored of one payment: a bounded number of round trips, none of which grows with the rest.

::

    1  outbox           every change: events with their bytes, journal entries, corrections' entries
    2  payments         the head, operations, disputes, corrections: one partition
    3  claims           of the payment, its operations and what follows them; each with its trail
    4  deliveries       of its events to the merchant's endpoints: their ids follow from the two
    5  breaks           of its references: their ids follow from class and reference; and those with a correction
    6  gateways' events what they have told of its operations and its charge

Allowed: dynamodb:Query on OutboxTable, PaymentsTable, EndpointsTable, AuditTable, on AuditTable's index audit-by-scope
and IdempotencyTable's open-leases; dynamodb:BatchGetItem on IdempotencyTable, PaymentsTable, DeliveriesTable,
NoticesTable and ReconciliationTable; dynamodb:GetItem on IdempotencyTable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from payonce.console.views.claim_stories import ClaimStory, Operation, claims_of, record_ids_of
from payonce.corrections.record import find_corrections
from payonce.domain.errors import NotFound
from payonce.domain.gateway_address import Whereabouts
from payonce.domain.ids import ID_PATTERN, gateway_reference
from payonce.domain.webhooks import delivery_id
from payonce.notices.told import KeptNoticeBook
from payonce.outbox import is_event, opened, partition_of
from payonce.payments.corrective_plan import case_key
from payonce.payments.dispute_items import DISPUTE_PREFIX, dispute_from
from payonce.payments.journal import entry_of
from payonce.payments.operations import PaymentPlan
from payonce.payments.payment_items import PAYMENT_SORT_KEY, payment_from, payment_of_first
from payonce.ports import Table
from payonce.reconciliation.cases.case_items import case_from
from payonce.reconciliation.model import break_id_of
from payonce.reconciliation.taxonomy import CLASSES, Family
from payonce.webhooks.deliveries import delivery_from, delivery_key
from payonce.webhooks.endpoints import load_endpoints
from payonce.webhooks.relay import is_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.console.views.sources import Sources
    from payonce.corrections.record import Correction
    from payonce.domain.dispute import Dispute
    from payonce.domain.endpoint import Endpoint
    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from payonce.notices.told import Told
    from payonce.ports import Item
    from payonce.reconciliation.cases.case import Case
    from payonce.webhooks.deliveries import Delivery

MOST_CHANGES: Final = 200  # of a payment, which has a handful
MOST_DELIVERIES: Final = 300  # three round trips; a payment has one for each event and endpoint
OPERATION_PREFIX: Final = "OPERATION#"
CORRECTION_PREFIX: Final = "CORRECTION#"
_BY_REFERENCE = tuple(each for each, rule in CLASSES.items() if rule.family not in (Family.BANK,))
_KEYS_AT_ONCE: Final = 100
_FORM = re.compile(f"pay_{ID_PATTERN}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that is stored of a payment. ``payment`` is ``None`` while only its claim is: then ``plan`` says what it is.

    ``notes`` say what could not be read, or was left out.
    """

    merchant_id: str
    payment_id: str
    payment: Payment | None
    plan: PaymentPlan | None = None
    events: tuple[Item, ...] = ()
    entries: tuple[JournalEntry, ...] = ()
    operations: tuple[Operation, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    corrections: tuple[Correction, ...] = ()
    cases: tuple[Case, ...] = ()
    deliveries: tuple[tuple[Endpoint, Delivery], ...] = ()
    claims: tuple[ClaimStory, ...] = ()
    told: tuple[Told, ...] = ()
    notes: tuple[str, ...] = ()
    now_ms: int = 0

    @property
    def claim(self) -> ClaimStory | None:
        """The claim of the request that made the payment, ``None`` where it was not found."""
        return next((each for each in self.claims if each.operation == "create_payment"), None)


def gather(sources: Sources, merchant_id: str, payment_id: str) -> Gathered:
    """Return all that is stored of the merchant's payment. Raises ``NotFound``, also for another merchant's."""
    if not _FORM.fullmatch(payment_id):
        raise NotFound(f"There is no payment {payment_id}.")
    notes: list[str] = []
    changes = _changes(sources, merchant_id, payment_id, notes)
    rest = _partition(sources, merchant_id, payment_id) if changes else []
    payment = _payment(changes, rest)
    operations = tuple(sorted(_operations(rest), key=lambda each: each.created_at_ms))
    events = tuple(opened(item) for item in changes if is_event(item))
    entries = tuple(entry for item in changes if (entry := entry_of(item)) is not None)
    record_ids = record_ids_of(sources, merchant_id, payment_id, payment, entries, operations, notes)
    claims = claims_of(sources, record_ids)
    plan = _plan(payment_id, claims)
    if payment is None and plan is None:
        raise NotFound(f"There is no payment {payment_id}.")
    corrections = tuple(find_corrections(sources.database, _corrected(merchant_id, payment_id, rest)))
    return Gathered(
        merchant_id=merchant_id,
        payment_id=payment_id,
        payment=payment,
        plan=plan,
        events=events,
        entries=entries,
        operations=operations,
        disputes=tuple(dispute_from(item) for item in rest if item["sk"].startswith(DISPUTE_PREFIX)),
        corrections=corrections,
        cases=_cases(sources, payment, operations, entries, corrections, merchant_id),
        deliveries=_deliveries(sources, merchant_id, events, notes),
        claims=claims,
        told=_told(sources, payment, operations),
        notes=tuple(notes),
        now_ms=sources.clock.now_ms(),
    )


def _changes(sources: Sources, merchant_id: str, payment_id: str, notes: list[str]) -> list[Item]:
    page = sources.database.query(Table.OUTBOX, partition=("pk", payment_id), limit=MOST_CHANGES)
    if page.next_key is not None:
        notes.append(f"Only its first {MOST_CHANGES} changes are shown, and the sums are of these.")
    return [item for item in page.items if item["merchant_id"] == merchant_id]


def _partition(sources: Sources, merchant_id: str, payment_id: str) -> list[Item]:
    place = partition_of(merchant_id, payment_id)
    return sources.database.query(Table.PAYMENTS, partition=("pk", place), limit=MOST_CHANGES).items


def _payment(changes: Sequence[Item], rest: Sequence[Item]) -> Payment | None:
    head = next((item for item in rest if item["sk"] == PAYMENT_SORT_KEY), None)
    if head is not None:
        return payment_from(head)
    first = next((item for item in changes if is_event(item)), None)
    try:
        return None if first is None else payment_of_first(first)
    except KeyError:
        return None  # another resource's id


def _operations(rest: Sequence[Item]) -> Iterator[Operation]:
    for item in rest:
        if item["sk"].startswith(OPERATION_PREFIX):
            yield Operation(
                operation_id=item["operation_id"],
                kind=item["kind"],
                status=item["status"],
                amount_minor=item["amount_minor"],
                reference=item["operation_reference"],
                attempts=item["attempts"],
                decline_code=item["decline_code"] or "",
                created_at_ms=item["created_at_ms"],
                updated_at_ms=item["updated_at_ms"],
            )


def _corrected(merchant_id: str, payment_id: str, rest: Sequence[Item]) -> list[tuple[str, str, str]]:
    names = [item["sk"].removeprefix(CORRECTION_PREFIX) for item in rest if item["sk"].startswith(CORRECTION_PREFIX)]
    return [(merchant_id, payment_id, name) for name in names]


def _plan(payment_id: str, claims: Sequence[ClaimStory]) -> PaymentPlan | None:
    for claim in claims:
        plan: Mapping[str, Any] = {} if claim.record is None else claim.record.plan
        if plan.get("payment_id") == payment_id and plan.get("kind") == "payment":
            return PaymentPlan.from_data(plan)
    return None


def _deliveries(
    sources: Sources, merchant_id: str, events: Sequence[Item], notes: list[str]
) -> tuple[tuple[Endpoint, Delivery], ...]:
    endpoints = load_endpoints(sources.database, merchant_id) if events else []
    wanted = [
        (endpoint, delivery_key(merchant_id, endpoint.endpoint_id, _delivery_id(event, endpoint)))
        for event in events[::-1]
        for endpoint in endpoints
        if is_for(event, endpoint)
    ]
    if len(wanted) > MOST_DELIVERIES:
        notes.append(f"Only the {MOST_DELIVERIES} newest of {len(wanted)} deliveries are shown.")
    found: list[tuple[Endpoint, Delivery]] = []
    by_id = {endpoint.endpoint_id: endpoint for endpoint in endpoints}
    for some in batched(wanted[:MOST_DELIVERIES], _KEYS_AT_ONCE):
        items = sources.database.get_many(Table.DELIVERIES, [key for _, key in some])
        found += [(by_id[delivery.endpoint_id], delivery) for delivery in map(delivery_from, items)]
    return tuple(sorted(found, key=lambda each: (each[1].event_created_at_ms, each[1].delivery_id)))


def _delivery_id(event: Item, endpoint: Endpoint) -> str:
    return delivery_id(event["event_id"], endpoint.endpoint_id, event["created_at_ms"])


def _cases(
    sources: Sources,
    payment: Payment | None,
    operations: Sequence[Operation],
    entries: Sequence[JournalEntry],
    corrections: Sequence[Correction],
    merchant_id: str,
) -> tuple[Case, ...]:
    """Return the breaks of the payment's references, and those that have a correction.

    A break's id follows from its class and its subject: a gateway and a reference. A surplus charge's subject names the
    gateway's transaction as well, which is not known here: such a break is found once it has a correction.
    """
    if payment is None:
        return ()
    references = [gateway_reference(payment.payment_id, number + 1) for number in range(payment.attempts)]
    references += [each.reference for each in operations]
    ids = [correction.break_id for correction in corrections]
    ids += [break_id_of(each, (payment.gateway, reference)) for reference in references[:3] for each in _BY_REFERENCE]
    keys = [case_key(each) for each in dict.fromkeys(ids)][:_KEYS_AT_ONCE]
    cases = map(case_from, sources.database.get_many(Table.RECONCILIATION, keys))
    return tuple(
        sorted((case for case in cases if case.merchant_id == merchant_id), key=lambda case: case.opened_at_ms)
    )


def _told(sources: Sources, payment: Payment | None, operations: Sequence[Operation]) -> tuple[Told, ...]:
    if payment is None:
        return ()
    names = [gateway_reference(payment.payment_id, number + 1) for number in range(payment.attempts)]
    names += [each.reference for each in operations]
    book = KeptNoticeBook(sources.database, Whereabouts(payment.gateway, payment.merchant_id, payment.account))
    return tuple(book.told(payment.gateway, names[:20], payment.gateway_charge_id))
