"""The stored forms of payments, operations, journal entries, balances and outbox events, and their writes."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import CaptureMethod
from payonce.domain.payment import OperationStatus, Payment, PaymentStatus
from payonce.outbox import created_key, partition_of
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.ledger import JournalEntry
    from payonce.payments.operations import FollowUpPlan
    from payonce.ports import Item, Key, Write

PAYMENT_SORT_KEY = "PAYMENT"
BY_MERCHANT_INDEX = "payments-by-merchant"
ACCOUNT_PREFIX = "account:"
# A merchant's balance is the sum of this many counters, because concurrent commits to one item conflict. At 10 ms per
# commit, 16 counters allow about 160 payments a second per merchant and currency before 10 % have to retry.
BALANCE_SHARDS = 16
MOVEMENTS_BY_DAY_INDEX = "movements-by-day"
BY_REFERENCE_INDEX = "payments-by-gateway-reference"
# One index partition takes about 1,000 writes a second, and each payment makes one or two.
MOVEMENT_SHARDS = 8
AMOUNT_FIELDS = ("captured_minor", "refunded_minor", "capturable_minor", "refundable_minor")
_PAYMENT_FIELDS = tuple(field.name for field in fields(Payment))


def payment_key(merchant_id: str, payment_id: str) -> Key:
    """Return the key of a payment's item."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": PAYMENT_SORT_KEY}


def payment_item(payment: Payment) -> Item:
    """Return the stored form of a payment."""
    item: Item = {name: getattr(payment, name) for name in _PAYMENT_FIELDS}
    item["status"] = payment.status.value
    item["capture_method"] = payment.capture_method.value
    item["metadata"] = dict(payment.metadata)
    return {
        **payment_key(payment.merchant_id, payment.payment_id),
        **item,
        "created_key": created_key(payment.created_at_ms, payment.payment_id),
    }


def payment_from(item: Item) -> Payment:
    """Return the payment of a stored item."""
    values = {name: item[name] for name in _PAYMENT_FIELDS}
    values["status"] = PaymentStatus(values["status"])
    values["capture_method"] = CaptureMethod(values["capture_method"])
    return Payment(**values)


def replace_payment(payment: Payment, *, expected: Payment | None) -> Write:
    """Return the write that stores ``payment``, on condition that ``expected`` (or nothing) is still stored."""
    item = payment_item(payment)
    if expected is None:
        return Insert(Table.PAYMENTS, item)
    key = payment_key(payment.merchant_id, payment.payment_id)
    return Adjust(
        table=Table.PAYMENTS,
        key=key,
        require={"version": expected.version},
        set={name: value for name, value in item.items() if name not in key},
    )


def adjust_payment(before: Payment, after: Payment, *, exact: Sequence[str] = ()) -> Write:
    """Return the write that turns ``before`` into ``after``.

    Amounts change by their difference: what another operation reserves meanwhile stays reserved and causes no
    conflict. Only the amounts named in ``exact`` must still be as they were read.
    """
    moved = {name: getattr(after, name) - getattr(before, name) for name in AMOUNT_FIELDS}
    return Adjust(
        table=Table.PAYMENTS,
        key=payment_key(before.merchant_id, before.payment_id),
        require={"version": before.version, **{name: getattr(before, name) for name in exact}},
        add={name: amount for name, amount in moved.items() if amount},
        set={"status": after.status.value, "updated_at_ms": after.updated_at_ms, "version": after.version},
    )


def operation_write(
    plan: FollowUpPlan, status: OperationStatus, code: str | None, at_ms: int, *, reference: str
) -> Write:
    """Return the write of a capture, void or refund; one item holds it for its whole life.

    ``reference`` is the one under which it was executed, or else the last one tried.
    """
    return Adjust(
        table=Table.PAYMENTS,
        key={"pk": partition_of(plan.merchant_id, plan.payment_id), "sk": f"OPERATION#{plan.operation_id}"},
        set={
            "kind": plan.kind.value,
            "operation_id": plan.operation_id,
            "status": status.value,
            "amount_minor": plan.amount_minor,
            "gateway_reference": reference,
            "attempts": plan.submission,
            "decline_code": code,
            "created_at_ms": plan.created_at_ms,
            "updated_at_ms": at_ms,
        },
        upsert=True,
    )


def movement_attributes(entry: JournalEntry) -> Item:
    """Return the attributes that put a movement into the index by day; empty when no money moved at a gateway."""
    movement = entry.movement
    if movement is None:
        return {}
    return {
        "day_shard": day_partition(entry.booked_at_ms, zlib.crc32(entry.entry_id.encode()) % MOVEMENT_SHARDS),
        "moved_minor": entry.moved_minor,
        "movement": {**asdict(movement), "kind": movement.kind.value},
    }


def day_partition(at_ms: int, shard: int) -> str:
    """Return the partition of a UTC day's movements."""
    return f"{at_ms // DAY_MS}#{shard}"


def journal_partition(merchant_id: str, payment_id: str) -> str:
    """Return the partition of the journal entries of one payment."""
    return f"JOURNAL#{merchant_id}#{payment_id}"


def journal_owner(partition: str) -> tuple[str, str]:
    """Return the merchant id and payment id of a partition of journal entries."""
    _, merchant_id, payment_id = partition.split("#")
    return merchant_id, payment_id


def balance_partition(merchant_id: str) -> str:
    """Return the partition of all balances of one merchant."""
    return f"BALANCE#{merchant_id}"


def _journal_sort_key(entry: JournalEntry) -> str:
    # Letters sort after digits: corrections follow the payment's own entries and never collide with them.
    version = f"{entry.version:010d}"
    return version if entry.break_id is None else f"CORRECTION#{entry.break_id}#{version}"


def journal_writes(*entries: JournalEntry) -> list[Write]:
    """Return the writes that append journal entries, and that add their sum to one balance counter.

    All entries must have one merchant and currency, because a transaction may change the counter only once.
    """
    first = entries[0]
    shard = zlib.crc32(first.entry_id.encode()) % BALANCE_SHARDS
    totals: Counter[str] = Counter()
    for entry in entries:
        totals.update(entry.by_account())
    return [
        *(_entry_write(entry) for entry in entries),
        Adjust(
            table=Table.LEDGER,
            key={"pk": balance_partition(first.merchant_id), "sk": f"{first.currency}#{shard:02d}"},
            add={ACCOUNT_PREFIX + account: amount for account, amount in totals.items()},
            upsert=True,
        ),
    ]


def _entry_write(entry: JournalEntry) -> Write:
    item: Item = {
        **movement_attributes(entry),
        "pk": journal_partition(entry.merchant_id, entry.payment_id),
        "sk": _journal_sort_key(entry),
        "entry_id": entry.entry_id,
        "currency": entry.currency,
        "description": entry.description,
        "booked_at_ms": entry.booked_at_ms,
        "postings": [{"account": posting.account, "amount_minor": posting.amount_minor} for posting in entry.postings],
    }
    if entry.break_id is not None:
        item["break_id"] = entry.break_id
    return Insert(Table.LEDGER, item)
