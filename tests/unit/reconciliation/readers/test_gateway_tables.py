"""Reports of PayPal, Braintree, Mollie, GoCardless, Klarna and Checkout.com: what a row is, and what refuses a file.

What each column and word means is the vendor's word: the addresses stand above each sample, and in the readers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import FileFormat, GatewayRow, RowKind
from tests.unit.reconciliation.readers import samples

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def ms(text: str) -> int:
    """Return epoch milliseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def rows(text: str, zone: ZoneInfo | None = AMSTERDAM) -> tuple[GatewayRow, ...]:
    """Return the report's rows."""
    return read_file(text.encode(), zone=zone).gateway_rows


def told(text: str) -> list[tuple[str, str, int, int, str | None]]:
    """Return id, kind, amount, fee and reference of each row."""
    return [(row.transaction_id, row.kind, row.amount_minor, row.fee_minor, row.reference) for row in rows(text)]


MOVEMENTS = {
    "PAYPAL_REPORT": [
        ("TX1", "charge", 10000, 175, "pay_1"),
        ("TX2", "refund", -4000, -70, "pay_1"),
        ("TX3", "charge", 5000, 180, "pay_3"),
        ("TX4", "payout", -5000, 0, None),
    ],
    "PAYPAL_ACTIVITY": [
        ("1AB", "charge", 125000, 4340, "pay_1"),
        ("2CD", "refund", -25000, 0, "pay_1"),
        ("3EF", "payout", -90000, 0, None),
    ],
    "BRAINTREE_DISBURSEMENT": [
        ("sale1", "charge", 10000, 225, "pay_1"),
        ("ref1", "refund", -4000, 0, "pay_1"),
        ("cb1", "dispute", -2000, 0, "pay_2"),
    ],
    "BRAINTREE_FEES": [("s1", "charge", 2418, 57, "pay_1"), ("c1", "refund", -400, 0, "pay_1")],
    "BRAINTREE_EXPORT": [("t1", "charge", 1000, 0, "pay_1"), ("t3", "refund", -400, 0, "pay_1")],
    "MOLLIE": [
        ("tr_1", "charge", 10000, 0, "pay_1"),
        ("tr_2", "charge", 1850, 0, "pay_2"),
        ("re_1", "refund", -2000, 0, "ref_1"),
        ("chb_1", "dispute", -1500, 0, None),
        ("1234567.2603.01/Withheld transaction fees MOL2026.0001", "fee", -288, 0, None),
    ],
    "GOCARDLESS_TRANSACTIONS": [
        ("PM1", "charge", 10000, 170, "pay_1"),
        ("RF0", "refund", -2000, 0, "ref_0"),
        ("PM2/payment_charged_back", "dispute", -5000, -60, "pay_2"),
    ],
    "GOCARDLESS_PAYOUTS": [("PO1", "payout", -2890, 0, None)],
    "KLARNA": [
        ("cap-1", "charge", 10000, 0, "pay_1"),
        ("cap-1/FEE/PURCHASE_FEE_PERCENTAGE", "fee", -249, 0, "pay_1"),
        ("cap-1/FEE/PURCHASE_FEE_FIXED", "fee", -51, 0, "pay_1"),
        ("rf-1", "refund", -2000, 0, "ref_1"),
        ("ord-0/REVERSAL/REVERSAL", "dispute", -1000, 0, "pay_0"),
        ("XISA93DJ/HOLDBACK/ROLLING_RESERVE", "reserve", -500, 0, None),
        ("XISA93DJ/total_tax_amount", "fee", -63, 0, None),
    ],
    "CHECKOUT_ACTIONS": [
        ("act_1/Capture", "charge", 8000, 122, "pay_1"),
        ("act_2/Chargeback (ADJM)", "dispute", -1000, 0, "pay_2"),
    ],
    "CHECKOUT_BREAKDOWN": [
        ("act_1", "charge", 5000, 150, "pay_1"),
        ("act_3", "fee", 0, 25, "pay_3"),
        ("act_4", "refund", -500, 0, "pay_1"),
    ],
    "CHECKOUT_PAYOUTS": [("00000003K599", "payout", -4325, 0, None)],
}


