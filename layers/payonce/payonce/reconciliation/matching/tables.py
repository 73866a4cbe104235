"""The tables that rules read: their columns, in order. Every engine and every generated data set has these."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT, _INT = "VARCHAR", "BIGINT"

TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "ledger": {
            "entry_id": _TEXT,
            "merchant_id": _TEXT,
            "payment_id": _TEXT,
            "gateway": _TEXT,
            "kind": _TEXT,
            "state": _TEXT,
            "reference": _TEXT,
            "amount_minor": _INT,
            "currency": _TEXT,
            "booked_at_ms": _INT,
            "gateway_payment_id": _TEXT,
            "payer": _TEXT,
            "reverses_entry_id": _TEXT,
            "idempotency_record_id": _TEXT,
        },
        "gateway_row": {
            "gateway": _TEXT,
            "transaction_id": _TEXT,
            "kind": _TEXT,
            "reference": _TEXT,
            "gateway_payment_id": _TEXT,
            "amount_minor": _INT,
            "fee_minor": _INT,
            "net_minor": _INT,
            "currency": _TEXT,
            "created_at_ms": _INT,
            "available_at_ms": _INT,
            "payout_id": _TEXT,
            "presented_minor": _INT,
            "presented_currency": _TEXT,
            "category": _TEXT,
            "gateway_charge_id": _TEXT,
            "gateway_object_id": _TEXT,
            "payment_reference": _TEXT,
            "rate_millionths": _INT,
            "payment_method": _TEXT,
            "card_country": _TEXT,
        },
        "bank_line": {
            "line_key": _TEXT,
            "account": _TEXT,
            "currency": _TEXT,
            "amount_minor": _INT,
            "booking_day": _INT,
            "reference_text": _TEXT,
            "end_to_end_id": _TEXT,
            "description": _TEXT,
            "statement_key": _TEXT,
            "rendition_key": _TEXT,
        },
        "bank_statement": {
            "statement_key": _TEXT,
            "account": _TEXT,
            "currency": _TEXT,
            "opening_minor": _INT,
            "closing_minor": _INT,
            "sequence": _INT,
            "first_day": _INT,
            "last_day": _INT,
        },
        "settings": {
            "as_of_ms": _INT,
            "in_transit_hours": _INT,
            "settlement_sla_hours": _INT,
            "payout_sla_days": _INT,
            "fx_tolerance_basis_points": _INT,
        },
        "fee_rule": {
            "gateway": _TEXT,
            "currency": _TEXT,
            "fixed_minor": _INT,
            "basis_points": _INT,
            "tolerance_minor": _INT,
        },
    }
)
INPUT_TABLES: Final = ("ledger", "gateway_row", "bank_line", "bank_statement")
