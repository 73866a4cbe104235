"""Rows that agree with each other, from a seed."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

from payonce.reconciliation.model import FeeRule, LedgerKind, LedgerRow, LedgerState
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from tests.support.reconciliation_injector.model import DAY_MS, HOUR_MS, Payment, Shape

if TYPE_CHECKING:
    from tests.support.reconciliation_injector.calendars import Window

# "plain" is the gateway whose report is payonce's own CSV: it has no payment ids and no presented amounts.
GATEWAYS = ("northpay", "southpay", "plain")
PLAIN = "plain"
CURRENCIES = {"EUR": 1, "USD": 1, "GBP": 1, "JPY": 1, "KWD": 10, "SEK": 10}  # and the scale of usual amounts
FEES = tuple(
    FeeRule(gateway=gateway, currency=currency, fixed_minor=25 * scale, basis_points=points)
    for gateway, points in zip(GATEWAYS, (140, 90, 175), strict=True)
    for currency, scale in CURRENCIES.items()
    if (gateway, currency) != ("southpay", "SEK")  # no schedule is agreed there: no fee is wrong
)
_FEE = {(rule.gateway, rule.currency): rule for rule in FEES}
SETTLES_AFTER_MS = 2 * DAY_MS


class Maker:
    """Makes ids, amounts, times and rows; equal seeds make equal ones."""

    def __init__(self, seed: int, window: Window) -> None:
        self.seed = seed
        self.window = window
        self.rng = random.Random(seed)
        self._numbers: dict[str, int] = defaultdict(int)
        self._amounts: set[tuple[str, str, int]] = set()

    def name(self, prefix: str) -> str:
        """Return a new id. Some are beginnings of others, such as po_7_1 of po_7_12."""
        self._numbers[prefix] += 1
        return f"{prefix}_{self.seed}_{self._numbers[prefix]}"

    def amount(self, gateway: str, currency: str) -> int:
        """Return an amount that no other payment of the gateway has: equal ones are made on purpose only."""
        while True:
            amount = self.rng.randrange(900, 250_000) * CURRENCIES[currency]
            if (gateway, currency, amount) not in self._amounts:
                self._amounts.add((gateway, currency, amount))
                return amount

    def moment(self) -> int:
        """Return an instant that is settled well before the end, one of twenty at a delicate one."""
        if self.rng.random() < 0.05:
            at = self.rng.choice(self.window.delicate)
            return int(at.timestamp()) * 1000
        return self.rng.randrange(self.window.start_ms, self.window.as_of_ms - 7 * DAY_MS)

    def fee(self, gateway: str, currency: str, amount_minor: int) -> int:
        """Return the agreed fee, sometimes with the minor unit more that rounding makes."""
        rule = _FEE.get((gateway, currency))
        if rule is None:
            return self.rng.randrange(1, 900)
        return rule.fixed_minor + amount_minor * rule.basis_points // 10_000 + self.rng.randrange(2)

    def payment(self, shape: Shape, gateway: str | None = None, currency: str | None = None) -> Payment:
        """Return a payment without rows."""
        chosen = gateway or self.rng.choice(GATEWAYS)
        return Payment(
            shape=shape,
            gateway=chosen,
            merchant_id=f"mer_{self.rng.randrange(12)}",
            payment_id=self.name("pay"),
            gateway_payment_id=None if chosen == PLAIN else self.name("gp"),
            payer=self.name("tok"),
            currency=currency or self.rng.choice(tuple(CURRENCIES)),
        )

    def posted(
        self, payment: Payment, amount_minor: int, at_ms: int, state: LedgerState = LedgerState.BOOKED
    ) -> LedgerRow:
        """Book a charge, or a refund where the amount is negative."""
        row = LedgerRow(
            entry_id=self.name("je"),
            merchant_id=payment.merchant_id,
            payment_id=payment.payment_id,
            gateway=payment.gateway,
            kind=LedgerKind.CHARGE if amount_minor > 0 else LedgerKind.REFUND,
            state=state,
            reference=self.name("ref"),
            amount_minor=amount_minor,
            currency=payment.currency,
            booked_at_ms=at_ms,
            gateway_payment_id=payment.gateway_payment_id,
            payer=payment.payer,
        )
        payment.ledger.append(row)
        return row

    def report(
        self,
        payment: Payment,
        reference: str | None,
        amount_minor: int,
        at_ms: int,
        *,
        kind: RowKind | None = None,
        currency: str | None = None,
    ) -> GatewayRow:
        """Let the gateway report a movement."""
        chosen = kind or (RowKind.CHARGE if amount_minor > 0 else RowKind.REFUND)
        settled_in = currency or payment.currency
        fee = self.fee(payment.gateway, settled_in, amount_minor) if chosen is RowKind.CHARGE else 0
        row = GatewayRow(
            row_number=0,
            transaction_id=self.name("txn"),
            reference=reference,
            kind=chosen,
            amount_minor=amount_minor,
            fee_minor=fee,
            net_minor=amount_minor - fee,
            currency=settled_in,
            created_at_ms=at_ms,
            available_at_ms=at_ms + SETTLES_AFTER_MS,
            gateway_payment_id=payment.gateway_payment_id,
        )
        payment.reported.append(row)
        return row

    def pair(self, payment: Payment, amount_minor: int, at_ms: int, *, referenced: bool = True) -> None:
        """Book a movement and report it, seconds apart in either order."""
        row = self.posted(payment, amount_minor, at_ms)
        later = at_ms + self.rng.randrange(-3_000, 20_000)
        self.report(payment, row.reference if referenced else None, amount_minor, later)

    def single(self, at_ms: int | None = None, *, referenced: bool = True, gateway: str | None = None) -> Payment:
        """Return a payment of one charge."""
        payment = self.payment(Shape.SINGLE, gateway)
        at = self.moment() if at_ms is None else at_ms
        self.pair(payment, self.amount(payment.gateway, payment.currency), at, referenced=referenced)
        return payment

    def refunded(self, parts: int = 1, *, all_of_it: bool = False, gateway: str | None = None) -> Payment:
        """Return a charge with refunds of a part of it, or of all of it."""
        payment = self.payment(Shape.REFUNDED if parts == 1 else Shape.OTHER, gateway)
        amount, at = self.amount(payment.gateway, payment.currency), self.moment()
        self.pair(payment, amount, at)
        first = self.rng.randrange(amount // 4, amount // 2)
        refunds = [first] if parts == 1 else [first, amount - first]
        for number, refund in enumerate([amount] if parts == 1 and all_of_it else refunds):
            self.pair(payment, -refund, at + (number + 1) * self.rng.randrange(HOUR_MS, 20 * HOUR_MS))
        return payment
