"""The banks' statements: one a business day, numbered, each opening where the one before it closed, but for faults."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from tests.outside_month import bai2, camt, mt940
from tests.outside_month.bank import ACCOUNTS
from tests.outside_month.calendars import closed, days
from tests.outside_month.model import BankLine, Fault, World

OPENING = {"EUR": 12_345_678, "GBP": 2_000_000, "USD": 5_550_055}
OFF = 12_345
CHANGED = 1_000


@dataclass
class Statement:
    """One statement of one account and day."""

    account: str
    currency: str
    number: int
    day: date
    opening: int
    lines: list[BankLine] = field(default_factory=list)

    @property
    def closing(self) -> int:
        """The opening balance and what was booked."""
        return self.opening + sum(line.amount for line in self.lines)

    @property
    def statement_id(self) -> str:
        """The statement's own name, of its account, year and number."""
        return f"{self.account[-7:]}{self.day.year}{self.number:05d}"


def of_account(w: World, currency: str, first: date, last: date) -> list[Statement]:
    """Write down each business day of an account."""
    booked: dict[date, list[BankLine]] = defaultdict(list)
    for line in w.lines:
        if line.currency == currency:
            booked[line.booked].append(line)
            if line.booked > last:
                w.usual("bank_line_after_the_months_end", line.line_id, line.end_to_end)
    balance, made = OPENING[currency], []
    number = sum(1 for day in days(date(first.year, 1, 1), first) if not closed(day)) - (0 if closed(first) else 1)
    for day in days(first, last):
        if closed(day):
            continue
        number += 1
        made.append(Statement(ACCOUNTS[currency], currency, number, day, balance, booked[day]))
        balance = made[-1].closing
    return made


def lose_one(w: World, statements: list[Statement]) -> list[Statement]:
    """Lose a statement on which no payout is booked."""
    middle = [s for s in statements[4:-6] if s.lines and len(plain(s)) == len(s.lines)]
    if not middle:
        return statements
    gone = w.rng.choice(middle)
    following = statements[statements.index(gone) + 1]
    w.faults.append(
        Fault(
            "statement_gap",
            [following.statement_id, gone.statement_id],
            abs(gone.closing - gone.opening),
            gone.currency,
            {"statement": [following.statement_id]},
            f"{gone.account} number {gone.number} is missing",
            echoes=["balance_break"],
        )
    )
    return [s for s in statements if s is not gone]


def break_balance(w: World, statements: list[Statement]) -> list[Statement]:
    """Let a statement open with another balance than the one before it closed with, and go on from there."""
    at = w.rng.randrange(4, len(statements) - 4)
    broken = [replace(s, opening=s.opening + OFF) if number >= at else s for number, s in enumerate(statements)]
    s = broken[at]
    w.faults.append(
        Fault(
            "balance_break",
            [s.statement_id],
            OFF,
            s.currency,
            {"statement": [s.statement_id]},
            f"{s.account} number {s.number} opens {OFF} too high",
        )
    )
    return broken


def conflict(w: World, statements: list[Statement]) -> list[Statement]:
    """Send a statement again with another amount of a line, no payout's; the account goes on from the first."""
    first = next((s for s in (*statements[-3:-1], *statements[1:3]) if plain(s)), None)
    if not first:
        return []
    one = plain(first)[0]
    lines = [replace(x, amount=x.amount - CHANGED) if x is one else x for x in first.lines]
    w.faults.append(
        Fault(
            "statement_conflict",
            [first.statement_id],
            CHANGED,
            first.currency,
            {"statement": [first.statement_id]},
            f"{first.account} number {first.number} was sent again with a line of another amount",
        )
    )
    return [replace(first, lines=lines)]


def plain(statement: Statement) -> list[BankLine]:
    """Give the lines that have nothing to do with a gateway."""
    return [x for x in statement.lines if not any(name in x.counterparty for name in ("ADYEN", "STRIPE"))]


def write(folder: Path, w: World, window: tuple[date, date], structured: bool) -> list[str]:
    """Write euros as camt.053 version 8 by the week, pounds as MT940, dollars as version 2; some are sent again."""
    names: list[str] = []

    def put(name: str, text: str) -> None:
        (folder / name).write_text(text, encoding="utf-8", newline="")
        names.append(name)

    euros = break_balance(w, of_account(w, "EUR", *window))
    weeks: dict[int, list[Statement]] = defaultdict(list)
    for statement in euros:
        weeks[statement.day.isocalendar().week].append(statement)
    for week, of_week in weeks.items():
        put(f"bank_eur_camt053_week_{week:02d}.xml", camt.document(of_week, "08"))
    pounds = lose_one(w, of_account(w, "GBP", *window))
    put("bank_gbp_mt940.sta", mt940.document(pounds, structured))
    dollars = break_balance(w, of_account(w, "USD", *window))
    put("bank_usd_camt053.xml", camt.document(dollars, "02"))
    if changed := conflict(w, dollars):
        put("bank_usd_camt053_changed.xml", camt.document(changed, "02"))
    put("bank_eur_camt054.xml", camt.document(euros[9:12], "08", kind="054"))
    put("bank_usd_bai2_of_the_same_days.txt", bai2.document(dollars[3:5]))
    put("bank_eur_camt052.xml", camt.document(euros[13:14], "08", kind="052"))
    put("bank_eur_camt053_sent_again.xml", camt.document(euros[5:8], "08", again=True))
    put("bank_gbp_camt053_of_the_same_days.xml", camt.document(pounds[2:4], "08", again=True))
    for statement in [*euros[5:8], *pounds[2:4], *dollars[3:5]]:
        w.usual("statement_sent_again", statement.statement_id, *(line.line_id for line in statement.lines))
    return names
