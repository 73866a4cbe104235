"""What the gateways do with a merchant's balance: reserves, fees, and payouts that are the sum of their members."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.outside_month.calendars import BERLIN, business, closed, days
from tests.outside_month.model import Movement, Payout, World
from tests.outside_month.overheads import account_row

DEBITED = {"USD"}  # where Stripe takes a negative balance from the bank account: debit_negative_balances
MINIMUM = {"GBP": 5_000}
WEEKLY = {("acct", "GBP"), ("ShopUK", "GBP")}


@dataclass
class Batch:
    """A settlement batch of an Adyen merchant account; open ones have not been closed by the month's end."""

    account: str
    number: int
    currency: str
    closed: date
    members: list[Movement] = field(default_factory=list)
    brought: int = 0
    carried: int = 0
    payout: Payout | None = None


def stripe_payouts(w: World, first: date, last: date) -> None:
    """Pay out per currency on each business day, or on Mondays; what is not positive waits for the next one.

    https://docs.stripe.com/payouts (automatic payouts) and https://docs.stripe.com/reports/payout-reconciliation
    """
    by_currency: dict[str, list[Movement]] = defaultdict(list)
    for move in w.movements:
        if move.gateway == "stripe":
            by_currency[move.currency].append(move)
    for currency, moves in sorted(by_currency.items()):
        moves.sort(key=lambda m: (m.available or last, m.created))
        failing = business(first + timedelta(11)) if currency == "EUR" else None
        for day in days(first, last):
            shut = day.weekday() > 4 if currency in DEBITED else closed(day)  # dollars move on Good Friday, too
            if shut or (("acct", currency) in WEEKLY and day.weekday() != 0):
                continue
            made = stripe_payout(w, currency, moves, day)
            if made and day == failing:
                moves.append(failed_payout(w, made))


def stripe_payout(w: World, currency: str, moves: list[Movement], day: date) -> Payout | None:
    """Pay out what is available; of a balance below zero nothing, or the bank account is debited."""
    due = [m for m in moves if not m.payout and m.available and m.available <= day and m.created.date() < day]
    total = sum(m.net for m in due)
    if total == 0 or (total < 0 and currency not in DEBITED):
        return None
    if currency in MINIMUM and total > 2 * MINIMUM[currency]:
        held = minimum_balance(w, currency, day)
        due.append(held[0])
        moves += held
        total += held[0].net
    if total < 0:
        w.usual("payout_below_zero", *(m.row_id for m in due))
    trace = w.token("ST", 12, "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
    made = Payout(w.token("po_1", 23), "stripe", "acct", currency, total, day, trace)
    w.payouts.append(made)
    for m in due:
        m.payout = made.payout_id
    return made


def minimum_balance(w: World, currency: str, day: date) -> list[Movement]:
    """Hold back what an account wants to keep, as a member of the payout, and release it to the next one.

    https://docs.stripe.com/payouts/minimum-balances-for-automatic-payouts
    """
    pair = []
    for word, sign in (("hold", -1), ("release", 1)):
        name = f"payout_minimum_balance_{word}"
        row = account_row(w, "stripe", "acct", currency, name, sign * MINIMUM[currency], day, "Minimum balance")
        w.usual("minimum_balance", row.row_id)
        pair.append(row)
    return pair


def failed_payout(w: World, made: Payout) -> Movement:
    """Let the bank refuse a payout: its money comes back as payout_reversal and goes out with the next one."""
    row = account_row(
        w,
        "stripe",
        "acct",
        made.currency,
        "payout_reversal",
        made.amount,
        business(made.effective, 2),
        "STRIPE PAYOUT FAILED",
    )
    row.source = made.payout_id
    w.usual("payout_reversal_in_the_report", made.payout_id, made.trace, row.row_id)
    return row


def adyen_batches(w: World, first: date, last: date) -> list[Batch]:
    """Close a batch of each merchant account daily, or on Mondays, with the month's transaction fees in it.

    https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report
    """
    moves: dict[tuple[str, str], list[Movement]] = defaultdict(list)
    for move in w.movements:
        if move.gateway == "adyen":
            moves[move.account, move.currency].append(move)
    return [batch for key, rows in sorted(moves.items()) for batch in account_batches(w, key, rows, (first, last))]


def account_batches(w: World, key: tuple[str, str], moves: list[Movement], window: tuple[date, date]) -> list[Batch]:
    """Close the batches of one merchant account; what is below zero is transferred to the next one."""
    batches: list[Batch] = []
    brought, number, taken = 0, w.rng.randint(40, 50), set[str]()
    for day in days(*window):
        if closed(day) or (key in WEEKLY and day.weekday() != 0):
            continue
        due = [
            m
            for m in moves
            if m.row_id not in taken
            and m.available
            and m.available <= day
            and m.created.astimezone(BERLIN).date() < day
        ]
        if not due:
            continue
        number += 1
        batch = Batch(key[0], number, key[1], day, due, brought)
        charges = sum(1 for m in due if m.category in {"charge", "refund"})
        if charges:
            text = f"Transaction Fees {day:%B %Y}"  # the same text in each batch of the month
            batch.members.append(account_row(w, "adyen", *key, "fee", -11 * charges, day, text))
            w.usual("transaction_fees_of_a_batch", text)
        total = brought + sum(m.net for m in batch.members)
        if total > 0:
            reference = f"TX{w.rng.randint(10**9, 10**10 - 1)}XT"
            batch.payout = Payout(
                reference, "adyen", key[0], key[1], total, day, f"{reference} batch {number}, {key[0]}", number
            )
            w.payouts.append(batch.payout)
            brought = 0
        else:
            batch.carried = brought = total
        for m in batch.members:
            m.payout = batch.payout.payout_id if batch.payout else f"{key[0]} batch {number}"
            taken.add(m.row_id)
        batches.append(batch)
    return batches
