"""Our side of a run: the journal's movements of a period, and our payments for references outside of it."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import OperationKind
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.paging import every_item
from payonce.payments.payment_items import (
    BY_REFERENCE_INDEX,
    MOVEMENT_SHARDS,
    MOVEMENTS_BY_DAY_INDEX,
    PAYMENT_SORT_KEY,
    day_partition,
    journal_owner,
    journal_partition,
    payment_from,
)
from payonce.ports import Table
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item

PAGE_SIZE = 1_000  # about 0.4 MB; DynamoDB limits a page to 1 MB
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
    for day in range(from_ms // DAY_MS, (until_ms - 1) // DAY_MS + 1):
        for shard in range(MOVEMENT_SHARDS):
            for item in _movements(database, day_partition(day * DAY_MS, shard), from_ms, until_ms):
                yield _booked(item)


def booked_in_order(database: Database, *, from_ms: int, until_ms: int) -> Iterator[LedgerRow]:
    """Yield the rows of ``booked_rows`` ordered by time. It holds one page per shard in memory."""
    for day in range(from_ms // DAY_MS, (until_ms - 1) // DAY_MS + 1):
        shards = (
            map(_booked, _movements(database, day_partition(day * DAY_MS, shard), from_ms, until_ms))
            for shard in range(MOVEMENT_SHARDS)
        )
        yield from heapq.merge(*shards, key=lambda row: (row.booked_at_ms, row.entry_id))


def rows_of(database: Database, references: Iterable[str]) -> Iterator[LedgerRow]:
    """Yield our movements or payments for these gateway references, of any time.

    It is for references in a report that the period's movements lack: one from before the period is ours as well, and
    so is one that booked nothing because it is in doubt, declined or failed. Yields nothing for references that are
    not ours. Raises ``StoreUnavailable``.
    """
    for reference in dict.fromkeys(references):
        page = database.query(
            Table.PAYMENTS, index=BY_REFERENCE_INDEX, partition=("gateway_reference", reference), limit=2
        )
        for key in page.items:
            yield from _held(database, key["pk"], key["sk"])


def _movements(database: Database, partition: str, from_ms: int, until_ms: int) -> Iterator[Item]:
    return every_item(
        lambda start: database.query(
            Table.LEDGER,
            index=MOVEMENTS_BY_DAY_INDEX,
            partition=("day_shard", partition),
            sort_at_least=("booked_at_ms", from_ms),
            sort_at_most=("booked_at_ms", until_ms - 1),
            limit=PAGE_SIZE,
            start=start,
        )
    )


def _booked(item: Item) -> LedgerRow:
    movement = item["movement"]
    merchant_id, payment_id = journal_owner(item["pk"])
    return LedgerRow(
        entry_id=item["entry_id"],
        merchant_id=merchant_id,
        payment_id=payment_id,
        gateway=movement["gateway"],
        kind=LedgerKind(movement["kind"]),
        state=LedgerState.BOOKED,
        reference=movement["gateway_reference"],
        amount_minor=item["moved_minor"],
        currency=item["currency"],
        booked_at_ms=item["booked_at_ms"],
        gateway_payment_id=movement["gateway_payment_id"],
        payer=movement["payer"],
        reverses_entry_id=movement["reverses_entry_id"],
        idempotency_record_id=movement["idempotency_record_id"],
    )


def _held(database: Database, partition: str, sort_key: str) -> Iterator[LedgerRow]:
    keys = [{"pk": partition, "sk": name} for name in dict.fromkeys((PAYMENT_SORT_KEY, sort_key))]
    items = {item["sk"]: item for item in database.get_many(Table.PAYMENTS, keys)}
    if PAYMENT_SORT_KEY not in items or sort_key not in items:
        return
    payment, item = payment_from(items[PAYMENT_SORT_KEY]), items[sort_key]
    booked = list(_booked_of(database, payment, item["gateway_reference"]))
    state = _STATES.get(item["status"])
    if booked:
        yield from booked
    elif state is not None and item.get("kind") != OperationKind.VOID.value:
        yield _held_row(payment, item, state)


def _booked_of(database: Database, payment: Payment, reference: str) -> Iterator[LedgerRow]:
    partition = ("pk", journal_partition(payment.merchant_id, payment.payment_id))
    for item in database.query(Table.LEDGER, partition=partition, limit=PAGE_SIZE).items:
        if "movement" in item and item["movement"]["gateway_reference"] == reference:
            yield _booked(item)


def _held_row(payment: Payment, item: Item, state: LedgerState) -> LedgerRow:
    refund = item.get("kind") == OperationKind.REFUND.value
    return LedgerRow(
        entry_id=f"held#{item['gateway_reference']}",
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        gateway=payment.gateway,
        kind=LedgerKind.REFUND if refund else LedgerKind.CHARGE,
        state=state,
        reference=item["gateway_reference"],
        amount_minor=-item["amount_minor"] if refund else item["amount_minor"],
        currency=payment.currency,
        booked_at_ms=item["updated_at_ms"],
        gateway_payment_id=payment.gateway_charge_id,
        payer=payment.payment_method,
    )