@pytest.mark.parametrize("name", MOVEMENTS)
def test_movements_are_what_the_documentation_says(name: str) -> None:
    """Fails when a sign, a fee, a kind or our reference is read otherwise, or a row that moves nothing is read."""
    assert told(getattr(samples, name)) == MOVEMENTS[name]


@pytest.mark.parametrize("name", MOVEMENTS)
def test_bytes_around_a_table_change_nothing(name: str) -> None:
    """A byte order mark, UTF-16, line ends of Windows, blank lines at the end. Fails when one is not taken off."""
    text = getattr(samples, name)
    read = read_file(text.encode(), zone=AMSTERDAM)
    for other in ("\ufeff" + text, text.replace("\n", "\r\n"), text + "\n\n"):
        assert read_file(other.encode(), zone=AMSTERDAM).gateway_rows == read.gateway_rows
    assert read_file(text.encode("utf-16"), zone=AMSTERDAM).gateway_rows == read.gateway_rows
    assert read.format is FileFormat(f"{name.partition('_')[0].lower()}_csv")
    assert read.notices == ()


def test_names_times_and_payouts() -> None:
    """Fails when a row loses its payment, its payout, what the payer saw, or an hour."""
    charge, refund, _, payout = rows(samples.PAYPAL_REPORT, None)
    assert (charge.created_at_ms, charge.available_at_ms) == (ms("2026-03-01 08:00:30"), ms("2026-03-01 08:10:30"))
    assert (charge.gateway_payment_id, refund.gateway_payment_id) == ("TX1", "TX1")
    assert (payout.payout_id, payout.payout_reference) == (None, "BANK77")
    sale, *_ = rows(samples.BRAINTREE_DISBURSEMENT, None)
    assert (sale.created_at_ms, sale.payout_at_ms) == (ms("2026-03-01 13:00:00"), ms("2026-03-03 00:00:00"))
    assert (sale.presented_minor, sale.presented_currency, sale.rate_millionths) == (2000, "USD", 5_000_000)
    assert (sale.payout_id, sale.payment_method) == ("TR9", "visa")
    _, converted, returned, _, fees = rows(samples.MOLLIE)
    assert (converted.presented_minor, converted.presented_currency, converted.currency) == (2000, "USD", "EUR")
    assert converted.created_at_ms == ms("2026-03-01 10:12:00")
    assert {row.payout_id for row in rows(samples.MOLLIE)} == {"1234567.2603.01"}
    assert (returned.gateway_object_id, returned.payment_method, fees.category) == (
        "re_1",
        None,
        "withheld transaction fees",
    )
    *_, given_back, _, _, tax = rows(samples.KLARNA, None)
    assert (given_back.payment_reference, given_back.gateway_payment_id) == ("pay_1", "ord-1")
    assert (tax.payout_id, tax.created_at_ms) == ("XISA93DJ", ms("2026-03-05 07:45:00"))
    capture, *_ = rows(samples.CHECKOUT_ACTIONS, None)
    assert (capture.presented_minor, capture.presented_currency, capture.rate_millionths) == (10000, "USD", 800_000)
    assert (capture.gateway_payment_id, capture.payout_id, capture.card_country) == ("pay_a", "00000000CFJU", "GB")
    assert rows(samples.CHECKOUT_BREAKDOWN)[0].created_at_ms == ms("2026-03-01 10:00:00")
    (sent,) = rows(samples.GOCARDLESS_PAYOUTS, None)
    assert (sent.payout_id, sent.payout_reference, sent.payout_at_ms) == (
        "PO1",
        "SHOP-KN3CMJ",
        ms("2026-03-06 00:00:00"),
    )


