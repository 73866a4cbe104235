"""Merchants whose payers repeat themselves in different ways, with doubles planted. It knows nothing of a detector."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_S = 86_400
HISTORY_DAYS = 60
JUDGED_FROM_MS = HISTORY_DAYS * DAY_S * 1_000


@dataclass(frozen=True, slots=True)
class Habit:
    """``repeats_per_10_000`` charges are honestly repeated after a time that is uniform in ``repeat_seconds``.

    ``rush``: the share of sales that fall into one hour a week, as of a flash sale; ``every_days``: each payer pays
    again at the same time of day after so many days, as of a subscription.
    """

    name: str
    payers: int
    prices: tuple[int, ...]
    repeats_per_10_000: int
    repeat_seconds: tuple[int, int]
    rush: float = 0.0
    every_days: int = 0


HABITS = (
    Habit("shop", 20_000, tuple(range(500, 20_000, 7)), 5, (60, 86_400)),
    # Regulars who fetch another cup within the morning.
    Habit("coffee", 2_000, (250, 320, 480), 400, (240, 14_400)),
    Habit("subscription", 4_000, (999, 1_499), 0, (0, 0), every_days=30),
    # A flash sale: nearly all within an hour, and some buy a second piece at once.
    Habit("flash_sale", 100_000, (4_900,), 60, (45, 900), rush=0.9),
    Habit("tickets", 5_000, (280,), 300, (90, 600)),
    Habit("arcade", 500, (100, 200), 2_000, (5, 60)),
)


@dataclass(frozen=True, slots=True)
class Sales:
    """The rows, and the gateway payment ids of the planted doubles of the judged day range."""

    rows: list[LedgerRow]
    doubles: frozenset[str]
    judged: int


def sell(
    habit: Habit,
    *,
    charges: int,
    judged_days: int,
    doubles_per_10_000: int,
    seed: int,
    corrected: float = 0.9,
    judged_doubles_per_10_000: int = 200,
) -> Sales:
    """Return about ``charges`` charges over the history and the judged days.

    A double comes after a delay of 1 to 30 s mostly (an eager client), else up to 10 min (a payer who tries again).
    ``doubles_per_10_000`` are those of the history; the judged days have more, so that recall is one of hundreds.
    ``corrected``: the share of the history's doubles that were given back a day later, as payers complain.
    """
    rng = random.Random(f"{habit.name}/{seed}")
    end = (HISTORY_DAYS + judged_days) * DAY_S
    rows: list[LedgerRow] = []
    doubles: set[str] = set()
    judged = 0

    def book(at_ms: int, payer: str, amount_minor: int) -> str:
        nonlocal judged
        name = f"{habit.name}_{len(rows)}"
        judged += at_ms >= JUDGED_FROM_MS
        rows.append(
            LedgerRow(
                entry_id=f"je_{name}",
                merchant_id=habit.name,
                payment_id=f"pay_{name}",
                gateway="g",
                kind=LedgerKind.CHARGE,
                state=LedgerState.BOOKED,
                reference=f"ref_{name}",
                amount_minor=amount_minor,
                currency="EUR",
                booked_at_ms=at_ms,
                gateway_payment_id=f"ch_{name}",
                payer=payer,
            )
        )
        return f"ch_{name}"

    for at_ms, payer, amount_minor in _sales(habit, charges, end, rng):
        book(at_ms, payer, amount_minor)
        if rng.randrange(10_000) < habit.repeats_per_10_000:
            book(at_ms + int(rng.uniform(*habit.repeat_seconds) * 1_000), payer, amount_minor)
        if rng.randrange(10_000) < (doubles_per_10_000 if at_ms < JUDGED_FROM_MS else judged_doubles_per_10_000):
            later_ms = at_ms + int((rng.uniform(1, 30) if rng.random() < 0.85 else rng.uniform(30, 600)) * 1_000)
            name = book(later_ms, payer, amount_minor)
            if at_ms >= JUDGED_FROM_MS:
                doubles.add(name)
            elif rng.random() < corrected:
                rows.append(
                    replace(
                        rows[-1],
                        entry_id=f"{rows[-1].entry_id}_refund",
                        kind=LedgerKind.REFUND,
                        reference=f"{rows[-1].reference}_refund",
                        amount_minor=-amount_minor,
                        booked_at_ms=later_ms + DAY_S * 1_000,
                    )
                )
    rng.shuffle(rows)
    return Sales(rows, frozenset(doubles), judged)


def _sales(habit: Habit, charges: int, end: int, rng: random.Random) -> Iterator[tuple[int, str, int]]:
    """Yield (time, payer, amount) of the sales that are each meant once."""
    if habit.every_days:
        period = habit.every_days * DAY_S
        for payer in range(charges * period // end):
            first, amount_minor = rng.random() * period, rng.choice(habit.prices)
            # A renewal runs within minutes of its hour, whatever the month.
            for due in range(int(first), end, period):
                yield int((due + rng.uniform(0, 120)) * 1_000), f"pm_{payer}", amount_minor
        return
    weeks = end // (7 * DAY_S)
    for _ in range(charges):
        at_s = rng.random() * end
        if rng.random() < habit.rush:
            at_s = rng.randrange(weeks) * 7 * DAY_S + 12 * 3_600 + rng.random() * 3_600
        yield int(at_s * 1_000), f"pm_{rng.randrange(habit.payers)}", rng.choice(habit.prices)
