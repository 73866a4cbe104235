"""Stripe's itemised reports: payout reconciliation, ending balance reconciliation, balance change from activity.

Amounts are decimals in major units. The columns in UTC are read where they are; the others are in whichever zone the
report was run with, which the file does not say: then the zone has to be given. Run the report with the columns of ids
and metadata, so that our reference is in it (https://docs.stripe.com/reports/api).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.stripe_kinds import STRIPE_KINDS
from payonce.reconciliation.readers.values import currency_of, instant_ms, minor_of, shown

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

REQUIRED_COLUMNS = frozenset({"balance_transaction_id", "currency", "gross", "fee", "net", "reporting_category"})
_OF_PAYMENT = ("payment_metadata[payonce_capture_reference]", "payment_metadata[payonce_reference]")
_OF_REFUND = ("refund_metadata[payonce_reference]",)
# The keys are those that payonce writes to Stripe's objects; a capture's own reference stands before the payment's.
REFERENCE_COLUMNS = MappingProxyType(
    {
        RowKind.CHARGE: _OF_PAYMENT,
        RowKind.UNCAPTURED: _OF_PAYMENT,
        RowKind.CHARGE_REVERSAL: _OF_PAYMENT,
        RowKind.REFUND: _OF_REFUND,
        RowKind.REFUND_REVERSAL: _OF_REFUND,
        RowKind.DISPUTE: _OF_PAYMENT,
        RowKind.DISPUTE_REVERSAL: _OF_PAYMENT,
    }
)
PAYMENT_METADATA = "payment_metadata["


def read_stripe_csv(data: bytes, zone: ZoneInfo | None = None) -> tuple[GatewayRow, ...]:
    """Return the report's rows. Raises ``FileRejected``.

    Checked: net = gross - fee in each row, and that no balance transaction is in the file twice, which would mean that
    two reports were pasted together. A category that is not known is an adjustment.
    """
    found: list[GatewayRow] = []
    seen: dict[str, int] = {}
    for record in records(data, required=REQUIRED_COLUMNS):
        row = _row(record, zone)
        if row.transaction_id in seen:
            raise FileRejected(
                f"{shown(row.transaction_id)} is on line {seen[row.transaction_id]} too",
                line=record.line,
                field="balance_transaction_id",
            )
        seen[row.transaction_id] = record.line
        found.append(row)
    return tuple(found)


def _row(record: Record, zone: ZoneInfo | None) -> GatewayRow:
    category = record.required("reporting_category")
    kind = STRIPE_KINDS.get(category, RowKind.ADJUSTMENT)
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
    created = _instant(record, "created", zone)
    if created is None:
        raise FileRejected("the cell is empty", line=record.line, field="created_utc")
    charge_id = record.optional("charge_id")
    method = record.optional("payment_method_type")
    country = record.optional("card_country")
    return GatewayRow(
        row_number=record.line,
        transaction_id=record.required("balance_transaction_id"),
        reference=next(filter(None, map(record.optional, REFERENCE_COLUMNS.get(kind, ()))), None),
        kind=kind,
        amount_minor=gross,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        created_at_ms=created,
        available_at_ms=_instant(record, "available_on", zone),
        payout_id=record.optional("automatic_payout_id"),
        gateway_payment_id=record.optional("payment_intent_id") or charge_id,
        presented_minor=presented,
        presented_currency=presented_currency,
        category=category,
        gateway_charge_id=charge_id,
        gateway_object_id=record.optional("source_id"),
        payment_reference=_payment_reference(record) if kind in REFERENCE_COLUMNS else None,
        payment_method=None if method is None else method.lower(),
        card_country=None if country is None else country.upper(),
        payout_reference=record.optional("trace_id"),
        payout_at_ms=_payout_at(record, zone),
    )


def _payment_reference(record: Record) -> str | None:
    """Return what we gave for the payment: ours, else the only other metadata, else the group of its transfers."""
    own = record.optional("payment_metadata[payonce_reference]")
    texts = {text for name in record.cells if name.startswith(PAYMENT_METADATA) and (text := record.optional(name))}
    return own or (texts.pop() if len(texts) == 1 else record.optional("transfer_group"))


def _presented(record: Record) -> tuple[str | None, int | None]:
    currency_text, amount_text = (
        record.optional("customer_facing_currency"),
        record.optional("customer_facing_amount"),
    )
    if currency_text is None or amount_text is None:
        return None, None
    currency = currency_of(currency_text, line=record.line, field="customer_facing_currency")
    return currency, minor_of(amount_text, currency, line=record.line, field="customer_facing_amount")


def _payout_at(record: Record, zone: ZoneInfo | None) -> int | None:
    """Return when the payout is due at the bank; the column is one that not every report has in UTC."""
    column = "automatic_payout_effective_at"
    known = record.optional(f"{column}_utc") or zone is not None
    return _instant(record, column, zone) if known else None


def _instant(record: Record, column: str, zone: ZoneInfo | None) -> int | None:
    """Return the time of ``<column>_utc``, else that of ``<column>`` in the zone that was given; ``None`` without."""
    in_utc = record.optional(f"{column}_utc")
    text = in_utc or record.optional(column)
    if text is None:
        return None
    # Stripe writes midnight of a day as the day alone in some exports.
    whole = text + " 00:00:00" if len(text) == len("2026-02-28") else text
    if in_utc is not None:
        return instant_ms(whole, line=record.line, field=f"{column}_utc", utc_offset_minutes=0)
    if zone is None:
        problem = f"the file does not say the zone of its times; run the report with {column}_utc, or give the zone"
        raise FileRejected(problem, line=record.line, field=column)
    return instant_ms(whole, line=record.line, field=column, zone=zone)
