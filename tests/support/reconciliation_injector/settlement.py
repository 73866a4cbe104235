"""From the gateways' rows to payouts, bank lines and a chain of statements.

It runs after the faults in payments: a gateway pays out what it booked, wrong or not, so that such a fault does not
show at the bank as another one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from tests.support.reconciliation_injector.calendars import business_day, day_of
from tests.support.reconciliation_injector.maker import CURRENCIES
from tests.support.reconciliation_injector.model import DAY_MS, HOUR_MS, BankLine, BankStatement, Payout
from tests.support.reconciliation_injector.world import account_of

if TYPE_CHECKING:
    from datetime import date

    from tests.support.reconciliation_injector.model import Payment
    from tests.support.reconciliation_injector.world import World

CUT_AT = 16


def pay_out(world: World) -> None:
    """Pay out what is available, per gateway, currency and day; what nets to nothing stays at the gateway."""
    members: dict[tuple[str, str, date], list[tuple[Payment, int]]] = defaultdict(list)
    for payment in world.payments:
        for index, row in enumerate(payment.reported):
            if row.available_at_ms is not None and row.available_at_ms < world.window.as_of_ms - DAY_MS:
                members[payment.gateway, row.currency, day_of(row.available_at_ms)].append((payment, index))
    for (gateway, currency, day), rows in sorted(members.items(), key=lambda item: item[0]):
        net = sum(payment.reported[index].net_minor for payment, index in rows)
        if net <= 0:
            continue
        payout_id = world.maker.name("po")
        if world.maker.rng.random() < 0.4:
            payout_id += f"_{world.maker.rng.getrandbits(64):016x}"  # as long as ids of gateways are
        for payment, index in rows:
            payment.reported[index] = replace(payment.reported[index], payout_id=payout_id)
        latest = max(payment.reported[index].available_at_ms or 0 for payment, index in rows)
        world.payouts.append(_payout(world, gateway, currency, day, payout_id, net, latest))
    _credit_together(world)


def _credit_together(world: World) -> None:
    """Make one credit of two payouts of a day, now and then; it names both. No fault is planted there."""
    first_of: dict[tuple[str, date], Payout] = {}
    for payout in world.payouts:
        if payout.line is None or world.maker.rng.random() < 0.8:
            continue
        first = first_of.pop((payout.line.currency, payout.line.booked_on), None)
        if first is None or first.line is None:
            first_of[payout.line.currency, payout.line.booked_on] = payout
            continue
        world.lines.remove(payout.line)
        first.line.amount_minor += payout.line.amount_minor
        first.line.end_to_end_id = first.row.payout_id
        first.line.references = (first.row.payout_id or "", payout.row.payout_id or "")
        first.line = payout.line = None


def _payout(
    world: World, gateway: str, currency: str, day: date, payout_id: str, net_minor: int, latest_ms: int
) -> Payout:
    paid_at_ms = latest_ms - latest_ms % DAY_MS + DAY_MS - HOUR_MS  # 23:00 UTC, which is tomorrow in Amsterdam
    row = GatewayRow(
        row_number=0,
        transaction_id=world.maker.name("txn"),
        reference=None,
        kind=RowKind.PAYOUT,
        amount_minor=-net_minor,
        fee_minor=0,
        net_minor=-net_minor,
        currency=currency,
        created_at_ms=paid_at_ms,
        available_at_ms=paid_at_ms,
        payout_id=payout_id,
    )
    booked_on = business_day(day_of(paid_at_ms + 2 * HOUR_MS))
    if booked_on >= day_of(world.window.as_of_ms):
        return Payout(gateway=gateway, row=row, paid_on=day, line=None)
    name = world.maker.name("settlement")
    line = BankLine(
        account=account_of(currency),
        currency=currency,
        amount_minor=net_minor,
        booked_on=booked_on,
        description=name,
    )
    way = world.maker.rng.randrange(4)
    if way == 0:
        line.references = (row.transaction_id,)
    elif way == 1:
        line.references, line.end_to_end_id = (payout_id,), payout_id
    elif way == 2 and len(payout_id) > CUT_AT:
        # A bank cuts at the length of its field, or writes in capitals without marks.
        cut = world.maker.rng.random() < 0.5
        line.references = (payout_id[:CUT_AT] if cut else payout_id.upper().replace("_", ""),)
    else:
        line.references = (f"bank-{name}", payout_id)
    world.lines.append(line)
    return Payout(gateway=gateway, row=row, paid_on=day, line=line)


def add_other_lines(world: World) -> None:
    """Add rent, suppliers and deposits, which belong to no payout, on any day."""
    for currency in CURRENCIES:
        for day in world.days:
            for _ in range(world.maker.rng.randrange(2)):
                amount = world.maker.rng.choice((-1, 1)) * (world.maker.rng.randrange(1, 700))
                name = world.maker.name("other")
                line = BankLine(
                    account=account_of(currency), currency=currency, amount_minor=amount, booked_on=day,
                    description=name, references=(f"inv-{name}",),
                )  # fmt: skip
                world.lines.append(line)


def write_statements(world: World) -> None:
    """Derive a statement for each account and day, numbered from 1 in each year."""
    by_day: dict[tuple[str, date], list[BankLine]] = defaultdict(list)
    for line in world.lines:
        by_day[line.currency, line.booked_on].append(line)
    for currency in CURRENCIES:
        balance = world.maker.rng.randrange(10_000, 900_000)
        for day in world.days:
            lines = by_day[currency, day]
            closing = balance + sum(line.amount_minor for line in lines)
            # The bank makes one statement each calendar day.
            sequence = day.timetuple().tm_yday
            statement = BankStatement(
                statement_id=world.maker.name("stm"),
                account=account_of(currency),
                currency=currency,
                day=day,
                sequence=sequence,
                opening_minor=balance,
                closing_minor=closing,
                lines=lines,
            )
            world.statements.append(statement)
            balance = closing
