"""The columns of the exports, in the order in which they are downloaded by default.

https://docs.stripe.com/reports/report-types/payout-reconciliation and
https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report
"""


def names(text: str) -> list[str]:
    """Take the names of columns apart."""
    return text.replace("\n", "").split(",")


LEDGER = names(
    """
entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at,
gateway_payment_id,payer,reverses_entry_id,idempotency_record_id
"""
)
STRIPE = names(
    """
automatic_payout_id,automatic_payout_effective_at_utc,balance_transaction_id,created_utc,available_on_utc,
currency,gross,fee,net,reporting_category,source_id,description,customer_facing_amount,
customer_facing_currency,charge_id,payment_intent_id,payment_method_type,card_brand,card_funding,card_country,
payment_metadata[payonce_reference],payment_metadata[payonce_capture_reference],
refund_metadata[payonce_reference],trace_id,trace_id_status
"""
)
ADYEN = names(
    """
Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,
Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,
Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),
Payment Method Variant,Modification Merchant Reference,Batch Number
"""
)
RESERVED = ["Reserved4", "Reserved5", "Reserved6", "Reserved7", "Reserved8", "Reserved9", "Reserved10"]
TYPES = {
    "charge": "Settled",
    "refund": "Refunded",
    "refund_failure": "RefundedReversed",
    "charge_failure": "SettledReversed",
    "dispute": "Chargeback",
    "dispute_reversal": "ChargebackReversed",
    "second_dispute": "SecondChargeback",
    "reserve": "DepositCorrection",
    "fee": "Fee",
    "invoice": "InvoiceDeduction",
    "manual": "ManualCorrected",
}
