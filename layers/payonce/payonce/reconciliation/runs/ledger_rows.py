"""Our side of a run: the journal's movements of a period, and our payments for references outside of it."""

from __future__ import annotations

import heapq
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import OperationKind
from payonce.domain.ledger import MovementKind
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.outbox import DAY_SHARDS
from payonce.payments.journal import entries_of, movements
from payonce.payments.payment_items import BY_REFERENCE_INDEX, PAYMENT_SORT_KEY, payment_from
from payonce.payments.stored_payments import find_first, find_head
from payonce.ports import Table
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item

# Every reference of a payment is its id and an attempt (domain.ids.gateway_reference).
_OF_PAYMENT = re.compile(r"(pay_[0-9A-Za-z_]{1,64})-[0-9]{1,9}", re.ASCII)
_STATES: Mapping[str, LedgerState] = {
    PaymentStatus.IN_DOUBT.value: LedgerState.IN_DOUBT,
    PaymentStatus.AUTHORIZED.value: LedgerState.AUTHORIZED,
    PaymentStatus.DECLINED.value: LedgerState.DECLINED,
    PaymentStatus.FAILED.value: LedgerState.FAILED,
    PaymentStatus.VOIDED.value: LedgerState.VOIDED,
    OperationStatus.IN_DOUBT.value: LedgerState.IN_DOUBT,
}


def booked_rows(database: Database, *, from_ms: int, until_ms: int) -> Iterator[LedgerRow]:
    """Yield every movement booked in [``from_ms``, ``until_ms``), unordered. Eventually consistent.

    An entry younger than a second may be missing, so use it only for past periods. Raises ``StoreUnavailable``.
    """
    for day_ms in _days(from_ms, until_ms):
        for shard in range(DAY_SHARDS):
            yield from map(_booked, movements(database, shard, from_ms=day_ms, until_ms=until_ms - 1))


def booked_in_order(database: Database, *, from_ms: int, until_ms: int) -> Iterator[LedgerRow]:
    """Yield the rows of ``booked_rows`` ordered by time. It holds one page per shard in memory."""
    for day_ms in _days(from_ms, until_ms):
        shards = (
            map(_booked, movements(database, shard, from_ms=day_ms, until_ms=until_ms - 1))
            for shard in range(DAY_SHARDS)
        )
        yield from heapq.merge(*shards, key=lambda row: (row.booked_at_ms, row.entry_id))


def rows_of(database: Database, references: Iterable[str]) -> Iterator[LedgerRow]:
    """Yield our movements or payments for these gateway references, of any time.

    It is for references in a report that the period's movements lack: one from before the period is ours as well, and
    so is one that booked nothing because it is in doubt, declined or failed. Yields nothing for references that are
    not ours. Raises ``StoreUnavailable``.
    """
    for reference in dict.fromkeys(references):
        made_of = _OF_PAYMENT.fullmatch(reference)
        if made_of is not None:
            yield from _payment_held(database, made_of[1], reference)
            continue
        page = database.query(
            Table.PAYMENTS, index=BY_REFERENCE_INDEX, partition=("operation_reference", reference), limit=2
        )
        for key in page.items:
            yield from _operation_held(database, key, reference)


def _days(from_ms: int, until_ms: int) -> Iterator[int]:
    """Yield where each UTC day of the period begins, the first one with the period."""
    for day in range(from_ms // DAY_MS, (until_ms - 1) // DAY_MS + 1):
        yield max(from_ms, day * DAY_MS)


def _booked(entry: JournalEntry) -> LedgerRow:
    movement = entry.movement
    assert movement is not None  # noqa: S101 - narrows the type: only movements are read
    return LedgerRow(
        entry_id=entry.entry_id,
        merchant_id=entry.merchant_id,
        payment_id=entry.payment_id,
        gateway=movement.gateway,
        kind=LedgerKind(movement.kind.value),
        state=LedgerState.BOOKED,
        reference=movement.gateway_reference,
        amount_minor=entry.moved_minor,
        currency=entry.currency,
        booked_at_ms=entry.booked_at_ms,
        gateway_payment_id=movement.gateway_payment_id,
        payer=movement.payer,
        reverses_entry_id=movement.reverses_entry_id,
        idempotency_record_id=movement.idempotency_record_id,
    )


def _payment_held(database: Database, payment_id: str, reference: str) -> Iterator[LedgerRow]:
    first = find_first(database, None, payment_id)
    payment = None if first is None else find_head(database, first.merchant_id, payment_id) or first
    if payment is None or payment.gateway_reference != reference:
        return
    yield from _held(database, payment, asdict(payment), reference)


def _operation_held(database: Database, key: Item, reference: str) -> Iterator[LedgerRow]:
    keys = [{"pk": key["pk"], "sk": name} for name in (PAYMENT_SORT_KEY, key["sk"])]
    items = {item["sk"]: item for item in database.get_many(Table.PAYMENTS, keys)}
    if len(items) == len(keys):
        yield from _held(database, payment_from(items[PAYMENT_SORT_KEY]), items[key["sk"]], reference)


def _held(database: Database, payment: Payment, held: Mapping[str, Any], reference: str) -> Iterator[LedgerRow]:
    """Yield what we hold under ``reference`` of a payment or of an operation on it, which ``held`` describes."""
    booked = [
        entry
        for entry in entries_of(database, payment.merchant_id, payment.payment_id)
        if entry.movement is not None
        and entry.movement.gateway_reference == reference
        # Of a dispute the entries of the report's own period count: its rows may be spread over several.
        and entry.movement.kind is not MovementKind.DISPUTE
    ]
    state = _STATES.get(held["status"])
    if booked:
        yield from map(_booked, booked)
    elif state is not None and held.get("kind") != OperationKind.VOID.value:
        yield _held_row(payment, held, state, reference)


def _held_row(payment: Payment, held: Mapping[str, Any], state: LedgerState, reference: str) -> LedgerRow:
    refund = held.get("kind") == OperationKind.REFUND.value
    return LedgerRow(
        entry_id=f"held#{reference}",
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        gateway=payment.gateway,
        kind=LedgerKind.REFUND if refund else LedgerKind.CHARGE,
        state=state,
        reference=reference,
        amount_minor=-held["amount_minor"] if refund else held["amount_minor"],
        currency=payment.currency,
        booked_at_ms=held["updated_at_ms"],
        gateway_payment_id=payment.gateway_charge_id,
        payer=payment.payment_method,
    )