REFUSED = {
    "no zone": ("MOLLIE", "", "", "line 2, Date: the file does not say the zone"),
    "decimals in a report": ("PAYPAL_REPORT", '"CR",10000', '"CR",100.00', "line 5, Gross Transaction Amount"),
    "direction": ("PAYPAL_REPORT", '"CR",10000', '"XX",10000', "line 5, Transaction Debit or Credit: 'XX'"),
    "currency of the fee": ("PAYPAL_REPORT", '175,"EUR","cust', '175,"USD","cust', "line 5, Fee Currency"),
    "count of rows": ("PAYPAL_REPORT", '"SC",4', '"SC",5', "line 11, SC: the report counts 5 rows and has 4"),
    "lost end": ("PAYPAL_REPORT", '"FF",4\n', "", "no file footer (FF)"),
    "id twice": ("PAYPAL_REPORT", '"SB","TX2"', '"SB","TX1"', "line 6, Transaction ID: 'TX1' is on line 5 too"),
    "net of activity": ("PAYPAL_ACTIVITY", "1.206,60", "1.206,61", "line 2, Net: net is not gross and fee"),
    "month or day": ("PAYPAL_ACTIVITY", "13/03/2026", "03/13/2026", "line 2, Date: of '03/13/2026'"),
    "net disbursed": ("BRAINTREE_DISBURSEMENT", "2.25,97.75", "2.25,97.76", "line 6, Net disbursed amount"),
    "records": (
        "BRAINTREE_DISBURSEMENT",
        "RF,1,1,3",
        "RF,1,1,4",
        "Total records: the report counts 4 records and has 3",
    ),
    "no footer": ("BRAINTREE_DISBURSEMENT", "RF,1,1,3\n", "", "no report footer (RF)"),
    "amount": ("BRAINTREE_FEES", "24.18", "24,18x", "line 2"),
    "status": ("BRAINTREE_EXPORT", "sale,settled,", "sale,,", "line 2, Transaction Status: the cell is empty"),
    "net of a transaction": ("GOCARDLESS_TRANSACTIONS", "98.30", "98.31", "line 2, net_amount: net is not gross less"),
    "total": ("KLARNA", "61.37", "61.38", "line 2, total_settlement_amount: the transactions make 61.37, not 61.38"),
    "currency": ("KLARNA", "100.00;EUR", "100.00;EURO", "line 5, posting_currency: 'EURO' is not an ISO 4217"),
    "width": ("KLARNA", "SALE;", "SALE;;", "line 5: there are 15 cells, the header has 14"),
    "no number": ("CHECKOUT_ACTIONS", "-1.20496", "NaN", "line 3, Holding Currency Amount: 'NaN' is not an amount"),
    "rate": ("CHECKOUT_ACTIONS", "USD,0.8,GBP", "USD,none,GBP", "line 2, FX Rate Applied: 'none' is not a rate"),
    "net of a breakdown": ("CHECKOUT_BREAKDOWN", "-1.5,48.5", "-1.5,48.4", "line 2, Net In Holding Currency"),
    "column twice": (
        "CHECKOUT_PAYOUTS",
        "Merchant Payout Fees",
        "Payout ID",
        "the header has Payout ID more than once",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_named_by_line_and_field(name: str) -> None:
    """Fails when a check is left out, or says another place."""
    sample, before, after, problem = REFUSED[name]
    text = getattr(samples, sample)
    assert before in text
    with pytest.raises(FileRejected) as caught:
        rows(text.replace(before, after), None if name == "no zone" else AMSTERDAM)
    assert problem in str(caught.value)


def test_a_word_that_is_not_known_is_an_adjustment_and_said() -> None:
    """Fails when a new word refuses the file or is lost."""
    read = read_file(samples.KLARNA.replace("HOLDBACK;", "LOYALTY;").replace("5.00;EUR;;R", "-5.00;EUR;;R").encode())
    assert read.notices == ("'LOYALTY' is no known type of movement: 1 row read as adjustment",)
    assert [row.amount_minor for row in read.gateway_rows if row.category == "LOYALTY"] == [-500]


@pytest.mark.parametrize(
    ("sample", "before", "after", "kind"),
    [
        ("MOLLIE", "EUR,-20.00,1234567.2603.01,20.00", "EUR,20.00,1234567.2603.01,20.00", RowKind.REFUND_REVERSAL),
        ("MOLLIE", "EUR,-15.00,1234567.2603.01", "EUR,15.00,1234567.2603.01", RowKind.DISPUTE_REVERSAL),
        ("GOCARDLESS_TRANSACTIONS", "charged_back", "failed", RowKind.CHARGE_REVERSAL),
        ("GOCARDLESS_TRANSACTIONS", "ref_0,-20.00,0.00,0.00,-20.00", "ref_0,20.00,0,0,20.00", RowKind.REFUND_REVERSAL),
        ("PAYPAL_REPORT", '"CR",500000,"JPY"', '"DR",500000,"JPY"', RowKind.ADJUSTMENT),
    ],
)
def test_the_other_sign_is_what_takes_back(sample: str, before: str, after: str, kind: RowKind) -> None:
    """Mollie: "Chargeback Reversals", "Returned Refunds" (https://docs.mollie.com/docs/settlement-report); GoCardless:
    a payment that failed or was charged back is a debit (https://developer.gocardless.com/payouts/reconciling-payouts);
    PayPal: a payment of DR is one that the account sent. Fails when the word alone decides.
    """
    text = getattr(samples, sample)
    assert before in text
    kinds = [row.kind for row in rows(text)]
    changed = [row.kind for row in rows(text.replace(before, after))]
    assert [after for before, after in zip(kinds, changed, strict=True) if before is not after] == [kind]


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (("03/13/2026", "03/14/2026", "03/15/2026", "03/16/2026"), ("2026-03-13", "2026-03-14", "2026-03-16")),
        (("03/04/2026", "05/04/2026", "02/05/2026", "06/05/2026"), ("2026-04-03", "2026-04-05", "2026-05-06")),
        (("12/11/2026", "12/10/2026", "12/09/2026", "11/12/2026"), ("2026-12-11", "2026-12-10", "2026-11-12")),
    ],
)
def test_the_file_tells_whether_days_or_months_come_first(dates: tuple[str, ...], days: tuple[str, ...]) -> None:
    """PayPal writes dates as the account's country does. Fails when the order of the rows is not looked at."""
    text = samples.PAYPAL_ACTIVITY
    for before, after in zip(("13/03/2026", "14/03/2026", "15/03/2026", "16/03/2026"), dates, strict=True):
        text = text.replace(before, after)
    read = [datetime.fromtimestamp(row.created_at_ms / 1000, UTC).date().isoformat() for row in rows(text)]
    assert tuple(read) == days


