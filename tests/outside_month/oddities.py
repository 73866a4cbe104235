"""More that is odd and right, or is a fault only by where the month ends.

Refunds and disputes that were begun elsewhere: https://docs.stripe.com/refunds, https://docs.stripe.com/disputes;
delayed capture: https://docs.adyen.com/online-payments/capture, https://docs.stripe.com/payments/place-a-hold-on-a-payment-method.
"""

from dataclasses import replace
from datetime import timedelta

from tests.outside_month.calendars import business
from tests.outside_month.contract import DISPUTE_FEE
from tests.outside_month.happenings import dispute, ids, partial_capture, returned
from tests.outside_month.model import World
from tests.outside_month.sales import LANES, Sale, book, charge, good, move, named, refund, sale

YEN = ("stripe", "acct", "JPY", "JPY", 0)


def lasting(w: World, one: Sale, days: int) -> Sale:
    """Move a sale to where so many days are left of the month, so that both sides' files tell what follows."""
    span = ((w.month + timedelta(31)).replace(day=1) - w.month).days - days
    late = (one.when.date() - w.month).days - span
    return one if late < 0 else replace(one, when=one.when - timedelta(late + w.rng.randint(1, span - 1)))


def captured_days_later(w: World, one: Sale) -> None:
    """The shop books when it takes the order; the gateway charges when the parcel leaves, up to a week later."""
    one = lasting(w, one, 18)  # a week, and a week until the batch is closed
    entry = book(w, one, one.amount, one.when)
    shipped = one.when + timedelta(days=w.rng.randint(1, 6), minutes=w.rng.randint(0, 300))
    w.usual("captured_days_later", *ids(one, entry, charge(w, one, one.amount, shipped)))


def without_metadata(w: World, one: Sale) -> None:
    """A charge whose metadata lacks our reference; the ledger knows its id. Adyen always has a Merchant Reference."""
    entry = book(w, one, one.amount, one.when)
    known = {"reference": ""} if one.gateway == "stripe" else {}
    w.usual("charged_without_our_reference", *ids(one, entry, charge(w, one, one.amount, one.when, **known)))


def id_in_small_letters(w: World, one: Sale) -> None:
    """An accounting system that writes the gateway's ids in small letters."""
    entry, moved = good(w, one)
    if one.gateway == "adyen":
        entry.gateway_payment_id = entry.gateway_payment_id.lower()
    w.usual("gateway_id_in_small_letters", *ids(one, entry, moved))


def booked_a_day_later(w: World, one: Sale) -> None:
    """A booking that waited in a queue: it stands a day and more after the charge."""
    one = lasting(w, one, 3)
    entry = book(w, one, one.amount, one.when + timedelta(hours=w.rng.randint(25, 60)))
    w.usual("booked_a_day_later", *ids(one, entry, charge(w, one, one.amount, one.when)))


