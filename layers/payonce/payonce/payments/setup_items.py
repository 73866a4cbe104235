"""The stored forms of set-ups and saved payment methods, and their writes.

Each is one item, which changes in place. Beside it lies an entry in its customer's partition, which never changes: the
lists by customer are read from there, strongly consistent and without an index.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from payonce.domain.events import build_event
from payonce.domain.gateway import MethodSaved, PaymentMethodType
from payonce.domain.setup import (
    MethodChange,
    MethodStatus,
    SavedMethod,
    Setup,
    SetupChange,
    SetupStatus,
    method_id_of,
)
from payonce.outbox import event_write, partition_of
from payonce.payments.payment_items import BY_REFERENCE_INDEX
from payonce.payments.setup_views import method_view, setup_view
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item, Key, Write

SETUP_SORT_KEY = "SETUP"
METHOD_SORT_KEY = "METHOD"
SETUPS, METHODS = "SETUP#", "METHOD#"  # what a customer's entries begin with
_SETUP_FIELDS = tuple(field.name for field in fields(Setup))
_METHOD_FIELDS = tuple(field.name for field in fields(SavedMethod))
TOKENS_LOOKED_AT = 20  # merchants that share a gateway's account may share a customer's method


def customer_partition(merchant_id: str, customer: str) -> str:
    """Return the partition of a customer's lists. No id of ours holds a ``#``, so it is no resource's partition."""
    return partition_of(merchant_id, f"customer#{customer}")


def setup_key(merchant_id: str, setup_id: str) -> Key:
    """Return the key of a set-up's item."""
    return {"pk": partition_of(merchant_id, setup_id), "sk": SETUP_SORT_KEY}


def method_key(merchant_id: str, method_id: str) -> Key:
    """Return the key of a saved payment method's item."""
    return {"pk": partition_of(merchant_id, method_id), "sk": METHOD_SORT_KEY}


def find_setup(database: Database, merchant_id: str, setup_id: str) -> Setup | None:
    """Return the merchant's set-up as it is stored now, or ``None``."""
    item = database.get(Table.PAYMENTS, setup_key(merchant_id, setup_id))
    return None if item is None else setup_from(item)


def find_method(database: Database, merchant_id: str, method_id: str) -> SavedMethod | None:
    """Return the merchant's saved payment method as it is stored now, or ``None``."""
    item = database.get(Table.PAYMENTS, method_key(merchant_id, method_id))
    return None if item is None else method_from(item)


def methods_at_gateway(database: Database, gateway: str, account: str, token: str) -> list[SavedMethod]:
    """Return the saved payment methods, of whichever merchant, that this account knows as ``token``, as they are now.

    Eventually consistent: one that was saved a moment ago may be missing.
    """
    page = database.query(
        Table.PAYMENTS,
        index=BY_REFERENCE_INDEX,
        partition=("operation_reference", _token_at(gateway, account, token)),
        limit=TOKENS_LOOKED_AT,
    )
    items = [database.get(Table.PAYMENTS, {"pk": item["pk"], "sk": item["sk"]}) for item in page.items]
    return [method_from(item) for item in items if item is not None]


def setup_from(item: Item) -> Setup:
    """Return the set-up of a stored item."""
    values = {name: item[name] for name in _SETUP_FIELDS}
    values["status"] = SetupStatus(values["status"])
    values["payment_method_type"] = PaymentMethodType(values["payment_method_type"])
    return Setup(**values)


def method_from(item: Item) -> SavedMethod:
    """Return the saved payment method of a stored item."""
    values = {name: item[name] for name in _METHOD_FIELDS}
    values["status"] = MethodStatus(values["status"])
    values["payment_method_type"] = PaymentMethodType(values["payment_method_type"])
    return SavedMethod(**values)


def setup_writes(setup: Setup, change: SetupChange, *, before: Setup | None) -> list[Write]:
    """Return the writes of a change of a set-up: ``before`` is what has to be stored until then, ``None`` for nothing.

    A change that saves a payment method needs ``method_writes`` too.
    """
    event = build_event(
        change,
        merchant_id=setup.merchant_id,
        resource_id=setup.setup_id,
        version=setup.version,
        created_at_ms=setup.updated_at_ms,
        data=setup_view(setup),
    )
    key, item = setup_key(setup.merchant_id, setup.setup_id), _setup_item(setup)
    if before is None:
        listed = _listed(setup.merchant_id, setup.customer, SETUPS, setup.setup_id)
        return [Insert(Table.PAYMENTS, {**key, **item}), listed, event_write(event)]
    stored = Adjust(table=Table.PAYMENTS, key=key, require={"version": before.version}, set=item)
    return [stored, event_write(event)]


