"""The stored forms of payments and operations, and their writes.

The first version of a payment is the item of its first change (``payonce.outbox``), which never changes. A head, which
does, is made when an operation reserves an amount or a second version follows: most payments never need one.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, PaymentMethodType
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.payment import OperationStatus, Payment, PaymentStatus
from payonce.outbox import opened, partition_of
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.payments.operations import FollowUpPlan
    from payonce.ports import Item, Key, Write

PAYMENT_SORT_KEY = "PAYMENT"
OPERATION_PREFIX = "OPERATION#"
BY_REFERENCE_INDEX = "operations-by-gateway-reference"
AMOUNT_FIELDS = (
    "captured_minor",
    "refunded_minor",
    "capturable_minor",
    "refundable_minor",
    "reversed_minor",
    "disputed_minor",
)
_PAYMENT_FIELDS = tuple(field.name for field in fields(Payment))
# The fields that a payment's view has under their own names.
_SHOWN_FIELDS = (
    "amount_minor",
    "currency",
    *AMOUNT_FIELDS,
    "payment_method",
    "reference",
    "customer",
    "description",
    "metadata",
    "gateway",
    "attempts",
    "decline_code",
    "next_action",
    "created_at_ms",
    "updated_at_ms",
    "version",
)


def payment_key(merchant_id: str, payment_id: str) -> Key:
    """Return the key of a payment's item."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": PAYMENT_SORT_KEY}


def still_waits(merchant_id: str, payment_id: str) -> Write:
    """Return the condition that the payment waits for its payer, as a write that changes nothing."""
    waits = {"status": PaymentStatus.REQUIRES_ACTION.value}
    return Adjust(table=Table.PAYMENTS, key=payment_key(merchant_id, payment_id), require=waits, set=waits)


def payment_item(payment: Payment) -> Item:
    """Return the stored form of a payment."""
    item: Item = {name: getattr(payment, name) for name in _PAYMENT_FIELDS}
    item["status"] = payment.status.value
    item["capture_method"] = payment.capture_method.value
    item["metadata"] = dict(payment.metadata)
    item["passed_over"] = list(payment.passed_over)
    item["payment_method_type"] = payment.payment_method_type.value
    item["next_action"] = None if payment.next_action is None else dict(payment.next_action)
    if payment.account == PLATFORM:
        del item["account"]  # what is as usual is not stored
    return {**payment_key(payment.merchant_id, payment.payment_id), **item}


def payment_from(item: Item) -> Payment:
    """Return the payment of a stored item."""
    values = {name: item[name] for name in _PAYMENT_FIELDS if name != "account"}
    values["status"] = PaymentStatus(values["status"])
    values["capture_method"] = CaptureMethod(values["capture_method"])
    values["passed_over"] = tuple(values["passed_over"])
    values["payment_method_type"] = PaymentMethodType(values["payment_method_type"])
    return Payment(**values, account=item.get("account", PLATFORM))


def first_version(payment: Payment) -> dict[str, Any]:
    """Return what is stored of a payment's first version beside its event, whose data is the payment's view."""
    account = [] if payment.account == PLATFORM else [payment.account]
    return {"payment": [payment.gateway_reference, payment.gateway_charge_id, *account]}


def payment_of_first(item: Item) -> Payment:
    """Return the first version of a payment from the item of its first change. Raises ``KeyError`` for another item."""
    event = opened(item)
    gateway_reference, gateway_charge_id, *account = event["told"]["payment"]
    view = json.loads(event["body"])["data"]
    return Payment(
        payment_id=view["id"],
        merchant_id=event["merchant_id"],
        gateway_reference=gateway_reference,
        gateway_charge_id=gateway_charge_id,
        account=account[0] if account else PLATFORM,
        status=PaymentStatus(view["status"]),
        capture_method=CaptureMethod(view["capture"]),
        payment_method_type=PaymentMethodType(view["payment_method_type"]),
        passed_over=tuple(view["passed_over"]),
        **{name: view[name] for name in _SHOWN_FIELDS},
    )


def head_insert(payment: Payment) -> Write:
    """Return the write that makes a payment's head, on condition that there is none."""
    return Insert(Table.PAYMENTS, payment_item(payment))


def replace_payment(payment: Payment, *, expected: Payment) -> Write:
    """Return the write that stores ``payment`` as the head, on condition that ``expected`` is still stored there."""
    key = payment_key(payment.merchant_id, payment.payment_id)
    return Adjust(
        table=Table.PAYMENTS,
        key=key,
        require={"version": expected.version},
        set={name: value for name, value in payment_item(payment).items() if name not in key},
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
        set={
            "status": after.status.value,
            "updated_at_ms": after.updated_at_ms,
            "version": after.version,
            **({"next_action": None} if before.next_action and not after.next_action else {}),
        },
    )


def operation_key(merchant_id: str, payment_id: str, operation_id: str) -> Key:
    """Return the key of a capture's, void's or refund's item."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": OPERATION_PREFIX + operation_id}


def operation_write(
    plan: FollowUpPlan, status: OperationStatus, code: str | None, at_ms: int, *, reference: str, at_gateway: str = ""
) -> Write:
    """Return the write of a capture, void or refund; one item holds it for its whole life.

    ``reference`` is the one under which it was executed, or else the last one tried. ``at_gateway`` is the gateway's id
    of an operation that has succeeded, "" where it has none.
    """
    return Adjust(
        table=Table.PAYMENTS,
        key=operation_key(plan.merchant_id, plan.payment_id, plan.operation_id),
        set={
            "kind": plan.kind.value,
            "operation_id": plan.operation_id,
            "status": status.value,
            "amount_minor": plan.amount_minor,
            "operation_reference": reference,
            "attempts": plan.submission,
            "decline_code": code,
            "created_at_ms": plan.created_at_ms,
            "updated_at_ms": at_ms,
            **({"gateway_operation_id": at_gateway} if at_gateway else {}),
        },
        upsert=True,
    )


def returned_write(plan: FollowUpPlan, at_ms: int) -> Write:
    """Return the write that marks a refund that had succeeded as one that came back."""
    return Adjust(
        table=Table.PAYMENTS,
        key=operation_key(plan.merchant_id, plan.payment_id, plan.operation_id),
        require={"status": OperationStatus.SUCCEEDED.value},
        set={"status": OperationStatus.RETURNED.value, "updated_at_ms": at_ms},
    )