def test_dates_of_two_readings_are_refused() -> None:
    """Fails when a month is guessed."""
    text = samples.PAYPAL_ACTIVITY
    for day, other in (("13", "01"), ("14", "02"), ("15", "04"), ("16", "05")):
        text = text.replace(f'"{day}/03/2026"', f'"{other}/03/2026"')
    with pytest.raises(FileRejected, match=r"line 2, Date: of '01/03/2026' nobody can tell"):
        rows(text)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("CET", "2026-03-13 09:00:00"),
        ("PDT", "2026-03-13 17:00:00"),
        ("GMT+01:00", "2026-03-13 09:00:00"),
        ("America/New_York", "2026-03-13 14:00:00"),
        ("CST", "2026-03-13 09:00:00"),
    ],
)
def test_a_zone_beside_the_time_is_read(written: str, instant: str) -> None:
    """Fails when a name of one offset, an offset or a name of the IANA is not taken; CST is of several zones, and then
    the one that is given counts.
    """
    assert rows(samples.PAYPAL_ACTIVITY.replace('"CET"', f'"{written}"'))[0].created_at_ms == ms(instant)


def test_rows_of_the_detail_report_that_move_nothing() -> None:
    """T13nn "appears in transaction detail report and not in settlement report"
    (https://developer.paypal.com/docs/transaction-search/transaction-event-codes/); a status of D is denied, of P
    pending (https://developer.paypal.com/docs/reports/sftp-reports/transaction-detail). Fails when one is a movement.
    """
    detail = samples.PAYPAL_REPORT.replace('"Custom Field"', '"Transactional Status"')
    detail = detail.replace('"cust_1"', '"S"').replace('"EUR","pay_1","PAYER"', '"EUR","P","PAYER"')
    detail = detail.replace('"T0400"', '"T1300"')
    assert [row.transaction_id for row in rows(detail)] == ["TX1", "TX3"]