def method_writes(method: SavedMethod) -> list[Write]:
    """Return the writes of a payment method that has just been saved."""
    item = {
        **method_key(method.merchant_id, method.method_id),
        **{name: getattr(method, name) for name in _METHOD_FIELDS},
        "status": method.status.value,
        "payment_method_type": method.payment_method_type.value,
        # By this, an event of the gateway's finds it: the index is that of operations by the gateway's reference.
        "operation_reference": _token_at(method.gateway, method.account, method.token),
    }
    listed = _listed(method.merchant_id, method.customer, METHODS, method.method_id)
    return [Insert(Table.PAYMENTS, item), listed, _method_event(method, MethodChange.SAVED)]


def saved_by(saved: MethodSaved, made_by: Payment | Setup, identity: str, customer: str, *, at_ms: int) -> SavedMethod:
    """Return the payment method that a payment or set-up with this id has saved for the customer."""
    return SavedMethod(
        method_id=method_id_of(identity),
        merchant_id=made_by.merchant_id,
        status=MethodStatus.ACTIVE,
        customer=customer,
        payment_method_type=made_by.payment_method_type,
        currency=made_by.currency,
        gateway=made_by.gateway,
        account=made_by.account,
        token=saved.token,
        mandate_id=saved.mandate_id,
        made_by=identity,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def saved_by_payment(result: object, payment: Payment, *, at_ms: int) -> list[Write]:
    """Return the writes of a payment method that a payment has saved for its customer; none if it has saved none."""
    if not isinstance(result, MethodSaved) or payment.customer is None:
        return []
    return method_writes(saved_by(result, payment, payment.payment_id, payment.customer, at_ms=at_ms))


def is_active(merchant_id: str, method_id: str) -> Write:
    """Return the condition that the payment method may be charged, as a write that changes nothing."""
    active = {"status": MethodStatus.ACTIVE.value}
    return Adjust(table=Table.PAYMENTS, key=method_key(merchant_id, method_id), require=active, set=active)


def being_revoked(merchant_id: str, method_id: str, revocation_id: str) -> Write:
    """Return the write with which a revocation begins: from now on, the payment method is not charged any more."""
    return Adjust(
        table=Table.PAYMENTS,
        key=method_key(merchant_id, method_id),
        require={"status": MethodStatus.ACTIVE.value},
        set={"status": MethodStatus.REVOKING.value, "revocation_id": revocation_id},
    )


def not_revoked(merchant_id: str, method_id: str, revocation_id: str) -> Write:
    """Return the write that takes back what ``being_revoked`` did."""
    return Adjust(
        table=Table.PAYMENTS,
        key=method_key(merchant_id, method_id),
        require={"status": MethodStatus.REVOKING.value, "revocation_id": revocation_id},
        set={"status": MethodStatus.ACTIVE.value, "revocation_id": None},
    )


def revoked_writes(before: SavedMethod, change: MethodChange, *, at_ms: int) -> tuple[list[Write], SavedMethod]:
    """Return the writes that end a payment method, and the method after them."""
    after = before.revoked(at_ms=at_ms)
    ended = Adjust(
        table=Table.PAYMENTS,
        key=method_key(before.merchant_id, before.method_id),
        require={"version": before.version, "status": before.status.value},
        set={"status": after.status.value, "updated_at_ms": after.updated_at_ms, "version": after.version},
    )
    return [ended, _method_event(after, change)], after


def _setup_item(setup: Setup) -> dict[str, Any]:
    item = {name: getattr(setup, name) for name in _SETUP_FIELDS}
    item["status"] = setup.status.value
    item["payment_method_type"] = setup.payment_method_type.value
    item["metadata"] = dict(setup.metadata)
    item["next_action"] = None if setup.next_action is None else dict(setup.next_action)
    return item


def _method_event(method: SavedMethod, change: MethodChange) -> Write:
    return event_write(
        build_event(
            change,
            merchant_id=method.merchant_id,
            resource_id=method.method_id,
            version=method.version,
            created_at_ms=method.updated_at_ms,
            data=method_view(method),
        )
    )


def _listed(merchant_id: str, customer: str, listed: str, identity: str) -> Write:
    return Insert(Table.PAYMENTS, {"pk": customer_partition(merchant_id, customer), "sk": f"{listed}{identity}"})


def _token_at(gateway: str, account: str, token: str) -> str:
    # No reference of ours holds a "#", so no operation is mistaken for a token, nor a token for an operation.
    return f"{gateway}#{account}#{token}" if account else f"{gateway}#{token}"
