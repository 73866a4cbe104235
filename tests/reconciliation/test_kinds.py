"""Every word that a reader knows for a movement, through the command: none is lost, refused or of another kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli.main import main
from payonce.reconciliation.readers import braintree, checkout, gocardless, klarna, mollie, paypal
from payonce.reconciliation.readers.adyen_kinds import ADYEN_KINDS
from payonce.reconciliation.readers.gateway_tables import TABLES
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.stripe_kinds import STRIPE_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from payonce.reconciliation.readers.gateway_table import GatewayTable

LEDGER = (
    "entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at,gateway_payment_id\n"
    "e0,m,p0,gw,charge,booked,other,100,EUR,2028-03-01T10:00:00Z,other\n"
    "1,,,,total,,,100,EUR,,\n"
)
STRIPE_HEADER = (
    "balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net,reporting_category,automatic_payout_id,"
    "payment_intent_id\n"
)
ADYEN_HEADER = (
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,"
    "Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,"
    "Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),"
    "Payment Method Variant,Modification Merchant Reference,Batch Number\n"
)
# What becomes of a row of the kind that nothing else is about: a break of this class, or an open item for this reason.
ENDS = {
    RowKind.CHARGE: "missing_in_ledger",
    RowKind.UNCAPTURED: "uncaptured",
    RowKind.CHARGE_REVERSAL: "settlement_reversed",
    RowKind.REFUND: "orphan_refund",
    RowKind.REFUND_REVERSAL: "refund_failed",
    RowKind.DISPUTE: "dispute_open",
    RowKind.DISPUTE_REVERSAL: "matched",
    RowKind.DISPUTE_LOST: "dispute_lost",
    RowKind.FEE: "fee",
    RowKind.RESERVE: "reserve",
    RowKind.TRANSFER: "transfer",
    RowKind.CONVERSION: "conversion",
    RowKind.ADJUSTMENT: "adjustment",
    RowKind.PAYOUT: "of the bank",
}
POSITIVE = {RowKind.CHARGE, RowKind.REFUND_REVERSAL, RowKind.DISPUTE_REVERSAL}
DAY = "2028-03-01"
TIME = f"{DAY}T10:00:00Z"


def table_of(
    header: str, row: Callable[[int, str, str], str], above: str = ""
) -> Callable[[Mapping[str, RowKind]], str]:
    """Return what writes a report with a row of each word: ``row`` gets a number, the word and a signed amount."""

    def report(words: Mapping[str, RowKind]) -> str:
        signed = [
            (number, word, f"{'' if kind in POSITIVE else '-'}{number}.00")
            for number, (word, kind) in enumerate(words.items(), start=1)
        ]
        return "".join(line + "\n" for line in (*filter(None, [above]), header, *(row(*each) for each in signed)))

    return report


def mollie_report(words: Mapping[str, RowKind]) -> str:
    """Return a settlement with a row of each word, in the id where there is one for it, else in the description."""
    ids = {word: prefix for prefix, word in mollie.RESOURCES.items()}
    return table_of(
        "Date,Payment method,Currency,Amount,Status,ID,Description,Settlement currency,Settlement amount,"
        "Settlement reference",
        lambda number, word, amount: (
            f"{TIME},,EUR,{amount},,{f'{ids[word]}_{number}' if word in ids else ''},{word} {number},EUR,{amount},"
        ),
    )(words)


def klarna_report(words: Mapping[str, RowKind]) -> str:
    """Return a settlement with a transaction of each type, and each amount that the totals alone have."""
    alone = {word: number for number, word in enumerate(klarna.TOTALS_ALONE, start=100)}
    taken = {word for word in words if word in klarna.TAKEN}
    types = [(number, word) for number, word in enumerate(words, start=1) if word not in alone]
    amounts = {word: -number if word in taken else number for number, word in types}
    # A total that a type tells of has that type's amount too.
    totals = {
        word: alone[word] + sign * amounts.get(type_ or "", 0) for word, (sign, type_) in klarna.TOTALS_ALONE.items()
    }
    total = sum(amounts.values()) + sum(sign * alone[word] for word, (sign, _) in klarna.TOTALS_ALONE.items())
    lines = [
        ",".join(["total_settlement_amount", "payment_reference", "settlement_currency", "payout_date", *alone]),
        ",".join(map(str, [total, "P1", "EUR", TIME, *totals.values()])),
        "type,capture_date,order_id,capture_id,amount,posting_currency",
        *(f"{word},{TIME},o{number},c{number},{number},EUR" for number, word in types),
    ]
    return "\n".join(lines)


def stripe(words: Mapping[str, RowKind]) -> str:
    """Return a report with a row of each word, of a payment of its own."""
    rows = []
    for number, (word, kind) in enumerate(words.items()):
        amount = f"{'' if kind in POSITIVE else '-'}{number + 1}.00"
        times = "2028-03-01 10:00:00,2028-03-02 10:00:00"
        rows.append(f"txn_{word},{times},eur,{amount},0.00,{amount},{word},,pi_{number}\n")
    return STRIPE_HEADER + "".join(rows)


def adyen(words: Mapping[str, RowKind]) -> str:
    """Return a report with a row of each type, of a payment of its own."""
    rows = []
    for number, (word, kind) in enumerate(words.items()):
        sides = f",{number + 1}.00" if kind in POSITIVE else f"{number + 1}.00,"
        names = f"Co,Shop,P{number},o{number},visa,2028-03-01 10:00:00,UTC,{word},M{number}"
        rows.append(f"{names},EUR,{sides},1,EUR,{sides},,,,,,,\n")
    return ADYEN_HEADER + "".join(rows)


# A writer of reports for each table that is read by its description.
DESCRIBED: list[tuple[GatewayTable, Callable[[Mapping[str, RowKind]], str]]] = [
    (
        paypal.REPORT,
        table_of(
            "CH,Transaction ID,Transaction Event Code,Transaction Initiation Date,Transaction Debit or Credit,"
            "Gross Transaction Amount,Gross Transaction Currency",
            lambda number, word, amount: (
                f"SB,T{number},{word},{DAY.replace('-', '/')} 10:00:00 +0000,{'DR' if '-' in amount else 'CR'},"
                f"{number}00,EUR"
            ),
        ),
    ),
    (
        paypal.ACTIVITY,
        table_of(
            "Date,Time,TimeZone,Type,Status,Currency,Gross,Fee,Net,Transaction ID",
            lambda number, word, amount: f"29/02/2028,10:00:00,UTC,{word},Completed,EUR,{amount},0,{amount},T{number}",
        ),
    ),
    (
        braintree.DISBURSEMENTS,
        lambda words: (
            table_of(
                "RD,Record ID,Record type,Record sub-type,Created at,Settlement currency,Gross settlement amount,"
                "Net disbursed amount",
                lambda number, word, amount: (
                    f"RD,R{number},{word if '/' in word else word + '/'}".replace("/", ",")
                    + f",{TIME},EUR,{amount},{amount}"
                ),
            )(words)
            + f"RF,Total records\nRF,{len(words)}\n"
        ),
    ),
    (
        braintree.FEES,
        table_of(
            "Transaction ID,Transaction Type,Settlement Currency,Settlement Amount,Settlement Date,Per Transaction Fee",
            lambda number, word, _: f"T{number},{word},EUR,{number}.00,{TIME},0",
        ),
    ),
    (
        braintree.EXPORT,
        table_of(
            "Transaction ID,Transaction Type,Transaction Status,Created Datetime,Disbursement Date,Settlement Amount,"
            "Settlement Currency ISO Code",
            lambda number, word, _: f"T{number},{word},settled,{TIME},{DAY},{number}.00,EUR",
        ),
    ),
    (mollie.SETTLEMENT, mollie_report),
    (
        gocardless.TRANSACTIONS,
        table_of(
            "resources.type,resources.created_at,gross_amount,gocardless_fees,net_amount,currency,payments.id,payouts.id",
            lambda number, word, amount: f"{word},{TIME},{amount},0,{amount},EUR,PM{number},",
        ),
    ),
    (
        gocardless.PAYOUTS,
        table_of(
            "id,amount,currency,created_at,status,arrival_date,links.creditor_bank_account",
            lambda number, word, _: f"PO{number},{number}.00,EUR,{TIME},{word},{DAY},BA1",
        ),
    ),
    (klarna.SETTLEMENT, klarna_report),
    (
        checkout.ACTIONS,
        table_of(
            "Action ID,Payment ID,Processed On,Holding Currency,Breakdown Type,Holding Currency Amount,Payout ID",
            lambda number, word, amount: f"a{number},p{number},{TIME},EUR,{word},{amount},",
        ),
    ),
    (
        checkout.MOVED,
        table_of(
            "Type,Action ID,Payment ID,Processed On,Holding Currency,Gross In Holding Currency,"
            "Deduction In Holding Currency,Net In Holding Currency,Payout ID",
            lambda number, word, amount: f"{word},a{number},p{number},{TIME},EUR,{amount},0,{amount},",
        ),
    ),
    (
        checkout.PAYOUTS,
        table_of(
            "Payout ID,Payout Date,Holding Currency,Payout Amount",
            lambda number, _, __: f"P{number},{TIME},EUR,{number}.00",
        ),
    ),
]


def test_every_described_table_is_here() -> None:
    """Fails when a table is added whose words nothing puts through the command."""
    assert [table for tables in TABLES.values() for table in tables] == [table for table, _ in DESCRIBED]


@pytest.mark.parametrize(
    ("report", "words"),
    [(stripe, STRIPE_KINDS), (adyen, ADYEN_KINDS), *((report, table.kinds) for table, report in DESCRIBED)],
)
def test_every_word_ends_as_its_kind(report: Any, words: Mapping[str, RowKind], tmp_path: Path) -> None:
    """https://docs.stripe.com/reports/reporting-categories,
    https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report; of the
    tables that are read by their descriptions, the documents that the readers' modules name.

    Fails when a word is left out of a reader's table, or a kind of the rules.
    """
    (tmp_path / "report.csv").write_text(report(words))
    (tmp_path / "ledger.csv").write_text(LEDGER)
    paths = [str(tmp_path / name) for name in ("report.csv", "ledger.csv", "out.json")]
    arguments = ["reconcile", paths[0], "--ledger", paths[1], "--gateway", "gw", "--json", paths[2]]
    main([*arguments, "--as-of", "2028-03-20T00:00:00Z"])
    told = json.loads((tmp_path / "out.json").read_text())
    ended: dict[str, str] = {}
    for one in told["breaks"]:
        for row in one["evidence"]:
            ended[str(row["fields"].get("category"))] = one["break_class"]
    for one in told["open_items"]:
        if one["source"] == "gateway":
            ended[one["label"]] = one["reason"]
    balance = {one["category"] for one in told["balance"]}
    assert balance == set(words)
    wrong = {
        word: (ended.get(word), ENDS[kind])
        for word, kind in words.items()
        if kind is not RowKind.PAYOUT and ended.get(word, "matched") != ENDS[kind]
    }
    assert wrong == {}
