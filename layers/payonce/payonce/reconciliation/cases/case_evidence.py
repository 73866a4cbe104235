"""Filters a break's evidence for its merchant: only rows that are certainly its own, and only listed fields.

A gateway's report has rows of every merchant and does not say whose they are. So a row is shown only if it names a
payment that is stored under this merchant, by our reference or by the gateway's charge id. Bank lines and statements
concern the operator's account and are never shown.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypedDict

from payonce.payments.stored_payments import find_payments
from payonce.reconciliation.model import Evidence, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from payonce.domain.payment import Payment
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

ShownSource = Literal[Source.LEDGER, Source.GATEWAY]
# Excluded are payer tokens, hashes of keys, and payouts, which hold the money of all merchants.
SHOWN_FIELDS: Mapping[ShownSource, tuple[str, ...]] = MappingProxyType(
    {
        Source.LEDGER: (
            "entry_id",
            "payment_id",
            "gateway",
            "kind",
            "state",
            "reference",
            "amount_minor",
            "currency",
            "booked_at_ms",
            "gateway_payment_id",
        ),
        Source.GATEWAY: (
            "gateway",
            "transaction_id",
            "kind",
            "reference",
            "gateway_payment_id",
            "amount_minor",
            "fee_minor",
            "currency",
            "created_at_ms",
            "available_at_ms",
            "presented_minor",
            "presented_currency",
        ),
    }
)


class BreakEvidenceView(TypedDict):
    """A row of the evidence as the merchant sees it."""

    source: ShownSource
    row_key: str
    fields: dict[str, str | int | None]


def payments_named(case: Case) -> list[str]:
    """Return the distinct payment ids in the ledger rows of the case, in the order of the rows."""
    named = (row.fields.get("payment_id") for row in case.evidence if row.source is Source.LEDGER)
    return list(dict.fromkeys(str(payment_id) for payment_id in named if payment_id))


def own_payments(database: Database, case: Case) -> list[Payment]:
    """Return the payments named by the case that are stored under its merchant, in at most two round trips."""
    if case.merchant_id is None:
        return []
    named = dict.fromkeys([case.payment_id, *payments_named(case)])
    ids = [payment_id for payment_id in named if payment_id]
    return list(find_payments(database, case.merchant_id, ids).values())


def shown_evidence(case: Case, payments: Collection[Payment]) -> list[BreakEvidenceView]:
    """Return the rows of the case that belong to ``payments``, which are all of one merchant."""
    own_ids = {payment.payment_id for payment in payments}
    ledger = [row for row in case.evidence if row.source is Source.LEDGER and row.fields.get("payment_id") in own_ids]
    references = {
        *((payment.gateway, payment.gateway_reference) for payment in payments),
        *((row.fields.get("gateway"), _reference(row)) for row in ledger),
    }
    charges = {(payment.gateway, payment.gateway_charge_id) for payment in payments if payment.gateway_charge_id}

    def is_own(row: Evidence) -> bool:
        gateway = row.fields.get("gateway")
        named = (gateway, _reference(row)) in references and bool(_reference(row))
        return named or (gateway, row.fields.get("gateway_payment_id")) in charges

    gateway = [row for row in case.evidence if row.source is Source.GATEWAY and is_own(row)]
    return [_document(row, Source.LEDGER) for row in ledger] + [_document(row, Source.GATEWAY) for row in gateway]


def _reference(row: Evidence) -> str | int | None:
    # The matching rules' table names it ref.
    return row.fields.get("reference") or row.fields.get("ref")


def _document(row: Evidence, source: ShownSource) -> BreakEvidenceView:
    fields = {name: row.fields.get(name) for name in SHOWN_FIELDS[source]}
    return {"source": source, "row_key": row.row_key, "fields": {**fields, "reference": _reference(row)}}