def test_semicolons_tabs_and_several_settlements_in_one_file() -> None:
    """Fails when another separator, or a second section, is not seen."""
    assert told(samples.KLARNA.replace(";", ",")) == told(samples.KLARNA)
    assert told(samples.KLARNA.replace(";", "\t")) == told(samples.KLARNA)
    second = samples.KLARNA.replace("XISA93DJ", "XISA93DK").replace("cap-1", "cap-2").replace("rf-1", "rf-2")
    both = rows(samples.KLARNA + "\n" + second)
    assert {name: sum(row.net_minor for row in both if row.payout_id == name) for name in ("XISA93DJ", "XISA93DK")} == {
        "XISA93DJ": 6137,
        "XISA93DK": 6137,
    }


def test_the_parts_of_a_report_may_stand_one_behind_the_other() -> None:
    """Of over a million rows Checkout.com gives several files with a header each. Fails when the second is a row."""
    header, _, rest = samples.CHECKOUT_BREAKDOWN.partition("\n")
    more = rest.replace("act_", "act_9")
    assert len(rows(f"{header}\n{rest}{header}\n{more}")) == 2 * len(rows(samples.CHECKOUT_BREAKDOWN))


def test_debt_with_klarna_is_in_the_totals_alone() -> None:
    """closing = opening - repay + deposit, and the repayment is deducted from the settlement
    (https://docs.klarna.com/payments/after-payments/settlements/settlement-files/). Fails when it is lost.
    """
    text = samples.KLARNA.replace("5.00;0.00;61.37", "5.00;1.37;60.00")
    (repaid,) = [row for row in rows(text, None) if row.category == "total_repay_amount"]
    assert (repaid.kind, repaid.amount_minor, repaid.payout_id) == (RowKind.ADJUSTMENT, -137, "XISA93DJ")


def test_a_payout_that_comes_back_names_the_one_that_it_was() -> None:
    """T1101 is a reversal of a withdrawal. Fails when it does not take back the payout that it names."""
    text = samples.PAYPAL_REPORT.replace(
        '"TX4","","","","T0400",2026/03/01 10:00:00 -0800,2026/03/01 10:00:00 -0800,"DR"',
        '"TX4","","TX0","TXN","T1101",2026/03/01 10:00:00 -0800,2026/03/01 10:00:00 -0800,"CR"',
    )
    back = rows(text)[-1]
    assert (back.kind, back.amount_minor, back.gateway_object_id) == (RowKind.PAYOUT, 5000, "TX0")


def test_fractions_of_a_yen_are_refused() -> None:
    """Fails when PayPal's hundredths of a currency without decimals are taken for its units, or cut off."""
    with pytest.raises(FileRejected, match=r"line 7, Gross Transaction Amount: '5000.50' has more decimals than JPY"):
        rows(samples.PAYPAL_REPORT.replace('"CR",500000', '"CR",500050'))


