"""The faults between ledger and gateway. Each is certain from the rows, or is marked as ambiguous."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tests.outside_month.calendars import business
from tests.outside_month.happenings import debit, dispute, returned, reversal
from tests.outside_month.model import World
from tests.outside_month.sales import Sale, book, charge, good, move, named, refund

FX_LANES = ("CHF", "SEK", "PLN", "JPY", "KWD")


def missing_in_ledger(w: World, sale: Sale) -> None:
    """The gateway charged what nobody booked: with our reference, or without one, as from a payment link; or it
    captured a second shipment of an order of which we know the first.
    """
    if sale.gateway == "adyen" and w.rng.random() < 0.3:
        one, two = w.token("cap_"), w.token("cap_")
        book(w, sale, sale.amount, sale.when, reference=one)
        charge(w, sale, sale.amount, sale.when + timedelta(seconds=2), capture_reference=one)
        moved = charge(w, sale, sale.amount // 3, sale.when + timedelta(hours=20), capture_reference=two)
        w.fault("missing_in_ledger", [], [moved], "a second capture, not booked")
        return
    reference = sale.reference if w.rng.random() < 0.6 else ""
    moved = charge(w, sale, sale.amount, sale.when, reference=reference)
    w.fault("missing_in_ledger", [], [moved], "charged, not booked" + ("" if reference else "; without a reference"))


def missing_in_gateway(w: World, sale: Sale) -> None:
    """We booked what the gateway never reported, long enough ago: a charge, or a refund of one."""
    if w.rng.random() < 0.3:
        good(w, sale)
        owed = book(w, sale, -sale.amount // 2, sale.when + timedelta(hours=5), "refund", reference=w.token("rfd_"))
        w.fault("missing_in_gateway", [owed], [], "a refund booked, never made")
        return
    w.fault("missing_in_gateway", [book(w, sale, sale.amount, sale.when)], [], "booked, never reported")


def duplicate_capture(w: World, sale: Sale) -> None:
    """One reference was charged twice, under two of the gateway's payments."""
    entry, moved = good(w, sale)
    other = named(w, sale)
    twin = replace(sale, payment=other.payment, intent=other.intent)
    again = charge(w, twin, sale.amount, moved.created + timedelta(seconds=w.rng.choice((9, 40, 3600))))
    w.fault("duplicate_capture", [entry], [moved, again], "one reference, two charges")


def double_charge(w: World, sale: Sale) -> None:
    """A client that tried again under another key, seconds later; our ledger alone shows it."""
    other = named(w, replace(sale, when=sale.when + timedelta(seconds=w.rng.randint(3, 25))))
    (first, _), (second, _) = good(w, sale), good(w, other)
    w.fault("double_charge", [first, second], [], "the same payer and amount within 25 seconds")


