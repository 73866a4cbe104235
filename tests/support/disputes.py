"""Disputes as gateways tell of them, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import ChargeState, DisputeState, DisputeStatus
from payonce.domain.payment import Change
from payonce.payments.booking import elsewhere_writes, first_writes
from payonce.payments.payment_items import head_insert
from payonce.payments.taken_back import dispute_effects
from tests.support.payments import stored_payment
from tools.make_events import PAYMENT_ID

if TYPE_CHECKING:
    from payonce.ports import Database

DUE_MS = 1_800_600_000_000


def dispute(
    status: DisputeStatus,
    withdrawn_minor: int,
    *,
    name: str = "dp_stripe_1",
    amount_minor: int = 1000,
    currency: str = "EUR",
    evidence_due_at_ms: int | None = None,
    fee_minor: int = 0,
) -> DisputeState:
    """Return a dispute in a state; its evidence is due where the state asks for it."""
    due = DUE_MS if status is DisputeStatus.EVIDENCE_DUE else None
    return DisputeState(
        gateway_dispute_id=name,
        status=status,
        amount_minor=amount_minor,
        withdrawn_minor=withdrawn_minor,
        currency=currency,
        reason="fraudulent",
        evidence_due_at_ms=due if evidence_due_at_ms is None else evidence_due_at_ms,
        fee_minor=fee_minor,
    )


def store_dispute(
    database: Database, merchant_id: str, *, payment_id: str = PAYMENT_ID, name: str = "dp_at_the_gateway"
) -> None:
    """Store a captured payment whose payer disputes it, and has lost: the merchant bears it."""
    payment = stored_payment(merchant_id, payment_id, captured=True)
    state = ChargeState(
        captured_minor=payment.captured_minor,
        refunded_minor=0,
        voided=False,
        currency=payment.currency,
        disputes=(dispute(DisputeStatus.LOST, payment.captured_minor, name=name),),
    )
    effects = dispute_effects(payment, state, {}, at_ms=payment.created_at_ms + 1000)
    database.write([*first_writes(payment, Change.CHARGED, None), head_insert(payment)])
    database.write(elsewhere_writes(payment, effects))
