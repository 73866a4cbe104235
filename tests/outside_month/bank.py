"""What the banks book of payouts, as they really arrive, and the faults planted between a payout and the bank."""

import itertools
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from tests.outside_month.calendars import business
from tests.outside_month.model import BankLine, Fault, Payout, World

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNTS = {"EUR": "NL91ABNA0417164300", "GBP": "GB29NWBK60161331926819", "USD": "DE89370400440532013000"}
PAYER = {"stripe": "STRIPE TECHNOLOGY EUROPE LTD", "adyen": "ADYEN N.V."}
ALIKE = {"ShopSubs", "ShopGifts"}  # whose payouts are equal
JPY_RATE = 163.4
FAULTS = {"payout_missing": 2, "payout_different": 3, "duplicate_credit": 2, "payout_returned": 2}


def line(w: World, currency: str, booked: date, amount: int, who: str, text: str, end_to_end: str = "") -> BankLine:
    """Book one entry."""
    made = BankLine(ACCOUNTS[currency], currency, booked, amount, w.token("", 12, "0123456789"), who, text, end_to_end)
    w.lines.append(made)
    return made


def naming(w: World, payout: Payout) -> tuple[str, str, str]:
    """Say how a bank names a payout: kind, text, end-to-end id.

    Stripe's credits carry a statement descriptor and, where the bank supports it, a trace id that the report lists, too
    (https://docs.stripe.com/payouts/trace-id); an id of the payout only where the merchant asked for it. Adyen's carry
    the text of the MerchantPayout row, which some banks cut (https://docs.adyen.com/account/getting-paid).
    """
    chance = w.rng.random()
    if payout.gateway == "adyen":
        if chance < 0.8:
            return "named_in_full", payout.trace, payout.payout_id
        if chance < 0.9:
            return "reference_cut_by_the_bank", payout.trace[:18], ""
        return "credit_without_a_name", "ADYEN SETTLEMENT", ""
    if chance < 0.05:
        return "named_in_capitals", f"STRIPE PAYOUT {payout.payout_id}".upper(), payout.payout_id.upper()
    if chance < 0.35:
        return "named_in_full", f"STRIPE PAYOUT {payout.payout_id}", payout.payout_id
    if chance < 0.7:
        return "named_by_trace_id_alone", f"STRIPE {payout.trace}", payout.trace
    return "credit_without_a_name", "STRIPE", ""


def pay(w: World, payout: Payout) -> None:
    """Book a payout as banks do: that day or the next, named or not, in yen converted, or less a bank's charge."""
    kind, text, end_to_end = naming(w, payout)
    booked = business(payout.effective, 1 if payout.gateway == "adyen" or w.rng.random() < 0.3 else 0)
    if payout.currency == "JPY":
        euro = round(payout.amount / JPY_RATE * 100 * (1 + w.rng.uniform(-0.004, 0.004)))
        line(w, "EUR", booked, euro, PAYER["stripe"], f"{text} JPY {payout.amount} RATE {JPY_RATE}", end_to_end)
        w.usual("payout_in_another_currency", payout.payout_id, payout.trace)
        return
    made = line(w, payout.currency, booked, payout.amount, PAYER[payout.gateway], text, end_to_end)
    if payout.currency == "USD" and payout.gateway == "stripe" and payout.amount > 10_000 and w.rng.random() < 0.1:
        made.charges = 1200
        made.amount -= 1200
        made.text += f" LESS CHARGES USD 12.00 OF USD {payout.amount / 100:.2f}"
        kind = "bank_charge_taken_from_the_payout"
    w.usual(kind, payout.payout_id, payout.trace, made.line_id)


def together(w: World, payouts: list[Payout], names: bool) -> None:
    """Book the payouts of several days as one credit, each named in the batch, or none."""
    last, total = payouts[-1], sum(p.amount for p in payouts)
    text = " ".join(p.payout_id for p in payouts) if names else PAYER[last.gateway].split()[0]
    made = line(w, last.currency, business(last.effective, 1), total, PAYER[last.gateway], text)
    if names:
        made.parts = [(p.payout_id, p.amount) for p in payouts]
    kind = "several_days_in_one_credit" if names else "several_days_in_one_credit_without_a_name"
    w.usual(kind, *(name for p in payouts for name in (p.payout_id, p.trace)), made.line_id)


def among_others(w: World, payout: Payout) -> None:
    """Book a payout in one entry with what a customer paid: a batch that lists both."""
    invoice = w.rng.randint(5_000, 90_000)
    made = line(w, payout.currency, business(payout.effective, 1), payout.amount + invoice, "SAMMELGUTSCHRIFT", "BATCH")
    made.parts = [(payout.payout_id, payout.amount), (f"INV{w.rng.randint(10_000, 99_999)}", invoice)]
    w.usual("payout_in_a_batch_with_others", payout.payout_id, payout.trace, made.line_id)


