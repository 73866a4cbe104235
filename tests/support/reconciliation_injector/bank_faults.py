"""Faults between payouts and the bank. ``LINE_FAULTS`` come before the statements are written, the others after."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from payonce.reconciliation.model import Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.reconciliation_injector.calendars import business_day, day_of
from tests.support.reconciliation_injector.model import BankLine, Planted, RowName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.reconciliation_injector.model import BankStatement, Payout
    from tests.support.reconciliation_injector.world import World


EPOCH_DAY = date(1970, 1, 1).toordinal()


class Bank:
    """Hands out each payout and each stretch of statements once."""

    def __init__(self, world: World) -> None:
        self.world = world
        old = day_of(world.window.as_of_ms) - timedelta(days=world.settings.payout_sla_days + 6)
        self._payouts = [one for one in world.payouts if one.line is not None and one.paid_on < old]
        world.maker.rng.shuffle(self._payouts)
        self._taken: set[tuple[str, int]] = set()

    def payout(self) -> tuple[Payout, BankLine]:
        """Return a payout that the bank booked long ago."""
        payout = self._payouts.pop()
        assert payout.line is not None
        return payout, payout.line

    def statement(self, fits: Callable[[BankStatement], bool]) -> int:
        """Return the place of a statement that has its account's neighbours on both sides, all untouched."""
        statements = self.world.statements
        places = list(range(2, len(statements) - 2))
        self.world.maker.rng.shuffle(places)
        for place in places:
            near = statements[place - 2 : place + 3]
            names = {(one.account, one.day.toordinal()) for one in near}
            if len({one.account for one in near}) == 1 and not names & self._taken and fits(statements[place]):
                self._taken |= names
                return place
        raise LookupError("no statement is left")


def _name(line: BankLine) -> RowName:
    return RowName(Source.BANK, line.description)


def _row(payout: Payout) -> RowName:
    return RowName(Source.GATEWAY, f"{payout.gateway}|{payout.row.transaction_id}")


def _planted(break_class: BreakClass, payout: Payout, *lines: BankLine) -> Planted:
    rows = (_row(payout), *(_name(line) for line in lines))
    return Planted(break_class=break_class, subject=(payout.gateway, payout.row.payout_id or ""), rows=rows)


def _payout_missing(bank: Bank) -> Planted:
    payout, line = bank.payout()
    bank.world.lines.remove(line)
    return _planted(BreakClass.PAYOUT_MISSING, payout)


def _payout_different(bank: Bank) -> Planted:
    payout, line = bank.payout()
    off = bank.world.maker.rng.choice((-1, 1)) * bank.world.maker.rng.choice((1, 250))
    line.amount_minor += off
    if bank.world.maker.rng.random() < 0.3:  # the gateway states it so, too: then its own rows do not add up
        stated = payout.row.amount_minor - off
        payout.row = replace(payout.row, amount_minor=stated, net_minor=stated)
    return _planted(BreakClass.PAYOUT_DIFFERENT, payout, line)


def _again(bank: Bank, line: BankLine, sign: int) -> BankLine:
    later = business_day(line.booked_on + timedelta(days=bank.world.maker.rng.randrange(1, 3)))
    again = replace(
        line, booked_on=later, amount_minor=sign * line.amount_minor, description=bank.world.maker.name("again")
    )
    bank.world.lines.append(again)
    return again


def _duplicate_credit(bank: Bank) -> Planted:
    payout, line = bank.payout()
    again = _again(bank, line, 1)
    return Planted(break_class=BreakClass.DUPLICATE_CREDIT, subject=(payout.gateway,), rows=(_name(again),))


def _payout_returned(bank: Bank) -> Planted:
    payout, line = bank.payout()
    again = _again(bank, line, -1)
    return Planted(break_class=BreakClass.PAYOUT_RETURNED, subject=(payout.gateway,), rows=(_name(again),))


def _statement(break_class: BreakClass, statement: BankStatement) -> Planted:
    rows = (RowName(Source.STATEMENT, f"{statement.account}|{statement.day.toordinal() - EPOCH_DAY}"),)
    return Planted(break_class=break_class, subject=(statement.account,), rows=rows)


def _statement_gap(bank: Bank) -> Planted:
    """Lose a statement of a weekend, on which no payout was booked."""
    place = bank.statement(lambda one: one.day.weekday() >= 5 and (one.day.month, one.day.day) != (1, 1)
                           and (one.day.month, one.day.day) != (12, 31))  # fmt: skip
    del bank.world.statements[place]
    return _statement(BreakClass.STATEMENT_GAP, bank.world.statements[place])


def _balance_break(bank: Bank) -> Planted:
    """From one statement on, all of the account's balances are off by the same."""
    statements = bank.world.statements
    place = bank.statement(lambda one: one.sequence > 1)
    off = bank.world.maker.rng.choice((-1, 1, 70_000))
    for one in statements[place:]:
        if one.account == statements[place].account:
            one.opening_minor += off
            one.closing_minor += off
    return _statement(BreakClass.BALANCE_BREAK, statements[place])


def _statement_conflict(bank: Bank) -> Planted:
    """Send a statement again with a movement more; its neighbours go on from the first."""
    place = bank.statement(lambda _: True)
    first = bank.world.statements[place]
    amount = bank.world.maker.rng.choice((-1, 1)) * bank.world.maker.rng.randrange(1, 700)
    line = BankLine(
        account=first.account,
        currency=first.currency,
        amount_minor=amount,
        booked_on=first.day,
        description=bank.world.maker.name("more"),
    )
    again = replace(first, lines=[*first.lines, line], closing_minor=first.closing_minor + amount)
    bank.world.resent.append(again)
    return Planted(break_class=BreakClass.STATEMENT_CONFLICT, subject=(first.account,), rows=(_name(line),))


LINE_FAULTS: Mapping[BreakClass, Callable[[Bank], Planted]] = {
    BreakClass.PAYOUT_MISSING: _payout_missing,
    BreakClass.PAYOUT_DIFFERENT: _payout_different,
    BreakClass.DUPLICATE_CREDIT: _duplicate_credit,
    BreakClass.PAYOUT_RETURNED: _payout_returned,
}
STATEMENT_FAULTS: Mapping[BreakClass, Callable[[Bank], Planted]] = {
    BreakClass.STATEMENT_GAP: _statement_gap,
    BreakClass.BALANCE_BREAK: _balance_break,
    BreakClass.STATEMENT_CONFLICT: _statement_conflict,
}
