"""What an account sees besides payouts: rent, suppliers, bank fees, customers who pay by transfer, top-ups."""

from datetime import date, timedelta

from tests.outside_month.bank import ACCOUNTS, PAYER, line
from tests.outside_month.calendars import business, closed, days
from tests.outside_month.model import World


def like_a_payout(w: World) -> None:
    """Let a customer's invoice be paid with the very amount of a payout of that day that nothing names."""
    twins = [made for made in w.lines if made.text == "STRIPE" and made.amount > 0]
    for twin in w.rng.sample(twins, min(2, len(twins))):
        made = line(w, twin.currency, twin.booked, twin.amount, "A CUSTOMER LTD", "INVOICE 10077")
        w.usual("stranger_with_a_payouts_amount", made.line_id)


def everything_else(w: World, first: date, last: date) -> None:
    """Book rent, wages, suppliers, bank fees, and customers who pay invoices by transfer."""
    like_a_payout(w)
    for currency in ACCOUNTS:  # the bank books a fee twice, and takes one back
        day = business(first + timedelta(15))
        for shift, amount in ((0, -1_990), (0, -1_990), (1, 1_990)):
            made = line(w, currency, business(day, shift), amount, "BANK CHARGES", "ACCOUNT FEE")
            made.reversal = shift == 1
            w.usual("bank_error_taken_back", made.line_id)
    for move in w.movements:
        if move.category == "topup":
            day = business(move.created.date(), 1)
            made = line(w, move.currency, day, -move.gross, PAYER["stripe"], "STRIPE TOPUP")
            w.usual("topup", made.line_id)
    for currency in ACCOUNTS:
        for day in days(first, last):
            if closed(day):
                continue
            kinds = [
                ("supplier", "MUELLER LOGISTIK GMBH", -w.rng.randint(5_000, 900_000)),
                ("stranger", "A CUSTOMER LTD", w.rng.randint(2_000, 400_000)),
                ("bank_fee", "BANK CHARGES", -w.rng.randint(100, 900)),
            ]
            for kind, who, amount in kinds:
                if w.rng.random() < 0.4:
                    made = line(w, currency, day, amount, who, f"INVOICE {w.rng.randint(10_000, 99_999)}")
                    w.usual(f"bank_{kind}", made.line_id)
        rent = line(w, currency, business(first), -450_000, "CITY OFFICES BV", f"RENT {first:%B %Y}")
        w.usual("bank_rent", rent.line_id)
