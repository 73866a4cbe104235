"""Break cases as a run opens them, for tests of what is done with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.corrections.actions import Action
from payonce.corrections.record import Correction, CorrectionStatus, insert_correction
from payonce.domain.payment import Change
from payonce.payments.booking import first_writes
from payonce.reconciliation.cases.case import CaseChange, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.payments import stored_payment

if TYPE_CHECKING:
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

PAYER = "pm_visa"  # stored_payment's
TOKEN = "token-of-the-workflow"
FOREIGN_PAYMENT = "pay_00000000000000000000000099"


def evidence_of(payment_id: str, *, number: int = 1, charge_id: str | None = "ch_1") -> tuple[Evidence, Evidence]:
    """Return what the rules leave as evidence of a charge that both sides have."""
    reference = f"{payment_id}-1"
    ledger = {
        "entry_id": f"je_{number}",
        "payment_id": payment_id,
        "gateway": "bank",
        "kind": "charge",
        "state": "booked",
        "ref": reference,
        "amount_minor": 1050,
        "currency": "EUR",
        "booked_at_ms": 1,
        "gateway_payment_id": charge_id,
        "payer": PAYER,
        "idempotency_record_id": f"mer_1#create_payment#{number}",
    }
    gateway = {
        "gateway": "bank",
        "transaction_id": f"t{number}",
        "kind": "charge",
        "reference": reference,
        "gateway_payment_id": charge_id,
        "amount_minor": 1050,
        "fee_minor": 20,
        "currency": "EUR",
        "created_at_ms": 1,
        "available_at_ms": None,
        "payout_id": "po_of_all_merchants",
        "presented_minor": None,
        "presented_currency": None,
    }
    return (
        Evidence(source=Source.LEDGER, row_key=f"je_{number}", fields=ledger),
        Evidence(source=Source.GATEWAY, row_key=f"bank|t{number}", fields=gateway),
    )


def break_of(merchant_id: str | None, payment_id: str | None, **values: Any) -> Break:
    """Return a duplicate capture of the payment."""
    found = Break(
        break_class=BreakClass.DUPLICATE_CAPTURE,
        subject=("bank", f"{payment_id}-1", "t2"),
        amount_minor=1050,
        currency="EUR",
        occurred_at_ms=1,
        merchant_id=merchant_id,
        payment_id=payment_id,
        gateway="bank",
        surplus_gateway_payment_id="ch_2",
        evidence=() if payment_id is None else evidence_of(payment_id),
    )
    return replace(found, **values)


def store_proposal(database: Database, case: Case, **values: Any) -> Correction:
    """Store the correction of the case as it waits for approval: the refund of what was charged too much."""
    correction = Correction(
        break_id=case.break_id,
        break_class=case.break_class,
        action=Action.GIVE_BACK_SURPLUS,
        merchant_id=case.merchant_id or "",
        payment_id=case.payment_id or "",
        gateway="bank",
        gateway_charge_id="ch_2",
        currency="EUR",
        amount_minor=1050,
        created_at_ms=case.opened_at_ms,
        updated_at_ms=case.opened_at_ms,
        status=CorrectionStatus.AWAITING_APPROVAL,
        kind="refund",
        proposal_version=1,
        proposed_by="reconciliation",
        task_token=TOKEN,
        expires_at_ms=case.opened_at_ms + 3_600_000,
    )
    return insert_correction(database, replace(correction, **values))


def store_break(
    database: Database, merchant_id: str | None, break_id: str, now_ms: int, payment_id: str = "", **values: Any
) -> Case:
    """Store an open case under any id, with its payment."""
    payment_id = payment_id or "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
    if merchant_id is not None:
        database.write(first_writes(stored_payment(merchant_id, payment_id, captured=True), Change.CHARGED, None))
    found = break_of(merchant_id, payment_id, **values)
    case = replace(opened(found, run_id="run_1", at_ms=now_ms), break_id=break_id)
    database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
    return case
