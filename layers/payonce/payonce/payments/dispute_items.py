"""The stored form of disputes: an item each, in its payment's partition, as operations have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.dispute import Dispute, dispute_id_of
from payonce.domain.gateway import DisputeState, DisputeStatus
from payonce.outbox import partition_of
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item, Key, Write

DISPUTE_PREFIX = "DISPUTE#"
_STATE_FIELDS = (
    "gateway_dispute_id",
    "amount_minor",
    "withdrawn_minor",
    "currency",
    "reason",
    "evidence_due_at_ms",
    "fee_minor",
)


def dispute_key(merchant_id: str, payment_id: str, dispute_id: str) -> Key:
    """Return the key of a dispute's item."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": DISPUTE_PREFIX + dispute_id}


def dispute_write(dispute: Dispute) -> Write:
    """Return the write that stores a dispute. It has no condition: its payment's version is the one for both."""
    state = dispute.state
    return Adjust(
        table=Table.PAYMENTS,
        key=dispute_key(dispute.merchant_id, dispute.payment_id, dispute.dispute_id),
        set={
            "dispute_id": dispute.dispute_id,
            "merchant_id": dispute.merchant_id,
            "payment_id": dispute.payment_id,
            "status": state.status.value,
            **{name: getattr(state, name) for name in _STATE_FIELDS},
            "opened_at_ms": dispute.opened_at_ms,
            "updated_at_ms": dispute.updated_at_ms,
        },
        upsert=True,
    )


def dispute_from(item: Item) -> Dispute:
    """Return the dispute of a stored item."""
    return Dispute(
        dispute_id=item["dispute_id"],
        merchant_id=item["merchant_id"],
        payment_id=item["payment_id"],
        state=DisputeState(status=DisputeStatus(item["status"]), **{name: item[name] for name in _STATE_FIELDS}),
        opened_at_ms=item["opened_at_ms"],
        updated_at_ms=item["updated_at_ms"],
    )


def known_disputes(database: Database, payment: Payment, states: Iterable[DisputeState]) -> dict[str, Dispute]:
    """Return those of the payment's disputes at the gateway that are stored, by our id. The reads are consistent."""
    found: dict[str, Dispute] = {}
    for state in states:
        identity = dispute_id_of(payment.payment_id, state.gateway_dispute_id)
        item = database.get(Table.PAYMENTS, dispute_key(payment.merchant_id, payment.payment_id, identity))
        if item is not None:
            found[identity] = dispute_from(item)
    return found