def amount_mismatch(w: World, sale: Sale) -> None:
    """The gateway moved another amount than we booked: of a charge, or of a refund."""
    if w.rng.random() < 0.3:
        _, charged = good(w, sale)
        booked, back = refund(w, sale, sale.amount // 2, charged.created + timedelta(hours=5))
        off = max(1, sale.amount // 10)
        less = round(back.gross * (1 - off / (sale.amount // 2)))
        back.facing, back.gross = back.facing + off, less
        entries = [booked] if booked else []
        w.fault("amount_mismatch", entries, [back], "refunded less", amount=off, currency=sale.facing)
        return
    entry = book(w, sale, sale.amount, sale.when)
    off = w.rng.choice((-1, 1)) * w.rng.randint(50, 150)
    moved = charge(w, sale, sale.amount + off, sale.when + timedelta(seconds=2))
    note = f"booked and charged differ by {off}"
    w.fault("amount_mismatch", [entry], [moved], note, amount=abs(off), currency=sale.facing)


def currency_mismatch(w: World, sale: Sale) -> None:
    """The figure is the same and the currency is not."""
    entry, moved = good(w, sale)
    entry.currency = "USD" if sale.facing != "USD" else "EUR"
    w.fault("currency_mismatch", [entry], [moved], f"booked in {entry.currency}, charged in {sale.facing}")


def fee_mismatch(w: World, sale: Sale) -> None:
    """The fee is none that the contract knows: 0.50 or more above it, or twice it; of a tier, or of a refund."""
    entry, moved = good(w, sale)
    if sale.account == "ShopUK" and w.rng.random() < 0.4:
        booked, moved = refund(w, sale, sale.amount // 2, sale.when + timedelta(hours=5))
        entry = booked or entry
    extra = w.rng.choice((max(50, moved.fee), w.rng.randint(50, 220)))
    moved.fee += extra
    if moved.fees:
        name = "Commission" if "Commission" in moved.fees else "Markup"
        moved.fees[name] += extra
    w.fault("fee_mismatch", [entry], [moved], f"{extra} above the contract", amount=extra, within=1)


def fx_mismatch(w: World, sale: Sale) -> None:
    """The conversion is 4 to 8 per cent off the rate of every other payment of the day."""
    off = w.rng.choice((-1, 1)) * w.rng.uniform(0.04, 0.08)
    entry = book(w, sale, sale.amount, sale.when)
    usual = charge(w, sale, sale.amount, sale.when + timedelta(seconds=2))
    w.movements.remove(usual)
    moved = charge(w, sale, sale.amount, usual.created, rate=round(usual.rate * (1 + off), 8))
    amount = abs(moved.gross - usual.gross)
    w.fault("fx_mismatch", [entry], [moved], f"rate off by {off:.1%}", amount=amount, within=1 + amount // 5)


def status_mismatch(w: World, sale: Sale) -> None:
    """We hold that nothing was charged, or given back, and it was."""
    if w.rng.random() < 0.3:
        good(w, sale)
        booked, back = refund(w, sale, sale.amount // 2, sale.when + timedelta(hours=5))
        if booked:
            booked.state = "failed"
            w.fault("status_mismatch", [booked], [back], "a refund failed in the ledger, and was made")
        return
    state = w.rng.choice(("declined", "in_doubt", "failed", "voided"))
    entry = book(w, sale, sale.amount, sale.when, state=state)
    w.fault("status_mismatch", [entry], [charge(w, sale, sale.amount, sale.when)], f"{state} in the ledger, charged")


def refund_exceeds_capture(w: World, sale: Sale) -> None:
    """Two refunds, booked and paid, are together more than was captured."""
    entry, moved = good(w, sale)
    entries, moves = [entry], [moved]
    for number in (1, 2):
        booked, back = refund(w, sale, sale.amount * 65 // 100, sale.when + timedelta(hours=7 * number))
        entries += [booked] if booked else []
        moves.append(back)
    w.fault(
        "refund_exceeds_capture",
        entries,
        moves,
        "130 per cent given back",
        amount=sale.amount * 65 // 100 * 2 - sale.amount,
        currency=sale.facing,
    )


def orphan_refund(w: World, sale: Sale) -> None:
    """The gateway gave money back that we did not refund; the charge is known, or nobody knows it."""
    known = w.rng.random() < 0.7
    rows = good(w, sale) if known else None
    _, back = refund(w, sale, sale.amount // 2 if known else sale.amount, sale.when + timedelta(hours=9), booked=False)
    back.refund_reference = ""
    fault = w.fault(
        "orphan_refund", [], [back], "refunded at the gateway alone" + ("" if known else "; no such charge")
    )
    if rows:
        fault.ids += [sale.payment_id]


def duplicate_posting(w: World, sale: Sale) -> None:
    """The ledger booked one charge twice; that it did shows in the ledger alone."""
    entry, _ = good(w, sale)
    twin = book(w, sale, sale.amount, sale.when + timedelta(seconds=w.rng.randint(1, 600)))
    w.fault("duplicate_posting", [entry, twin], [], "one charge, two bookings")


def payload_conflict(w: World, sale: Sale) -> None:
    """One name, two contents: a transaction with another amount in an export that overlaps, or a reference of ours
    under which the gateway charged two different amounts. The first never happens by Stripe's word, so it is ambiguous.
    """
    entry, moved = good(w, sale)
    if w.rng.random() < 0.5:
        w.conflicting.append(moved)
        w.fault("payload_conflict", [entry], [moved], "one transaction, two amounts in two exports", ambiguous=True)
        return
    other = named(w, sale)
    twin = replace(sale, payment=other.payment, intent=other.intent)
    again = charge(w, twin, sale.amount + w.rng.randint(300, 900), moved.created + timedelta(minutes=7))
    w.fault("payload_conflict", [entry], [moved, again], "one reference, charged with two different amounts")


def late_settlement(w: World, sale: Sale) -> None:
    """The money became available 11 business days after the charge."""
    entry, moved = good(w, sale)
    moved.available = business(moved.created.date(), 11)
    w.fault("late_settlement", [entry], [moved], f"available on {moved.available}")


def dispute_open(w: World, sale: Sale) -> None:
    """A dispute of which nothing came back; some are over a part of the charge."""
    entry, moved = good(w, sale)
    taken = dispute(w, sale, moved, w.rng.randint(1, 6), w.rng.choice((100, 100, 40)))
    w.fault("dispute_open", [entry], [taken], "nothing came back")


def dispute_lost(w: World, sale: Sale) -> None:
    """A dispute whose amount came back and went a second time: Adyen's SecondChargeback is final.

    https://docs.adyen.com/risk-management/disputes-api/dispute-notifications
    """
    entry, moved = good(w, sale)
    taken = dispute(w, sale, moved, w.rng.randint(1, 6))
    back = move(w, sale, "dispute_reversal", sale.amount, taken.created + timedelta(days=2), rate=moved.rate)
    back.gross = moved.gross
    second = dispute(w, sale, moved, 12)
    second.category, second.fee, second.fees = "second_dispute", 0, {}
    chapters = [("dispute_lost", [taken, back, second]), ("", [taken, back]), ("dispute_open", [taken])]
    w.story([entry], chapters, "taken a second time")


def duplicate_row(w: World, sale: Sale) -> None:
    """A report lists one charge again under another id of its row, all else equal; the money moved once."""
    entry, moved = good(w, sale)
    again = w.token("txn_3", 23)
    w.told_twice.append((moved, again))
    w.fault("duplicate_row", [entry], [moved], "one movement, two rows").ids.append(again)


def refund_failed(w: World, sale: Sale) -> None:
    """A refund came back, and the ledger still says that the customer has it."""
    entry, moved = good(w, sale)
    booked, back = refund(w, sale, sale.amount, sale.when + timedelta(hours=20))
    w.fault(
        "refund_failed",
        [entry, *([booked] if booked else [])],
        [moved, back, returned(w, sale, back)],
        "not taken back by us",
    )


def settlement_reversed(w: World, sale: Sale) -> None:
    """A debit failed after settlement, and the ledger still has the charge."""
    sale = debit(sale)
    entry, moved = good(w, sale)
    w.fault("settlement_reversed", [entry], [moved, reversal(w, sale, moved)], "still booked by us")


PLANTS: dict[str, tuple[Callable[[World, Sale], None], int]] = {  # how many in 50,000 payments
    "missing_in_ledger": (missing_in_ledger, 50),
    "missing_in_gateway": (missing_in_gateway, 50),
    "duplicate_capture": (duplicate_capture, 40),
    "double_charge": (double_charge, 40),
    "amount_mismatch": (amount_mismatch, 40),
    "currency_mismatch": (currency_mismatch, 15),
    "fee_mismatch": (fee_mismatch, 40),
    "fx_mismatch": (fx_mismatch, 20),
    "status_mismatch": (status_mismatch, 30),
    "refund_exceeds_capture": (refund_exceeds_capture, 20),
    "orphan_refund": (orphan_refund, 30),
    "duplicate_posting": (duplicate_posting, 30),
    "payload_conflict": (payload_conflict, 6),
    "late_settlement": (late_settlement, 20),
    "dispute_open": (dispute_open, 30),
    "dispute_lost": (dispute_lost, 10),
    "duplicate_row": (duplicate_row, 6),
    "refund_failed": (refund_failed, 15),
    "settlement_reversed": (settlement_reversed, 15),
}