def refunded_by_hand(w: World, one: Sale) -> None:
    """A refund made in the gateway's dashboard, without a reference of ours, and booked the next days under one."""
    one = lasting(w, one, 9)
    entry, moved = good(w, one)
    _, back = refund(w, one, one.amount * w.rng.choice((40, 100)) // 100, one.when + timedelta(hours=30), booked=False)
    back.refund_reference = ""
    when = back.created + timedelta(hours=w.rng.randint(4, 70))
    booked = book(w, one, back.facing, when, "refund", reference=w.token("rfd_"))
    w.usual("refunded_by_hand_and_booked", *ids(one, entry, moved, back, booked))


def refunded_twice_the_same(w: World, one: Sale) -> None:
    """Two halves of one price are given back, a few hours apart: two refunds of one amount."""
    entry, moved = good(w, one)
    rows = [row for n in (1, 2) for row in refund(w, one, one.amount // 2, one.when + timedelta(hours=5 * n)) if row]
    w.usual("two_refunds_of_one_amount", *ids(one, entry, moved, *rows))


def refund_failed_and_repeated(w: World, one: Sale) -> None:
    """A refund comes back, our ledger takes it back, and a second refund to another account works."""
    one = lasting(w, one, 14)
    entry, moved = good(w, one)
    booked, back = refund(w, one, one.amount, one.when + timedelta(hours=20))
    failed = returned(w, one, back)
    name = booked.entry_id if booked else ""
    undone = book(w, one, one.amount, failed.created, "refund", reference=back.refund_reference, reverses=name)
    second = [row for row in refund(w, one, one.amount, failed.created + timedelta(days=1)) if row]
    w.usual("refund_failed_and_repeated", *ids(one, entry, moved, back, failed, undone, *second))


def dispute_of_earlier_month(w: World, one: Sale) -> None:
    """A dispute of a charge from before the month, open at its end."""
    charged = charge(w, one, one.amount, one.when)
    w.movements.remove(charged)
    w.fault("dispute_open", [], [dispute(w, one, charged, 0)], "of a charge before the month")


def dispute_won_from_earlier_month(w: World, one: Sale) -> None:
    """The amount of a dispute that an earlier month's report has comes back."""
    back = move(w, one, "dispute_reversal", one.amount, one.when)
    w.usual("dispute_won_from_earlier_month", *ids(one, back))


def dispute_written_off(w: World, one: Sale) -> None:
    """A dispute that the shop does not contest: it books the amount as given back."""
    one = lasting(w, one, 14)
    entry, moved = good(w, one)
    taken = dispute(w, one, moved, w.rng.randint(2, 5))
    off = book(w, one, -one.amount, taken.created + timedelta(hours=20), "refund", reference=w.token("off_"))
    w.usual("dispute_written_off", *ids(one, entry, moved, taken, off))


def dispute_won_with_its_fee(w: World, one: Sale) -> None:
    """A dispute that was won, in a country where Stripe gives its fee back, too."""
    one = lasting(w, one, 14)
    entry, moved = good(w, one)
    taken = dispute(w, one, moved, w.rng.randint(2, 5))
    when = taken.created + timedelta(days=w.rng.randint(2, 4))
    back = move(w, one, "dispute_reversal", one.amount, when, rate=moved.rate, source=taken.source)
    back.gross = moved.gross
    if one.gateway == "stripe":
        back.fee = -DISPUTE_FEE[one.currency]
    w.usual("dispute_won_with_its_fee", *ids(one, entry, moved, taken, back))
    w.story([entry], [("", [taken, back]), ("dispute_open", [taken])], "won after the reports' end")


def partial_capture_in_yen(w: World, one: Sale) -> None:
    """A part of an authorisation is captured in a currency without minor units."""
    yen = sale(w, one.when.date(), one.when.date(), YEN)
    partial_capture(w, yen)


def surplus_given_back(w: World, one: Sale) -> None:
    """One order was charged twice, and somebody gave the second charge back in the gateway's dashboard."""
    one = lasting(w, one, 12)
    entry, moved = good(w, one)
    other = named(w, one)
    twin = replace(one, payment=other.payment, intent=other.intent)
    again = charge(w, twin, one.amount, moved.created + timedelta(minutes=2))
    _, back = refund(w, twin, one.amount, again.created + timedelta(days=1), booked=False)
    back.refund_reference = ""
    w.usual("surplus_given_back", *ids(one, entry, moved), *ids(twin, again, back))


def double_charge_given_back(w: World, one: Sale) -> None:
    """A customer was charged under two keys, complained, and has the money of the second payment back."""
    one = lasting(w, one, 12)
    other = named(w, replace(one, when=one.when + timedelta(seconds=w.rng.randint(3, 25))))
    rows = [*good(w, one), *good(w, other)]
    booked, back = refund(w, other, one.amount, one.when + timedelta(days=1))
    w.usual("double_charge_given_back", *ids(one, *rows), *ids(other, back, *([booked] if booked else [])))


def declined_under_one_reference(w: World, one: Sale) -> None:
    """An order whose first attempt is declined and whose second takes, both under one reference."""
    first = book(w, one, one.amount, one.when - timedelta(minutes=3), state=w.rng.choice(("declined", "failed")))
    w.usual("declined_and_booked_under_one_reference", *ids(one, first, *good(w, one)))


def routed_to_another_gateway(w: World, one: Sale) -> None:
    """One gateway declines an order, the other takes it a moment later, under the same reference of ours."""
    if one.facing != one.currency:
        return
    other = "adyen" if one.gateway == "stripe" else "stripe"
    lane = next((x for x in LANES if x[0] == other and x[2:4] == (one.currency, one.facing)), None)
    if not lane:
        return
    first = book(w, one, one.amount, one.when, state="declined")
    known = {"payment_id": one.payment_id, "reference": one.reference}
    second = replace(named(w, replace(one, gateway=other, account=lane[1])), **known)
    second.when += timedelta(seconds=4)
    w.usual("routed_to_another_gateway", *ids(second, first, *good(w, second)))


def refund_known_by_its_own_id(w: World, one: Sale) -> None:
    """A refund from the dashboard that our ledger books under the refund's own id (re_), not the charge's."""
    one = lasting(w, one, 9)
    entry, moved = good(w, one)
    _, back = refund(w, one, one.amount * 3 // 10, one.when + timedelta(hours=30), booked=False)
    back.refund_reference = ""
    booked = book(w, one, back.facing, back.created + timedelta(hours=2), "refund", reference=w.token("rfd_"))
    if one.gateway == "stripe":
        booked.gateway_payment_id = back.source
    w.usual("refund_known_by_its_own_id", *ids(one, entry, moved, back, booked))


def booked_and_taken_back(w: World, one: Sale) -> None:
    """An order is booked too early and taken back within the hour: the gateway never hears of it."""
    entry = book(w, one, one.amount, one.when)
    undone = book(w, one, -one.amount, one.when + timedelta(minutes=40), reverses=entry.entry_id)
    w.usual("booked_and_taken_back", *ids(one, entry, undone))


def refund_made_days_later(w: World, one: Sale) -> None:
    """Our ledger books a refund when it is granted; the gateway makes it when its balance allows."""
    one = lasting(w, one, 14)
    entry, moved = good(w, one)
    booked, back = refund(w, one, one.amount, one.when + timedelta(hours=5))
    back.created += timedelta(days=w.rng.randint(1, 4))
    back.available = business(back.created.date())
    w.usual("refund_made_days_later", *ids(one, entry, moved, back, *([booked] if booked else [])))


def captures_booked_in_one_sum(w: World, one: Sale) -> None:
    """Two captures of one authorisation, which our ledger books as one sum under the payment's reference."""
    if one.facing != one.currency:
        return
    one = lasting(w, one, 12)
    entry = book(w, one, one.amount, one.when)
    first = charge(w, one, one.amount * 4 // 10, one.when + timedelta(seconds=3))
    second = charge(w, one, one.amount - first.facing, one.when + timedelta(hours=30))
    w.usual("captures_booked_in_one_sum", *ids(one, entry, first, second))


def without_gateway_id(w: World, one: Sale) -> None:
    """A booking that was written before the gateway answered, and never learned its id."""
    entry, moved = good(w, one)
    entry.gateway_payment_id = ""
    w.usual("booked_without_the_gateways_id", *ids(one, entry, moved))


MORE = [  # per mille of the payments
    ("captured_days_later", captured_days_later, 6),
    ("without_metadata", without_metadata, 4),
    ("small_letters", id_in_small_letters, 4),
    ("declined_under_one_reference", declined_under_one_reference, 5),
    ("surplus_given_back", surplus_given_back, 1.5),
    ("double_charge_given_back", double_charge_given_back, 1.5),
    ("routed_to_another_gateway", routed_to_another_gateway, 4),
    ("refund_known_by_its_own_id", refund_known_by_its_own_id, 2),
    ("booked_and_taken_back", booked_and_taken_back, 2),
    ("refund_made_days_later", refund_made_days_later, 2),
    ("captures_booked_in_one_sum", captures_booked_in_one_sum, 2),
    ("without_gateway_id", without_gateway_id, 5),
    ("booked_a_day_later", booked_a_day_later, 4),
    ("refunded_by_hand", refunded_by_hand, 3),
    ("refunded_twice", refunded_twice_the_same, 3),
    ("refund_repeated", refund_failed_and_repeated, 1.5),
    ("dispute_of_earlier_month", dispute_of_earlier_month, 1),
    ("dispute_won_from_earlier_month", dispute_won_from_earlier_month, 1),
    ("dispute_written_off", dispute_written_off, 1.5),
    ("dispute_won_with_its_fee", dispute_won_with_its_fee, 1),
    ("partial_capture_in_yen", partial_capture_in_yen, 2),
]
