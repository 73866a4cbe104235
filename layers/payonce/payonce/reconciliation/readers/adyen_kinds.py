"""What Adyen calls a journal entry, and what it is.

Sources: the ``Type`` column of https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report
and of https://docs.adyen.com/reporting/invoice-reconciliation/payment-accounting-report, and the statuses that the
Customer Area offers for them. What a type moves is the sign of its columns; the kind says only what it belongs to.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Mapping[RowKind, str] = {
    RowKind.CHARGE: (
        "Settled SettledBulk SettledInstallment SettledInstallmentBulk SettledInInstallments SettledExternally "
        "SettledExternallyWithInfo BulkSettlement"
    ),
    RowKind.CHARGE_REVERSAL: "SettledReversed SettledBulkReversed CaptureFailed",
    RowKind.REFUND: (
        "Refunded RefundedBulk RefundedInstallment RefundedInInstallments RefundedExternally "
        "RefundedExternallyWithInfo PaidOut PaidOutExternally PaidOutExternallyWithInfo BPPaidOut"
    ),
    RowKind.REFUND_REVERSAL: "RefundedReversed RefundFailed PaidOutReversed PayoutFailed PayoutError BPPaidOutReversed",
    RowKind.DISPUTE: "Chargeback ChargebackExternally ChargebackExternallyWithInfo",
    RowKind.DISPUTE_REVERSAL: "ChargebackReversed ChargebackReversedExternallyWithInfo",
    RowKind.DISPUTE_LOST: "SecondChargeback",
    RowKind.FEE: "Fee MiscCosts PaymentCost",
    RowKind.RESERVE: "ReserveAdjustment",
    RowKind.TRANSFER: "Balancetransfer",
    RowKind.PAYOUT: "MerchantPayout",
    RowKind.ADJUSTMENT: (
        "BankInstructionReturned DepositCorrection InvoiceDeduction ManualCorrected MatchedStatement EpaPaid "
        "AdvancementCommissioned RequestForInformation NotificationOfChargeback NotificationOfFraud HandledExternally "
        "InternalCompanyPayout AcquirerPayout"
    ),
}
ADYEN_KINDS: Mapping[str, RowKind] = MappingProxyType(
    {word: kind for kind, words in _WORDS.items() for word in words.split()}
)
