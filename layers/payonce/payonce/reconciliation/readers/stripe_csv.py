"""Stripe's itemised payout reconciliation and ending balance reports (``payout_reconciliation.itemized.*``).

Amounts are decimals in major units. Only the columns in UTC are read: the others are in whichever zone the report was
run with, which the file does not say. Run it with metadata columns, so that our reference is in it.
"""

from __future__ import annotations

from types import MappingProxyType

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, instant_ms, minor_of, shown

REQUIRED_COLUMNS = frozenset(
    {
        "balance_transaction_id",
        "created_utc",
        "available_on_utc",
        "currency",
        "gross",
        "fee",
        "net",
        "reporting_category",
        "automatic_payout_id",
    }
)
# The keys are those that payonce writes to Stripe's objects; a capture's own reference stands before the payment's.
REFERENCE_COLUMNS = MappingProxyType(
    {
        RowKind.CHARGE: ("payment_metadata[payonce_capture_reference]", "payment_metadata[payonce_reference]"),
        RowKind.REFUND: ("refund_metadata[payonce_reference]",),
        RowKind.DISPUTE: ("payment_metadata[payonce_capture_reference]", "payment_metadata[payonce_reference]"),
    }
)
# https://docs.stripe.com/reports/reporting-categories. A new category is refused until somebody says what it is.
KINDS = MappingProxyType(
    {
        "charge": RowKind.CHARGE,
        "charge_failure": RowKind.CHARGE,
        "partial_capture_reversal": RowKind.CHARGE,
        "refund": RowKind.REFUND,
        "refund_failure": RowKind.REFUND,
        "dispute": RowKind.DISPUTE,
        "dispute_reversal": RowKind.DISPUTE,
        "fee": RowKind.FEE,
        "network_cost": RowKind.FEE,
        "tax": RowKind.FEE,
        "payout": RowKind.PAYOUT,
        "payout_reversal": RowKind.PAYOUT,
        "other_adjustment": RowKind.ADJUSTMENT,
        "topup": RowKind.ADJUSTMENT,
        "topup_reversal": RowKind.ADJUSTMENT,
        "transfer": RowKind.ADJUSTMENT,
        "transfer_reversal": RowKind.ADJUSTMENT,
        "platform_earning": RowKind.ADJUSTMENT,
        "platform_earning_refund": RowKind.ADJUSTMENT,
        "contribution": RowKind.ADJUSTMENT,
        "currency_conversion": RowKind.ADJUSTMENT,
        "connect_collection_transfer": RowKind.ADJUSTMENT,
        "connect_reserved_funds": RowKind.ADJUSTMENT,
        "risk_reserved_funds": RowKind.ADJUSTMENT,
        "unreconciled_customer_funds": RowKind.ADJUSTMENT,
        "advance": RowKind.ADJUSTMENT,
        "advance_funding": RowKind.ADJUSTMENT,
        "financing_payout": RowKind.ADJUSTMENT,
        "financing_paydown": RowKind.ADJUSTMENT,
    }
)


def read_stripe_csv(data: bytes) -> tuple[GatewayRow, ...]:
    """Return the report's rows. Raises ``FileRejected``.

    Checked: net = gross - fee in each row, and that no balance transaction is in the file twice, which would mean that
    two reports were pasted together.
    """
    found: list[GatewayRow] = []
    seen: dict[str, int] = {}
    for record in records(data, required=REQUIRED_COLUMNS):
        row = _row(record)
        if row.transaction_id in seen:
            raise FileRejected(
                f"{shown(row.transaction_id)} is on line {seen[row.transaction_id]} too",
                line=record.line,
                field="balance_transaction_id",
            )
        seen[row.transaction_id] = record.line
        found.append(row)
    return tuple(found)


def _row(record: Record) -> GatewayRow:
    category = record.required("reporting_category")
    if category not in KINDS:
        raise FileRejected(f"{shown(category)} is not a known category", line=record.line, field="reporting_category")
    kind = KINDS[category]
    currency = currency_of(record.required("currency"), line=record.line, field="currency")
    gross, fee, net = (
        minor_of(record.required(column), currency, line=record.line, field=column)
        for column in ("gross", "fee", "net")
    )
    if gross - fee != net:
        raise FileRejected("net is not gross less fee", line=record.line, field="net")
    presented_currency, presented = _presented(record)
    if presented_currency == currency:
        presented_currency = presented = None
    return GatewayRow(
        row_number=record.line,
        transaction_id=record.required("balance_transaction_id"),
        reference=next(filter(None, map(record.optional, REFERENCE_COLUMNS.get(kind, ()))), None),
        kind=kind,
        amount_minor=gross,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        created_at_ms=_instant(record, "created_utc"),
        available_at_ms=_instant(record, "available_on_utc"),
        payout_id=record.optional("automatic_payout_id"),
        gateway_payment_id=record.optional("payment_intent_id") or record.optional("charge_id"),
        presented_minor=presented,
        presented_currency=presented_currency,
    )


def _presented(record: Record) -> tuple[str | None, int | None]:
    currency_text, amount_text = (
        record.optional("customer_facing_currency"),
        record.optional("customer_facing_amount"),
    )
    if currency_text is None or amount_text is None:
        return None, None
    currency = currency_of(currency_text, line=record.line, field="customer_facing_currency")
    return currency, minor_of(amount_text, currency, line=record.line, field="customer_facing_amount")


def _instant(record: Record, column: str) -> int:
    text = record.required(column)
    # Stripe writes midnight of a day as the day alone in some exports.
    whole = text + " 00:00:00" if len(text) == len("2026-02-28") else text
    return instant_ms(whole, line=record.line, field=column, utc_offset_minutes=0)
