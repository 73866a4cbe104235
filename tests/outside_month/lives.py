"""Payments with a long life: one thing after another happens to them, and both sides tell all of it."""

from datetime import timedelta

from tests.outside_month.happenings import dispute, ids, multi_capture, partial_capture, returned
from tests.outside_month.model import Entry, Movement, World
from tests.outside_month.oddities import lasting
from tests.outside_month.sales import Sale, book, good, move, refund


def refunded_disputed_won_and_refunded(w: World, one: Sale) -> None:
    """A part is refunded, comes back and is refunded again; the rest is disputed, won, and then refunded as well."""
    one = lasting(w, one, 20)
    rows: list[Entry | Movement] = [*(pair := good(w, one))]
    charged, part = pair[1], one.amount * 3 // 10
    booked, back = refund(w, one, part, one.when + timedelta(hours=20))
    rows += [row for row in (booked, back) if row]
    if booked and w.rng.random() < 0.5:
        failed = returned(w, one, back)
        undone = book(w, one, part, failed.created, "refund", reference=back.refund_reference, reverses=booked.entry_id)
        again = refund(w, one, part, failed.created + timedelta(hours=6))
        rows += [failed, undone, *(row for row in again if row)]
    taken = dispute(w, one, charged, 8, 70)
    won = move(w, one, "dispute_reversal", -taken.facing, taken.created + timedelta(days=2), rate=charged.rate)
    won.source, won.gross = taken.source, -taken.gross
    rest = refund(w, one, one.amount - part, won.created + timedelta(days=1))
    rows += [taken, won, *(row for row in rest if row)]
    w.usual("refunded_disputed_won_and_refunded", *ids(one, *rows))
    chapters = [("", [taken, won]), ("dispute_open", [taken])]
    w.story([row for row in rows[:1] if isinstance(row, Entry)], chapters, "won after the reports' end")


def captured_in_part_and_refunded(w: World, one: Sale) -> None:
    """What was captured of an authorisation is given back, whole."""
    one = lasting(w, one, 10)
    partial_capture(w, one)
    rows = refund(w, one, w.entries[-1].amount, one.when + timedelta(hours=50))
    w.usual("captured_in_part_and_refunded", *ids(one, *(row for row in rows if row)))


def shipments_of_which_one_is_refunded(w: World, one: Sale) -> None:
    """An order is captured shipment by shipment, and the last shipment is sent back."""
    one = lasting(w, one, 12)
    multi_capture(w, one)
    rows = refund(w, one, w.entries[-1].amount, one.when + timedelta(hours=90))
    w.usual("shipments_of_which_one_is_refunded", *ids(one, *(row for row in rows if row)))


LIVES = [  # per mille of the payments
    ("refunded_disputed_won_and_refunded", refunded_disputed_won_and_refunded, 2),
    ("captured_in_part_and_refunded", captured_in_part_and_refunded, 3),
    ("shipments_of_which_one_is_refunded", shipments_of_which_one_is_refunded, 2),
]
