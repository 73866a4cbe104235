"""What happened in the month, before any file is written: bookings, movements, payouts, bank lines, and the truth."""

import random
import string
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

MINOR = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0, "CHF": 2, "SEK": 2, "PLN": 2, "KWD": 3}


def major(amount: int, currency: str) -> str:
    """Write minor units as a decimal with the digits that ISO 4217 gives the currency."""
    digits = MINOR[currency]
    if digits == 0:
        return str(amount)
    sign, units = ("-" if amount < 0 else ""), abs(amount)
    return f"{sign}{units // 10**digits}.{units % 10**digits:0{digits}d}"


@dataclass(slots=True)
class Entry:
    """One row of the merchant's own ledger."""

    entry_id: str
    payment_id: str
    gateway: str
    kind: str
    state: str
    reference: str
    amount: int
    currency: str
    booked_at: datetime
    gateway_payment_id: str
    payer: str
    reverses: str = ""
    claim: str = ""


@dataclass(slots=True)
class Movement:
    """One row of a gateway's report; the category has Stripe's vocabulary, which the Adyen writer translates."""

    gateway: str
    account: str
    category: str
    row_id: str
    payment: str
    intent: str
    source: str
    reference: str
    gross: int
    currency: str
    created: datetime
    fee: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    capture_reference: str = ""
    refund_reference: str = ""
    facing: int = 0
    facing_currency: str = ""
    rate: float = 1.0
    available: date | None = None
    payout: str = ""
    method: str = "card"
    brand: str = "visa"
    country: str = "DE"
    funding: str = "credit"
    description: str = ""

    @property
    def net(self) -> int:
        """What the movement leaves in the merchant's balance."""
        return self.gross - self.fee


@dataclass(slots=True)
class Payout:
    """What a gateway paid out: the sum of its members' nets."""

    payout_id: str
    gateway: str
    account: str
    currency: str
    amount: int
    effective: date
    trace: str
    batch: int = 0


@dataclass(slots=True)
class BankLine:
    """One booked entry of an account; parts are the payouts that a batch booking names."""

    account: str
    currency: str
    booked: date
    amount: int
    line_id: str
    counterparty: str
    text: str
    end_to_end: str = ""
    charges: int = 0
    parts: list[tuple[str, int]] = field(default_factory=list)
    reversal: bool = False


@dataclass
class Fault:
    """A planted fault: its class, what identifies it, and the rows that show it."""

    fault_class: str
    ids: list[str]
    amount: int
    currency: str
    rows: dict[str, list[str]]
    note: str
    ambiguous: bool = False
    echoes: list[str] = field(default_factory=list)
    before: "Fault | None" = None  # what it is as long as the reports do not show all of it
    within: int = 0  # by how much the amount at stake may differ: by a rate's usual spread, or by rounding

    def document(self, number: int) -> dict[str, Any]:
        """Give the fault as truth.json holds it."""
        return {
            "id": f"F{number:04d}",
            "class": self.fault_class,
            "ids": sorted(set(filter(None, self.ids))),
            "amount_minor": self.amount,
            "currency": self.currency,
            "within_minor": self.within,
            "rows": {source: rows for source, rows in self.rows.items() if rows},
            "note": self.note,
            "ambiguous": self.ambiguous,
            "echoes": sorted(set(self.echoes)),
        }


class World:
    """Everything that the month consists of, and the one source of chance and of names."""

    def __init__(self, seed: int, month: date) -> None:
        self.rng = random.Random(seed)
        self.month = month
        self.entries: list[Entry] = []
        self.movements: list[Movement] = []
        self.payouts: list[Payout] = []
        self.lines: list[BankLine] = []
        self.faults: list[Fault] = []
        self.ordinary: dict[str, list[list[str]]] = defaultdict(list)
        self.conflicting: list[Movement] = []
        self.told_twice: list[tuple[Movement, str]] = []
        self.used: set[str] = set()

    def token(self, prefix: str, size: int = 14, alphabet: str = string.ascii_letters + string.digits) -> str:
        """Make a name that nothing else in the month has."""
        while (name := prefix + "".join(self.rng.choices(alphabet, k=size))) in self.used:
            continue
        self.used.add(name)
        return name

    def psp(self) -> str:
        """Make a reference of sixteen capitals and digits, as Adyen's Psp References are."""
        return self.token("", 16, string.ascii_uppercase + string.digits)

    def usual(self, kind: str, *ids: str) -> None:
        """Note an ordinary happening with the names by which a report may speak of it."""
        self.ordinary[kind].append([name for name in ids if name])

    def fault(self, fault_class: str, entries: list[Entry], moves: list[Movement], note: str, **more: Any) -> Fault:
        """Note a planted fault by the rows that show it."""
        subject = moves[-1] if moves else entries[-1]
        ids = [name for e in entries for name in (e.entry_id, e.payment_id, e.reference)]
        for move in moves:
            ids += [move.row_id, move.payment, move.reference, move.capture_reference, move.refund_reference]
        amount = abs(subject.gross) if isinstance(subject, Movement) else abs(subject.amount)
        rows = {"ledger": [e.entry_id for e in entries]}
        for gateway in ("stripe", "adyen"):
            rows[gateway] = [m.row_id for m in moves if m.gateway == gateway]
        currency = more.pop("currency", subject.currency)
        fault = Fault(fault_class, ids, more.pop("amount", amount), currency, rows, note, **more)
        self.faults.append(fault)
        return fault

    def story(self, entries: list[Entry], told: list[tuple[str, list[Movement]]], note: str) -> None:
        """Note what a payment is after each of its movements, as (class, movements so far), the last chapter first.

        An empty class is no fault. Which chapter the files tell is known when the reports have been cut.
        """
        chapter: Fault | None = None
        for fault_class, moves in reversed(told):
            before = chapter
            chapter = self.fault(fault_class, entries, moves, note, before=before)
            if before:
                self.faults.remove(before)
