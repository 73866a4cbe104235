"""One customer buying something: what both sides note of it when all goes well."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from tests.outside_month.calendars import BERLIN, business, closed, days, moment
from tests.outside_month.contract import ADYEN_REFUND, adyen_fees, new_price, share, stripe_fee
from tests.outside_month.model import MINOR, Entry, Movement, World

RATES = {"CHF": 1.0512, "SEK": 0.0893, "PLN": 0.2331, "JPY": 0.00612, "KWD": 2.9874}  # to the euro, on the first day
LANES = (  # gateway, account, settlement currency, the customer's currency, share of the traffic
    ("stripe", "acct", "EUR", "EUR", 34),
    ("stripe", "acct", "GBP", "GBP", 11),
    ("stripe", "acct", "USD", "USD", 9),
    ("stripe", "acct", "JPY", "JPY", 3),
    ("stripe", "acct", "EUR", "CHF", 3),
    ("stripe", "acct", "EUR", "SEK", 2),
    ("adyen", "ShopEU", "EUR", "EUR", 24),
    ("adyen", "ShopUK", "GBP", "GBP", 9),
    ("adyen", "ShopEU", "EUR", "CHF", 3),
    ("adyen", "ShopEU", "EUR", "PLN", 2),
    ("adyen", "ShopEU", "EUR", "JPY", 1),
    ("stripe", "acct", "EUR", "KWD", 1),
)
COUNTRIES = {
    "EUR": ("DE", "DE", "DE", "FR", "NL", "AT", "GB", "US", "BR"),
    "GBP": ("GB", "GB", "GB", "IE", "US"),
    "USD": ("US", "US", "US", "CA"),
    "JPY": ("JP",),
    "CHF": ("CH",),
    "SEK": ("SE",),
    "PLN": ("PL",),
    "KWD": ("KW",),
}
PRICES = (990, 1490, 1999, 2490, 2990, 3995, 4900, 5990, 7950, 9900, 12900, 19900)


@dataclass(slots=True)
class Sale:
    """What a customer wants to pay, and how."""

    when: datetime
    gateway: str
    account: str
    currency: str
    facing: str
    amount: int
    card: dict[str, str]
    payer: str
    payment_id: str
    reference: str
    payment: str
    intent: str


def named(w: World, sale: Sale) -> Sale:
    """Give a sale the names of a payment of its own."""
    stripe = sale.gateway == "stripe"
    debit = sale.card["method"] in {"sepa_debit", "ideal"}
    payment = w.token("py_3" if debit else "ch_3", 23) if stripe else w.psp()
    return replace(
        sale,
        payment_id=w.token("pay_"),
        reference=w.token("ref_"),
        payment=payment,
        intent=w.token("pi_3", 23) if stripe else "",
    )


def sale(w: World, first: date, last: date, lane: tuple[str, str, str, str, int] | None = None) -> Sale:
    """Make a customer who buys something at some time between two days."""
    rng = w.rng
    gateway, account, currency, facing, _ = lane or rng.choices(LANES, weights=[lane[4] for lane in LANES])[0]
    amount = rng.choice(PRICES) if rng.random() < 0.5 else max(200, int(rng.lognormvariate(8.3, 0.8)))
    if MINOR[facing] == 0:
        amount = max(100, amount // 10 * 16)
    elif MINOR[facing] == 3:
        amount = amount // 10 * 10 + 1_000  # Stripe's last digit is zero: https://docs.stripe.com/currencies
    card = {
        "method": "card",
        "brand": rng.choice(("visa", "visa", "mastercard", "amex")),
        "country": rng.choice(COUNTRIES[facing]),
        "funding": rng.choice(("credit", "debit", "debit", "prepaid" if gateway == "stripe" else "commercial")),
    }
    if facing == "EUR" and rng.random() < 0.1:
        card |= {"method": rng.choice(("sepa_debit", "ideal")), "brand": "", "funding": "", "country": "DE"}
    draft = Sale(
        moment(rng, first, last), gateway, account, currency, facing, amount, card, w.token("tok_", 12), "", "", "", ""
    )
    return named(w, draft)


def of_the_day(when: date) -> float:
    """Give how much a day's rates differ from those at the month's beginning."""
    return 1 + 0.002 * ((when.toordinal() * 7919) % 11 - 5) / 5


def rates(first: date, last: date) -> str:
    """Write the rates that a central bank publishes for a policy: those of business days, as on the page of the ECB.

    https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/html/index.en.html
    """
    text = ""
    for day in (day for day in days(first - timedelta(4), last) if not closed(day)):
        for currency, value in RATES.items():
            text += f'\n[[rates]]\npresented_currency = "{currency}"\ncurrency = "EUR"\nday = {day}\n'
            text += f'rate = "{value * of_the_day(day):.6f}"\n'
    return text


def rate(w: World, sale: Sale, when: datetime, off: float = 0.0) -> float:
    """Give the rate of the day, a little different for each payment; off is how wrong it is."""
    if sale.facing == sale.currency:
        return 1.0
    daily = of_the_day(when)
    spread = 1 + w.rng.uniform(-0.0008, 0.0008) if sale.gateway == "stripe" else 1
    return round(RATES[sale.facing] * daily * spread * (1 + off), 8)


def available(sale: Sale, when: datetime, category: str) -> date:
    """Give the day on which the money can be paid out: two business days for cards, five for bank debits.

    What is no charge counts at once: a refund or a dispute is taken from the balance of the day.
    https://docs.stripe.com/payments/balances (settlement timing). Adyen's batches settle after two business days.
    """
    day = when.date() if sale.gateway == "stripe" else when.astimezone(BERLIN).date()
    if category not in {"charge", "partial_capture_reversal"}:
        return business(day)
    return business(day, 5 if sale.card["method"] == "sepa_debit" and sale.gateway == "stripe" else 2)


def book(w: World, sale: Sale, amount: int, when: datetime, kind: str = "charge", **more: str) -> Entry:
    """Book it in the ledger, by default under the payment's own reference."""
    entry = Entry(
        w.token("jrn_"),
        sale.payment_id,
        sale.gateway,
        kind,
        more.pop("state", "booked"),
        more.pop("reference", sale.reference),
        amount,
        sale.facing,
        when,
        sale.payment,
        sale.payer,
        claim=w.token("idm_", 10),
        **more,
    )
    w.entries.append(entry)
    return entry


