"""What is odd and yet right: the everyday of a shop, each kind counted so that a false alarm can be explained."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tests.outside_month.contract import DISPUTE_FEE, stripe_fee
from tests.outside_month.model import Entry, Movement, World
from tests.outside_month.sales import Sale, book, charge, good, later, move, named, refund

Happening = Callable[[World, Sale], None]


def ids(sale: Sale, *rows: Entry | Movement) -> list[str]:
    """Give the names under which a report could speak of the rows."""
    names = [sale.payment_id, sale.reference, sale.payment]
    for row in rows:
        names += [row.entry_id, row.reference] if isinstance(row, Entry) else [row.row_id, row.capture_reference]
    return names


def partial_capture(w: World, sale: Sale) -> None:
    """Capture less than was authorised; Stripe shows the whole charge and a partial_capture_reversal.

    https://docs.stripe.com/reports/reporting-categories
    """
    captured, reference = sale.amount * w.rng.randint(40, 95) // 100, w.token("cap_")
    entry = book(w, sale, captured, sale.when, reference=reference)
    when = sale.when + timedelta(seconds=3)
    if sale.gateway == "adyen":
        w.usual("partial_capture", *ids(sale, entry, charge(w, sale, captured, when, capture_reference=reference)))
        return
    whole = charge(w, sale, sale.amount, when, capture_reference=reference)
    back = move(
        w, sale, "partial_capture_reversal", captured - sale.amount, when, rate=whole.rate, capture_reference=reference
    )
    kept = whole.gross + back.gross
    back.fee = stripe_fee(kept, sale.currency, sale.card, later(w, when), sale.facing != sale.currency) - whole.fee
    w.usual("partial_capture", *ids(sale, entry, whole, back))


def multi_capture(w: World, sale: Sale) -> None:
    """Capture an order shipment by shipment: several Settled rows of one Psp Reference, each with its own
    Modification Merchant Reference; with Stripe several charges of one payment intent, whose metadata is one and
    the same for all. https://docs.stripe.com/payments/multicapture
    """
    parts = w.rng.randint(2, 3)
    rows: list[Entry | Movement] = []
    last = w.token("cap_")
    for part in range(parts):
        reference = w.token("cap_") if part < parts - 1 else last
        amount = sale.amount // parts + part * 7
        when = sale.when + timedelta(hours=part * w.rng.randint(3, 20))
        rows.append(book(w, sale, amount, when, reference=reference))
        shown = last if sale.gateway == "stripe" else reference
        rows.append(charge(w, sale, amount, when + timedelta(seconds=2), capture_reference=shown))
    w.usual(f"multi_capture_{sale.gateway}", *ids(sale, *rows))


def refunds(w: World, sale: Sale, shares: tuple[int, ...], kind: str) -> None:
    """Charge, and give back shares of it (in percent) hours or days later."""
    entry, moved = good(w, sale)
    rows: list[Entry | Movement] = [entry, moved]
    for number, percent in enumerate(shares, 1):
        when = sale.when + timedelta(hours=number * w.rng.randint(2, 90))
        booked, back = refund(w, sale, sale.amount * percent // 100, when)
        rows += [row for row in (booked, back) if row]
    w.usual(kind, *ids(sale, *rows))


def refund_failed_booked(w: World, sale: Sale) -> None:
    """A refund comes back days later (refund_failure, RefundedReversed), and the ledger takes it back, too.

    https://docs.stripe.com/refunds#failed-refunds
    """
    entry, moved = good(w, sale)
    booked, back = refund(w, sale, sale.amount, sale.when + timedelta(hours=20))
    failed = returned(w, sale, back)
    undone = book(
        w,
        sale,
        sale.amount,
        failed.created,
        "refund",
        reference=back.refund_reference,
        reverses=booked.entry_id if booked else "",
    )
    w.usual("refund_failed_and_booked", *ids(sale, entry, moved, back, failed, undone))


def returned(w: World, sale: Sale, back: Movement) -> Movement:
    """Let the gateway report that a refund did not reach the customer."""
    when = back.created + timedelta(days=w.rng.randint(3, 6))
    failed = move(
        w,
        sale,
        "refund_failure",
        -back.facing,
        when,
        rate=back.rate,
        source=back.source,
        refund_reference=back.refund_reference,
    )
    failed.gross = -back.gross
    return failed


def reversal(w: World, sale: Sale, charged: Movement) -> Movement:
    """Let a bank debit fail after it was settled (charge_failure; Adyen's SettledReversed)."""
    when = charged.created + timedelta(days=w.rng.randint(4, 8))
    back = move(w, sale, "charge_failure", -charged.facing, when, rate=charged.rate)
    back.gross = -charged.gross
    return back


def debit(sale: Sale) -> Sale:
    """Let a payment be a bank debit, where its currency has one."""
    card = {"method": "sepa_debit", "brand": "", "country": "DE", "funding": ""}
    return replace(sale, card=card) if sale.facing == "EUR" else sale


def settlement_reversed_booked(w: World, sale: Sale) -> None:
    """A debit fails after settlement and the ledger takes the charge back."""
    sale = debit(sale)
    entry, moved = good(w, sale)
    back = reversal(w, sale, moved)
    undone = book(w, sale, -sale.amount, back.created, reverses=entry.entry_id)
    w.usual("settlement_reversed_and_booked", *ids(sale, entry, moved, back, undone))


def dispute(w: World, sale: Sale, charged: Movement, days: int, percent: int = 100) -> Movement:
    """Let the customer dispute a charge: the amount goes, and a fee with it.

    https://docs.stripe.com/disputes/how-disputes-work; Adyen's Chargeback takes its fee as Commission, as the
    sample row of the Settlement details report has it.
    """
    amount = charged.facing * percent // 100
    taken = move(w, sale, "dispute", -amount, charged.created + timedelta(days=days), rate=charged.rate)
    taken.fee = DISPUTE_FEE[sale.currency]
    taken.fees = {"Commission": taken.fee}
    return taken


def dispute_won(w: World, sale: Sale) -> None:
    """A dispute that was won: the amount comes back, and its fee with Stripe does not."""
    entry, moved = good(w, sale)
    taken = dispute(w, sale, moved, w.rng.randint(2, 5))
    back = move(
        w,
        sale,
        "dispute_reversal",
        sale.amount,
        taken.created + timedelta(days=w.rng.randint(3, 6)),
        rate=moved.rate,
        source=taken.source,
    )
    back.gross = moved.gross
    if sale.gateway == "adyen":
        back.fee, back.fees = 11, {"Markup": 11}
    w.usual("dispute_won", *ids(sale, entry, moved, taken, back))
    w.story(
        [entry],
        [("", [taken, back]), ("dispute_open", [taken])],
        "won after the reports' end",
    )


def retried(w: World, sale: Sale) -> None:
    """A card is declined once or twice and then takes: the gateway's report has only what took."""
    rows: list[Entry | Movement] = []
    for number in range(w.rng.randint(1, 2)):
        attempt = named(w, replace(sale, when=sale.when - timedelta(minutes=4 - number)))
        rows.append(book(w, attempt, sale.amount, attempt.when, state="declined"))
    rows += good(w, sale)
    w.usual("declined_and_retried", *ids(sale, *rows))


def never_charged(w: World, sale: Sale) -> None:
    """A payment is declined, fails or is voided, and nothing comes of it."""
    w.usual(
        "declined_or_voided",
        *ids(sale, book(w, sale, sale.amount, sale.when, state=w.rng.choice(("declined", "failed", "voided")))),
    )


def again(w: World, sale: Sale, minutes: tuple[int, int], kind: str) -> None:
    """The same customer buys the same again, on purpose."""
    other = named(w, replace(sale, when=sale.when + timedelta(minutes=w.rng.randint(*minutes))))
    w.usual(kind, *ids(sale, *good(w, sale)), *ids(other, *good(w, other)))


def refund_of_earlier_month(w: World, sale: Sale) -> None:
    """A refund of a payment from before the month: its charge is in no file."""
    booked, back = refund(w, sale, sale.amount, sale.when)
    w.usual("refund_of_earlier_month", *ids(sale, *(row for row in (booked, back) if row)))


WEIGHTS: list[tuple[str, Happening, float]] = [  # per mille of the payments
    ("partial_capture", partial_capture, 14),
    ("multi_capture", multi_capture, 5),
    ("full_refund", lambda w, s: refunds(w, s, (100,), "full_refund"), 28),
    ("partial_refund", lambda w, s: refunds(w, s, (w.rng.randint(10, 90),), "partial_refund"), 15),
    ("several_refunds", lambda w, s: refunds(w, s, (30, 25, 45)[: w.rng.randint(2, 3)], "several_refunds"), 4),
    ("refund_failed", refund_failed_booked, 1.5),
    ("settlement_reversed", settlement_reversed_booked, 2),
    ("dispute_won", dispute_won, 1.5),
    ("retried", retried, 20),
    ("never_charged", never_charged, 25),
    ("again_soon", lambda w, s: again(w, s, (2, 90), "bought_again_within_minutes"), 4),
    ("again_later", lambda w, s: again(w, s, (1440, 8000), "bought_again_within_days"), 10),
    ("earlier", refund_of_earlier_month, 2),
]
