"""Proves that a double charge is resolved: one of its payments was given back, by our books or by a gateway's rows.

A run that no longer finds it proves nothing: the merchant's window may have shrunk, or a charge may have left the
period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.payment import PaymentStatus
from payonce.payments.stored_payments import find_payments
from payonce.reconciliation.cases.case_evidence import payments_named
from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.payment import Payment
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.model import Evidence

    type Charge = tuple[str, str]  # (gateway, gateway_payment_id)


def charges_of(case: Case) -> set[Charge]:
    """Return the charges of the pair, each as (gateway, gateway_payment_id)."""
    named = ((row.fields.get("gateway"), row.fields.get("gateway_payment_id")) for row in _rows(case))
    return {(str(gateway), str(charge)) for gateway, charge in named if gateway and charge}


def given_back(database: Database, case: Case, refunded_minor: Mapping[Charge, int]) -> bool:
    """Return whether either payment of the pair was voided or refunded in full, by our books or by its gateway's rows.

    ``refunded_minor`` is the amount, in minor units, that the gateways' rows of the run give back of each of
    ``charges_of``. Raises ``StoreUnavailable``.
    """
    for fields in (row.fields for row in _rows(case)):
        charge = (str(fields.get("gateway")), str(fields.get("gateway_payment_id")))
        if 0 < int(fields.get("amount_minor") or 0) <= refunded_minor.get(charge, 0):
            return True
    named = payments_named(case)
    if case.merchant_id is None or not named:
        return False
    return any(map(nothing_left, find_payments(database, case.merchant_id, named).values()))


def nothing_left(payment: Payment) -> bool:
    """Return whether the payment was voided or refunded in full according to our books."""
    return payment.status is PaymentStatus.VOIDED or 0 < payment.captured_minor <= payment.refunded_minor


def _rows(case: Case) -> list[Evidence]:
    return [row for row in case.evidence if row.source is Source.LEDGER]
