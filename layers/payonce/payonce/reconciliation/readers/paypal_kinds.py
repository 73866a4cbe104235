"""What PayPal calls a movement of the balance, and what it is: by event code in its reports, by name in the activity.

Sources: https://developer.paypal.com/docs/reports/reference/tcodes/ and
https://developer.paypal.com/docs/transaction-search/transaction-event-codes, whose descriptions are the names of the
activity. A hold for a dispute (T1110, to cover a possible chargeback) and its end are a reserve: what is disputed is
taken by the reversal or the chargeback that may follow.
"""

from __future__ import annotations

from payonce.reconciliation.readers.gateway_cells import kinds_of
from payonce.reconciliation.readers.rows import RowKind

T_CODES = kinds_of(
    {
        RowKind.CHARGE: (
            "T0000,T0002,T0003,T0004,T0005,T0006,T0007,T0009,T0010,T0011,T0012,T0013,T0018,T0019,T0021,T3000,T5000"
        ),
        RowKind.CHARGE_REVERSAL: "T1116,T1118",
        RowKind.REFUND: "T0001,T0014,T0015,T1107,T1113",
        RowKind.REFUND_REVERSAL: "T1114,T1115",
        RowKind.DISPUTE: "T1106,T1201",
        RowKind.DISPUTE_REVERSAL: "T1202,T1205,T1208",
        RowKind.DISPUTE_LOST: "T1207",
        RowKind.FEE: (
            "T0100,T0101,T0102,T0103,T0104,T0105,T0106,T0107,T0108,T0109,T0110,T0111,T0112,T0113,T0114,T1108,T1109"
        ),
        RowKind.RESERVE: (
            "T1105,T1110,T1111,T1500,T1501,T1502,T1503,T2101,T2102,T2103,T2104,T2105,T2106,T2107,T2108,T2109,T2110,"
            "T2111,T2112,T2113,T2114"
        ),
        RowKind.TRANSFER: ("T0016,T0017,T0300,T0301,T0302,T0303,T0700,T0701,T1104,T2000,T2001,T2002,T2003,T2201,T5001"),
        RowKind.CONVERSION: "T0200,T0201,T0202",
        RowKind.PAYOUT: "T0400,T0401,T0402,T0403,T1101,T1700,T1701",
        RowKind.ADJUSTMENT: (
            "T0008,T0500,T0501,T0502,T0503,T0504,T0505,T0600,T0800,T0801,T0802,T0803,T0804,T0805,T0806,T0807,T0808,"
            "T0900,T0901,T0902,T0903,T0904,T0905,T1000,T1100,T1102,T1103,T1112,T1117,T1119,T1200,T1203,T1204,T1400,"
            "T1600,T1601,T1602,T1603,T1800,T1801,T1900,T2004,T2301,T9700,T9701,T9702"
        ),
    }
)
ACTIVITIES = kinds_of(
    {
        RowKind.CHARGE: (
            "Express Checkout Payment,Website Payment,General Payment,Mobile Payment,eBay Auction Payment,"
            "Subscription Payment,PreApproved Payment Bill User Payment,Pre-approved Payment Bill User Payment,"
            "Donation Payment,Virtual Terminal Payment,Direct Payment,Direct Credit Card Payment,PayPal Here Payment,"
            "Third-party Auction Payment,Payment Received,Gift Certificate Purchase,"
            "PayPal Express-Zahlung,Website-Zahlung,Allgemeine Zahlung,Handyzahlung,Spendenzahlung,eBay-Zahlung"
        ),
        RowKind.REFUND: "Payment Refund,Mass Pay Payment,Mass Payment,Non-reference Credit Payment,Refund,Rückzahlung",
        RowKind.REFUND_REVERSAL: "Mass Pay Reversal,Mass Pay Refund",
        RowKind.DISPUTE: "Payment Reversal,Chargeback",
        RowKind.DISPUTE_REVERSAL: "Chargeback Reversal,Reimbursement of Chargeback,Chargeback Cancellation",
        RowKind.DISPUTE_LOST: "Chargeback Re-presentment Rejection",
        RowKind.FEE: (
            "Chargeback Fee,Chargeback Processing Fee,Dispute Fee,Partner Fee,Payment Fee,Fee Reversal,Fee Refund,"
            "General Non-payment Fee,Mass Pay Batch Fee,Monthly Fee"
        ),
        RowKind.RESERVE: (
            "Account Hold for Open Authorization,Account Hold for Open Authorisation,Account Hold for ACH Deposit,"
            "Reversal of General Account Hold,Hold on Balance for Dispute Investigation,"
            "Cancellation of Hold for Dispute Resolution,General Hold,General Hold Release,General Temporary Hold,"
            "Temporary Hold on Available Balance,Reserve Hold,Reserve Release,Payment Review Hold,"
            "Payment Review Release,Payment Hold,Payment Hold Release,Payment Release,Funds Not Yet Available,"
            "Funds Available,Tax Hold,Tax Release,Einbehaltung für offene Autorisierung,"
            "Rückbuchung allgemeiner Einbehaltung"
        ),
        RowKind.TRANSFER: (
            "Bank Deposit to PP Account,General Funding of PayPal Account,General Credit Card Deposit,"
            "General Intra-Account Transfer,Store-to-Store Transfer,Add Funds from a Bank Account,"
            "Bankgutschrift auf PayPal-Konto"
        ),
        RowKind.CONVERSION: (
            "General Currency Conversion,User Initiated Currency Conversion,Currency Conversion,"
            "Conversion to Cover Negative Balance,Allgemeine Währungsumrechnung"
        ),
        RowKind.PAYOUT: (
            "General Withdrawal,General Withdrawal - Bank Account,User Initiated Withdrawal,Auto-sweep,"
            "Withdraw Funds to a Bank Account,Reversal of ACH Withdrawal Transaction,Allgemeine Abbuchung"
        ),
        RowKind.ADJUSTMENT: (
            "General Account Correction,General Account Adjustment,General Reversal,General Bonus,"
            "PayPal Protection Bonus,Coupon Redemption,General Incentive/Certificate Redemption,"
            "Tax collected by partner,Postage Payment,Debit Card Cash Back Bonus"
        ),
    }
)
