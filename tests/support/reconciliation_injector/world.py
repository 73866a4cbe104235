"""The clean world: payments that both sides hold alike, and their way to the bank."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from payonce.reconciliation.model import RunSettings
from tests.support.reconciliation_injector.calendars import WINDOW_DAYS, WINDOWS
from tests.support.reconciliation_injector.converted import converted_days
from tests.support.reconciliation_injector.maker import CURRENCIES, FEES, Maker
from tests.support.reconciliation_injector.model import HOUR_MS, BankStatement, Payment, Payout, Shape
from tests.support.reconciliation_injector.near_misses import near_misses

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.reconciliation_injector.model import BankLine


class World:
    """Payments, and the payouts and bank lines that ``settlement`` derives from them."""

    def __init__(self, seed: int, per_class: int) -> None:
        self.window = WINDOWS[seed % len(WINDOWS)]
        self.maker = Maker(seed, self.window)
        self.settings = RunSettings(as_of_ms=self.window.as_of_ms, fees=FEES)
        self.payments: list[Payment] = []
        self.payouts: list[Payout] = []
        self.lines: list[BankLine] = []
        self.statements: list[BankStatement] = []
        self.resent: list[BankStatement] = []
        self._free: list[Payment] = []
        self._populate(per_class)

    @property
    def days(self) -> list[date]:
        """The days of the window."""
        return [self.window.start + timedelta(days=number) for number in range(WINDOW_DAYS)]

    def take(self, shape: Shape, fits: Callable[[Payment], bool] = lambda _: True) -> Payment:
        """Return a payment that no fault has touched, and never again. Raises ``LookupError`` where none is left."""
        for index, payment in enumerate(self._free):
            if payment.shape is shape and fits(payment):
                return self._free.pop(index)
        raise LookupError(f"no {shape} is left; make more of them")

    def add(self, payment: Payment) -> None:
        """Add a payment that no fault may touch."""
        self.payments.append(payment)

    def _populate(self, per_class: int) -> None:
        maker = self.maker
        self._free += [maker.single() for _ in range(20 * per_class + 12)]
        self._free += [maker.refunded() for _ in range(11 * per_class + 12)]
        self._free += [self._captures() for _ in range(2 * per_class + 6)]
        days = list(converted_days(maker, per_class + 3))
        self._free += [day[0] for day in days]  # of each day one, so that no day's median is moved
        maker.rng.shuffle(self._free)
        self.payments += self._free
        self.payments += [payment for day in days for payment in day[1:]]
        self.payments += near_misses(maker, self.settings, max(2, per_class // 4))

    def _captures(self) -> Payment:
        maker = self.maker
        payment = maker.payment(Shape.CAPTURES)
        at = maker.moment()
        for _ in range(maker.rng.randrange(2, 4)):
            maker.pair(payment, maker.amount(payment.gateway, payment.currency), at)
            at += maker.rng.randrange(HOUR_MS, 12 * HOUR_MS)
        return payment


def account_of(currency: str) -> str:
    """Return the bank account for a currency."""
    return f"NL{10 + sorted(CURRENCIES).index(currency)}BANK00000000{sorted(CURRENCIES).index(currency):02}"