def test_what_rounding_makes_of_a_payout_is_a_row() -> None:
    """Amounts have up to eight decimals, a payout has two
    (https://www.checkout.com/docs/business-operations/retrieve-reports/reconciliation-reports/payouts-reports). Fails
    when the members of a payout are not what arrives.
    """
    header, capture, fee, *_ = samples.CHECKOUT_ACTIONS.splitlines()
    alone = [fee.replace("act_1", f"act_{number}").replace("-1.20496", "-0.004") for number in (7, 8)]
    found = rows("\n".join([header, capture, *alone]))
    assert [(row.category, row.net_minor) for row in found] == [
        ("Capture", 8000),
        ("Premium Variable Fee", 0),
        ("Premium Variable Fee", 0),
        ("rounding", -1),
    ]
    assert found[-1].payout_id == "00000000CFJU"


def test_a_fee_in_another_currency_than_its_action_is_a_row() -> None:
    """Sub-accounts are held in a currency each. Fails when amounts of two currencies are added up."""
    header, capture, fee, *_ = samples.CHECKOUT_ACTIONS.splitlines()
    found = rows("\n".join([header, capture, fee.replace("0.8,GBP", "0.8,USD").replace("-1.20496", "-1.50")]))
    assert [(row.currency, row.amount_minor, row.fee_minor) for row in found] == [("GBP", 8000, 0), ("USD", -150, 0)]


def test_a_fee_of_a_new_name_is_a_fee_and_no_adjustment() -> None:
    """Checkout.com's fees end in "Fixed Fee" or "Variable Fee". Fails when such a word is said to be an adjustment."""
    header, capture, _, fee, *_ = samples.CHECKOUT_ACTIONS.replace("Scheme Fixed", "Moon Landing Fixed").splitlines()
    alone = fee.replace("act_1", "act_9").replace("-0.01444", "-0.02")
    read = read_file("\n".join([header, capture, fee, alone]).encode())
    assert read.notices == ()
    assert [(row.kind, row.net_minor) for row in read.gateway_rows if row.category == "Moon Landing Fixed Fee"] == [
        (RowKind.FEE, -2)
    ]


def test_what_comes_back_in_a_later_report_has_an_id_of_its_own() -> None:
    """Mollie tells a chargeback and its reversal by one id. Fails when the second is taken for the first again."""
    first = samples.MOLLIE
    later = first.replace("EUR,-15.00,1234567.2603.01", "EUR,15.00,1234567.2603.02")
    ids = [row.transaction_id for text in (first, later) for row in rows(text) if row.category == "chargeback"]
    assert ids == ["chb_1", "chb_1/dispute_reversal"]


def test_dates_with_points_begin_with_the_day() -> None:
    """PayPal's activity of a German account. Fails when a month is refused that is written as nobody else writes it."""
    text = samples.PAYPAL_ACTIVITY
    for day, other in (("13", "01"), ("14", "02"), ("15", "04"), ("16", "05")):
        text = text.replace(f'"{day}/03/2026"', f'"{other}.03.2026"')
    assert rows(text)[0].created_at_ms == ms("2026-03-01 09:00:00")


def test_a_debt_is_no_payout() -> None:
    """closing_debt_balance is opening - repay + deposit, and what is added to the debt is not paid out
    (https://docs.klarna.com/payments/after-payments/settlements/settlement-files/). Fails when the members of a
    settlement below zero make a payout.
    """
    lines = samples.KLARNA.splitlines()
    lines[0] += ";opening_debt_balance;closing_debt_balance"
    lines[1] = lines[1].replace("61.37", "0.00").replace("100.00", "0.00") + ";5.00;43.63"
    owed = rows("\n".join(line for line in lines if not line.startswith("SALE")))
    assert [row.amount_minor for row in owed if row.category == "total_deposit_amount"] == [3863]
    assert sum(row.net_minor for row in owed) == 0


def test_a_table_of_a_bank_is_none_of_these() -> None:
    """Fails when columns that any table may have tell a gateway's report."""
    table = b"id,amount,currency,created_at,reference,status,type,date\n1,2.00,EUR,2026-03-01,r,paid,SALE,2026-03-01\n"
    with pytest.raises(FileRejected, match="the format is not known"):
        read_file(table)
