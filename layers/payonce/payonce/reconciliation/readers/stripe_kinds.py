"""What Stripe calls a movement of the balance, and what it is.

Sources: https://docs.stripe.com/reports/reporting-categories (``reporting_category``, and the list of a report run's
parameter of that name), https://docs.stripe.com/reports/balance-transaction-types (``type``, which an export of balance
transactions has instead) and the categories of https://docs.stripe.com/api/v2/money-management/transactions.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Mapping[RowKind, str] = {
    RowKind.CHARGE: "charge payment",
    RowKind.UNCAPTURED: "partial_capture_reversal",
    RowKind.CHARGE_REVERSAL: "charge_failure payment_failure_refund payment_reversal",
    RowKind.REFUND: "refund payment_refund",
    RowKind.REFUND_REVERSAL: "refund_failure",
    RowKind.DISPUTE: "dispute",
    RowKind.DISPUTE_REVERSAL: "dispute_reversal",
    RowKind.FEE: (
        "fee network_cost tax stripe_fee stripe_fx_fee tax_fee stripe_fee_tax platform_fee tax_withholding "
        "payment_method_passthrough_fee fee_credit_funding"
    ),
    RowKind.RESERVE: (
        "risk_reserved_funds connect_reserved_funds payment_network_reserved_funds reserved_funds reserve_transaction "
        "reserve_hold reserve_release payment_network_reserve_hold payment_network_reserve_release "
        "minimum_balance_hold payout_minimum_balance_hold payout_minimum_balance_release"
    ),
    RowKind.TRANSFER: (
        "transfer transfer_reversal transfer_cancel transfer_failure transfer_refund topup topup_reversal "
        "platform_earning platform_earning_refund application_fee application_fee_refund connect_collection_transfer "
        "balance_transfer inbound_transfer inbound_transfer_reversal outbound_transfer outbound_transfer_reversal "
        "outbound_payment outbound_payment_reversal received_credit received_credit_reversal received_debit "
        "received_debit_reversal stripe_balance_payment_debit stripe_balance_payment_debit_reversal"
    ),
    RowKind.CONVERSION: "currency_conversion",
    RowKind.PAYOUT: "payout payout_reversal payout_cancel payout_failure",
    RowKind.ADJUSTMENT: (
        "other_adjustment adjustment advance advance_funding anticipation_repayment contribution financing_payout "
        "financing_payout_reversal financing_paydown financing_paydown_reversal climate_order_purchase "
        "climate_order_refund issuing_authorization_hold issuing_authorization_release issuing_dispute "
        "issuing_dispute_fraud_liability_debit issuing_dispute_provisional_credit "
        "issuing_dispute_provisional_credit_reversal issuing_transaction obligation obligation_outbound "
        "obligation_reversal_inbound payment_unreconciled unreconciled_customer_funds tax_fund return"
    ),
}
STRIPE_KINDS: Mapping[str, RowKind] = MappingProxyType(
    {word: kind for kind, words in _WORDS.items() for word in words.split()}
)