def returned_and_paid_again(w: World, payout: Payout) -> None:
    """Credit a payout, return it, and credit it again two days later."""
    for shift, sign, text in ((0, 1, ""), (1, -1, "RETURN "), (3, 1, "")):
        line(
            w,
            payout.currency,
            business(payout.effective, shift),
            sign * payout.amount,
            PAYER[payout.gateway],
            text + payout.payout_id,
            payout.payout_id,
        )
    w.usual("payout_returned_and_paid_again", payout.payout_id, payout.trace)


def plant(w: World, fault_class: str, payout: Payout) -> None:
    """Plant a fault between a payout and the bank; the line names the payout, so that it is certain."""
    text = payout.trace if payout.gateway == "adyen" else f"STRIPE PAYOUT {payout.payout_id}"
    lines: list[BankLine] = []
    amount = payout.amount
    if fault_class != "payout_missing":
        off = w.rng.choice((-1, 1)) * w.rng.randint(150, 900) if fault_class == "payout_different" else 0
        amount = abs(off) or amount
        lines.append(
            line(
                w,
                payout.currency,
                business(payout.effective, 1),
                payout.amount + off,
                PAYER[payout.gateway],
                text,
                payout.payout_id,
            )
        )
    if fault_class == "duplicate_credit":
        lines.append(
            line(
                w,
                payout.currency,
                business(payout.effective, 3),
                payout.amount,
                PAYER[payout.gateway],
                text,
                payout.payout_id,
            )
        )
    if fault_class == "payout_returned":
        lines.append(
            line(
                w,
                payout.currency,
                business(payout.effective, 2),
                -payout.amount,
                PAYER[payout.gateway],
                "RETURN " + text,
                payout.payout_id,
            )
        )
    ids = [payout.payout_id, payout.trace, *(made.line_id for made in lines)]
    w.faults.append(
        Fault(
            fault_class,
            ids,
            amount,
            payout.currency,
            {"bank": [made.line_id for made in lines], "payout": [payout.payout_id]},
            "named by the line",
        )
    )


def equal_pair(w: World, pairs: list[tuple[Payout, Payout]]) -> set[str]:
    """Of two equal payouts of consecutive days let one be credited, without a name: nobody can say which."""
    for one, two in pairs[:1]:
        made = line(w, one.currency, business(two.effective, 1), one.amount, PAYER[one.gateway], "ADYEN SETTLEMENT")
        ids = [one.payout_id, two.payout_id, one.trace, two.trace, made.line_id]
        w.faults.append(
            Fault(
                "ambiguous",
                ids,
                one.amount,
                one.currency,
                {"bank": [made.line_id], "payout": [one.payout_id, two.payout_id]},
                "one of two equal payouts came",
                True,
                ["payout_missing"],
            )
        )
        return {one.payout_id, two.payout_id}
    return set()


def payouts(w: World, window: tuple[date, date], faults: dict[str, int], batches: bool) -> None:
    """Choose what becomes of each payout at the bank, and book it; how many faults are planted can be asked for."""
    first, last = window
    reversed_ids = {m.source for m in w.movements if m.category == "payout_reversal"}
    whole = [p for p in w.payouts if p.payout_id not in reversed_ids]
    early = [
        p
        for p in whole
        if p.currency in ACCOUNTS and p.amount > 0 and first + timedelta(3) <= p.effective <= last - timedelta(11)
    ]
    subs = [p for p in early if p.account == "ShopSubs"]
    equal = [
        (a, b) for a, b in itertools.pairwise(subs) if a.amount == b.amount and (b.effective - a.effective).days == 1
    ]
    for a, b in equal:
        w.usual("equal_payouts_on_consecutive_days", a.payout_id, b.payout_id, a.trace, b.trace)
    done = equal_pair(w, equal)
    daily = [p for p in early if p.gateway == "stripe" and p.currency in {"EUR", "USD"} and p.payout_id not in done]
    runs = [
        (a, b)
        for a, b in itertools.pairwise(daily)
        if a.currency == b.currency and 0 < (b.effective - a.effective).days < 5
    ]
    w.rng.shuffle(runs)
    for number, (a, b) in enumerate(runs):
        if done.isdisjoint({a.payout_id, b.payout_id}) and number < 8:
            together(w, [a, b], names=number % 4 != 3)
            done |= {a.payout_id, b.payout_id}
    euros = [p for p in daily if p.payout_id not in done and p.currency == "EUR"]
    dollars = [p for p in daily if p.payout_id not in done and p.currency == "USD"]
    for payout in (*euros[-1:], *dollars[-1:]) if batches else ():
        among_others(w, payout)
        done.add(payout.payout_id)
    rest = [p for p in early if p.payout_id not in done and p.account not in ALIKE]
    w.rng.shuffle(rest)
    jobs: list[Callable[[Payout], None]] = [lambda p: returned_and_paid_again(w, p)]
    for name, count in (FAULTS | {name: faults[name] for name in FAULTS if name in faults}).items():
        jobs += [partial(plant, w, name)] * count
    for job, payout in zip(jobs, rest, strict=False):
        job(payout)
        done.add(payout.payout_id)
    for payout in whole:
        if payout.payout_id not in done:
            pay(w, payout)
