"""Every word that a reader knows for a movement, through the command: none is lost, refused or of another kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli.main import main
from payonce.reconciliation.readers.adyen_kinds import ADYEN_KINDS
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.stripe_kinds import STRIPE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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


@pytest.mark.parametrize(("report", "words"), [(stripe, STRIPE_KINDS), (adyen, ADYEN_KINDS)])
def test_every_word_ends_as_its_kind(report: Any, words: Mapping[str, RowKind], tmp_path: Path) -> None:
    """https://docs.stripe.com/reports/reporting-categories,
    https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report.

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
