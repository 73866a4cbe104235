"""What has no payment of its own, or is the same every week: fees, reserves, earnings, subscriptions."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from tests.outside_month.calendars import business, closed, days
from tests.outside_month.happenings import ids
from tests.outside_month.model import Movement, World
from tests.outside_month.sales import good, refund, sale

SUBSCRIPTIONS = [("adyen", "ShopSubs", "USD", "USD", 0), ("adyen", "ShopGifts", "USD", "USD", 0)]
DOLLARS = ("stripe", "acct", "USD", "USD", 0)


def account_row(
    w: World, gateway: str, account: str, currency: str, category: str, gross: int, day: date, text: str
) -> Movement:
    """Make a movement that belongs to no payment."""
    row_id = w.token("txn_1", 23) if gateway == "stripe" else w.token("ADJ", 13)
    created = datetime.combine(day, time(4, 10), UTC) + timedelta(seconds=w.rng.randint(0, 3000))
    made = Movement(
        gateway,
        account,
        category,
        row_id,
        "",
        "",
        w.token("src_", 16),
        "",
        gross,
        currency,
        created,
        available=day,
        description=text,
        method="",
        brand="",
        country="",
        funding="",
    )
    w.movements.append(made)
    return made


def overheads(w: World, first: date, last: date) -> None:
    """Add what has no payment: network costs and Radar fees, reserves held and released, platform earnings, invoices.

    Categories: https://docs.stripe.com/reports/reporting-categories (fee, risk_reserved_funds, platform_earning,
    other_adjustment); Adyen's DepositCorrection and InvoiceDeduction: journal types of the Settlement details report.
    """
    for day in days(first, last):
        if closed(day):
            continue
        w.usual(
            "gateway_fee_row",
            account_row(
                w,
                "stripe",
                "acct",
                "EUR",
                "fee",
                -w.rng.randint(150, 900),
                day,
                f"Card payments ({day}): Transaction network costs",
            ).row_id,
        )
        if day.weekday() == 2:
            amount = w.rng.randint(20_000, 60_000)
            w.usual(
                "reserve",
                account_row(w, "stripe", "acct", "EUR", "risk_reserved_funds", -amount, day, "Reserve hold").row_id,
            )
            free = business(day + timedelta(7))
            if free <= last:
                w.usual(
                    "reserve",
                    account_row(
                        w, "stripe", "acct", "EUR", "risk_reserved_funds", amount, free, "Reserve release"
                    ).row_id,
                )
            w.usual(
                "reserve",
                account_row(w, "adyen", "ShopEU", "EUR", "reserve", -amount // 2, day, "Deposit Correction").row_id,
            )
        if w.rng.random() < 0.5:
            w.usual(
                "platform_earning",
                account_row(
                    w, "stripe", "acct", "EUR", "platform_earning", w.rng.randint(100, 5000), day, "Application fee"
                ).row_id,
            )
    w.usual(
        "invoice_deduction",
        account_row(
            w,
            "adyen",
            "ShopEU",
            "EUR",
            "invoice",
            -w.rng.randint(900, 9000),
            business(first + timedelta(9)),
            "Invoice NL0042 Additional costs",
        ).row_id,
    )
    large = 150 * len(w.movements)  # more than a week of this account
    w.usual(
        "negative_batch",
        account_row(
            w, "adyen", "ShopUK", "GBP", "reserve", -large, business(first + timedelta(8)), "Deposit Correction"
        ).row_id,
    )
    w.usual(
        "negative_batch",
        account_row(
            w, "adyen", "ShopUK", "GBP", "reserve", large, business(first + timedelta(14)), "Deposit Correction"
        ).row_id,
    )


def large_refund(w: World, first: date) -> None:
    """Give back a large order of an earlier month, so that a day's payout is below zero and the bank is debited.

    https://docs.stripe.com/connect/account-balances (debit_negative_balances)
    """
    day = business(first + timedelta(11))
    order = replace(sale(w, day, day, DOLLARS), amount=200 * len(w.movements))
    booked, back = refund(w, order, order.amount, order.when)
    w.usual("large_refund", *ids(order, *(row for row in (booked, back) if row)))


def topups(w: World, first: date, last: date) -> None:
    """Add money to Stripe's balance, which the bank shows as a debit, give some away, and convert some.

    https://docs.stripe.com/topups; contribution and tax: https://docs.stripe.com/reports/reporting-categories
    """
    for day, category, amount in (
        (business(first + timedelta(6)), "topup", 120_000),
        (business(first + timedelta(13)), "contribution", -750),
        (business(last - timedelta(9)), "tax", -1_275),
    ):
        w.usual(category, account_row(w, "stripe", "acct", "EUR", category, amount, day, category.title()).row_id)
    day = business(first + timedelta(8))
    for currency, amount in (("USD", -10_000), ("EUR", 9_150)):
        row = account_row(w, "stripe", "acct", currency, "currency_conversion", amount, day, "Converted")
        w.usual("currency_conversion", row.row_id)
    for amount in (2_500, -2_500):
        w.usual("manual", account_row(w, "adyen", "ShopEU", "EUR", "manual", amount, day, "Manual correction").row_id)


def subscriptions(w: World, first: date, last: date, daily: int) -> None:
    """Renew boxes at one price each business day in two shops, so that payouts of one and of several days are equal."""
    for lane in SUBSCRIPTIONS:
        renewals(w, first, last, daily, lane)


def renewals(w: World, first: date, last: date, daily: int, lane: tuple[str, str, str, str, int]) -> None:
    """Renew the boxes of one shop."""
    payers = {weekday: [w.token("tok_", 12) for _ in range(daily)] for weekday in range(5)}
    for day in days(first, last):
        if closed(day):
            continue
        for payer in payers[day.weekday()]:
            box = replace(sale(w, day, day, lane), payer=payer, amount=1499)
            box.card |= {"country": "US", "funding": "debit", "brand": "visa", "method": "card"}
            box.when = datetime.combine(day, time(5, 0), UTC) + timedelta(seconds=w.rng.randint(0, 5000))
            w.usual("subscription", *ids(box, *good(w, box)))