def move(w: World, sale: Sale, category: str, facing: int, when: datetime, **more: str | float) -> Movement:
    """Let the gateway report a movement of a payment; its gross is in the settlement currency."""
    used = float(more.pop("rate", 0)) or rate(w, sale, when)
    prefix = {"refund": "re_3", "dispute": "du_1", "dispute_reversal": "du_1", "refund_failure": "re_3"}.get(category)
    source = w.token(prefix, 23) if prefix else sale.payment
    texts = {key: str(value) for key, value in more.items()}
    made = Movement(
        sale.gateway,
        sale.account,
        category,
        w.token("txn_3", 23) if sale.gateway == "stripe" else w.psp(),
        sale.payment,
        sale.intent,
        texts.pop("source", source),
        texts.pop("reference", sale.reference),
        round(facing * used * 10.0 ** (MINOR[sale.currency] - MINOR[sale.facing])),
        sale.currency,
        when,
        facing=facing,
        facing_currency=sale.facing,
        rate=used,
        available=available(sale, when, category),
    )
    for name, text in (sale.card | texts).items():
        setattr(made, name, text)
    w.movements.append(made)
    return made


def later(w: World, when: datetime) -> bool:
    """Say whether the month's new price holds; Stripe's day is that of UTC."""
    return when.astimezone(UTC).date() >= new_price(w.month)


def charge(w: World, sale: Sale, facing: int, when: datetime, **more: str | float) -> Movement:
    """Let the gateway charge it, with the fee of the contract."""
    made = move(w, sale, "charge", facing, when, **more)
    if sale.gateway == "stripe":
        if sale.card["method"] == "sepa_debit":
            w.usual("bank_debit_available_after_five_days", made.row_id, made.reference)
        made.fee = stripe_fee(made.gross, sale.currency, sale.card, later(w, when), sale.facing != sale.currency)
    else:
        made.fees = adyen_fees(w.rng, made.gross, sale.account, sale.card)
        made.fee = sum(made.fees.values())
    return made


def good(w: World, sale: Sale) -> tuple[Entry, Movement]:
    """Let a payment go as it should: booked once, charged once, a few seconds apart."""
    entry = book(w, sale, sale.amount, sale.when)
    return entry, charge(w, sale, sale.amount, sale.when + timedelta(seconds=w.rng.randint(0, 5)))


def refund(w: World, sale: Sale, facing: int, when: datetime, booked: bool = True) -> tuple[Entry | None, Movement]:
    """Give money back; Stripe keeps its fee, and Adyen names the refund in Modification Merchant Reference.

    https://docs.stripe.com/refunds and the Settlement details report of Adyen.
    """
    reference = w.token("rfd_")
    entry = book(w, sale, -facing, when, "refund", reference=reference) if booked else None
    moved = move(w, sale, "refund", -facing, when + timedelta(seconds=w.rng.randint(1, 90)), refund_reference=reference)
    if sale.account == "ShopEU":
        moved.fees = {"Markup": 0, "Scheme Fees": share(-moved.gross, 3)}
    elif sale.account == "ShopUK":
        moved.fees = {"Commission": ADYEN_REFUND}
    moved.fee = sum(moved.fees.values())
    return entry, moved
