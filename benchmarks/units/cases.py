"""The cases that are metered, each with all that follows asynchronously, beside the stock stack's."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)

from benchmarks.units.shop import Shop, body_of
from benchmarks.units.stage import BANK
from benchmarks.units.stock import Stock, UnansweredError, add_stock
from benchmarks.units.tally import Tally, tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.units.stage import Stage

MAX_MINUTES = 30  # for recovery, and for the retries of a delivery
HOLD_MS = 6_000  # how long the gateway keeps the first of two equal requests waiting; the copy waits for one second
REFUSED_AT_FIRST = 503
IN_A_WINDOW = 25  # payments; with one, or with a thousand, it is the same two items


@dataclass
class Case:
    """One row: what was measured for payonce and for the stock stack (``None``: it has nothing of the kind)."""

    name: str
    ours: Tally
    stock: Tally | None = None
    goal: float | None = None
    goal_reads: float | None = None


@dataclass
class Cases:
    """Runs the cases on a stage. ``batch`` is how many records an invocation gets at most."""

    stage: Stage
    batch: int = 1

    def __post_init__(self) -> None:
        self.stock: Stock = add_stock(self.stage)
        self.shop = Shop(self.stage)
        self.idle = Tally()
        self._warm_up()

    def all(self) -> Iterator[Case]:
        """Run and yield every case."""
        fresh = self.fresh()
        yield fresh
        yield self.of_a_customer()
        yield self.authorized_and_captured()
        yield self.refunded()
        yield self.declined()
        yield self.in_doubt()
        yield from self.replayed_and_conflicting()
        yield self.waiting()
        yield self.delivered([], fresh)
        yield self.delivered([REFUSED_AT_FIRST], fresh)
        yield self.ten_seconds()
        yield Case("an idle minute of the stage", self.idle)

    def fresh(self) -> Case:
        """A payment of a merchant without webhooks."""
        merchant = self._merchant()
        with self._metered() as ours:
            payment = self.shop.pay(merchant)
            self.stage.drain(self.batch)
        return Case("fresh payment", ours, self._stock(payment), goal=14)

    def ten_seconds(self) -> Case:
        """What the overview's counts cost for the payments that a merchant made within a window, however many."""
        ours = self.window(IN_A_WINDOW, 1)
        return Case(f"{IN_A_WINDOW} payments of a merchant in 10 s, for the overview", ours, goal=2, goal_reads=0)

    def window(self, count: int, merchants: int) -> Tally:
        """Return what the overview's counts cost for ``count`` payments that a shard's window holds, all together."""
        names = [self._merchant() for _ in range(merchants)]
        self.stage.close_windows()
        self.stage.stands_at_ms = self.stage.now_ms() // 60_000 * 60_000 + 30_000  # all in one minute
        for number in range(count):
            self.shop.pay(names[number % merchants])
            self.stage.drain(self.batch)
        with self._metered(of_a_window=True) as ours:
            self.stage.close_windows()
        self.stage.stands_at_ms = None
        return ours

    def of_a_customer(self) -> Case:
        """A payment that names a customer: it is in the customer's list too, and its claim is larger."""
        merchant = self._merchant()
        with self._metered() as ours:
            payment = self.shop.pay(merchant, customer="cus_R4b7dQzX9fWm2K")
            self.stage.drain(self.batch)
        return Case("payment of a customer", ours, self._stock(payment))

    def authorized_and_captured(self) -> Case:
        """An authorization and its capture."""
        merchant = self._merchant()
        with self._metered() as ours:
            authorized = self.shop.pay(merchant, capture="manual")
            self.stage.drain(self.batch)
            self.shop.follow(merchant, authorized, "captures")
            self.stage.drain(self.batch)
        return Case("authorize and capture", ours, self._stock(authorized, authorized))

    def refunded(self) -> Case:
        """The full refund of a payment."""
        merchant = self._merchant()
        payment = self.shop.pay(merchant)
        self.stage.drain(self.batch)
        with self._metered() as ours:
            self.shop.follow(merchant, payment, "refunds")
            self.stage.drain(self.batch)
        return Case("refund", ours, self._stock(payment))

    def declined(self) -> Case:
        """A payment that the bank declines."""
        merchant = self._merchant()
        with self._metered() as ours:
            declined = self.shop.pay(merchant, expected=402, payment_method="pm_sandbox_declined")
            self.stage.drain(self.batch)
        return Case("decline", ours, self._stock(declined))

    def in_doubt(self) -> Case:
        """A payment whose answer was lost, settled by recovery; what the schedules cost anyway is left out."""
        merchant, minutes = self._merchant(), 0
        with self._metered() as ours:
            with self.stage.bank.misbehaving(BANK, "unavailable", kinds=["find"]):
                doubted = self.shop.pay(merchant, expected=202, payment_method="pm_sandbox_drop_after_booking")
            self.stage.drain(self.batch)
            while (status := self.shop.shown(doubted).get("status")) != "captured":
                assert minutes < MAX_MINUTES, f"recovery left it {status}"
                self.stage.minute(self.batch)
                minutes += 1
        with self._metered() as stock, suppress(UnansweredError):
            self.stock.serve(str(uuid.uuid4()), body_of(), None)
        return Case("in doubt, settled by recovery", ours.less(self.idle, minutes), stock)

    def replayed_and_conflicting(self) -> Iterator[Case]:
        """A replay, and the same key with another body."""
        merchant, key, body = self._merchant(), str(uuid.uuid4()), body_of()
        payment = self.shop.pay(merchant, key=key, body=body)
        other = {**body, "amount_minor": 100}
        self.stock.serve(key, body, payment)
        self.stage.drain(self.batch)
        with self._metered() as ours:
            self.shop.pay(merchant, key=key, body=body)
            self.stage.drain(self.batch)
        with self._metered() as stock:
            self.stock.serve(key, body, payment)
        yield Case("replay", ours, stock, goal=1, goal_reads=0)
        with self._metered() as ours:
            self.shop.pay(merchant, expected=422, key=key, body=other)
            self.stage.drain(self.batch)
        with self._metered() as stock, suppress(IdempotencyValidationError):
            self.stock.serve(key, other, payment)
        yield Case("conflict (422)", ours, stock)

    def waiting(self) -> Case:
        """A copy of a request in flight, which waits for a second in vain; the first one's units are left out."""
        merchant, key, body = self._merchant(), str(uuid.uuid4()), body_of()
        with self.stage.bank.misbehaving(BANK, "slow", times=1, delay_ms=HOLD_MS):
            first = Thread(target=self.shop.pay, args=(merchant,), kwargs={"key": key, "body": body})
            seen = len(self.stage.meter.requests)
            first.start()
            while len(self.stage.meter.requests) == seen:  # until it has claimed
                time.sleep(0.01)
            with self._metered() as ours:
                self.shop.pay(merchant, expected=409, key=key, body=body, headers={"Prefer": "wait=1"})
            assert first.is_alive(), "the first request ended before its copy: its units are in the copy's"
            first.join()
        self.stage.drain(self.batch)
        held = self._stock_in_flight()
        return Case("wait (409)", ours, held)

    def delivered(self, script: list[int], fresh: Case) -> Case:
        """A payment with one webhook, less the same payment without: what the webhook adds."""
        merchant = self._merchant()
        self.shop.subscribe(merchant)
        self.stage.receiver.script, self.stage.receiver.answered = list(script), []
        minutes = 0
        with self._metered() as ours:
            self.shop.pay(merchant)
            self.stage.drain(self.batch)
            while self.stage.receiver.answered[-1:] != [204]:
                assert minutes < MAX_MINUTES, f"the receiver has answered {self.stage.receiver.answered} only"
                self.stage.minute(self.batch)
                minutes += 1
        assert self.stage.receiver.answered == [*script, 204]
        name = "webhook delivery, failed once" if script else "webhook delivery"
        return Case(name, ours.less(self.idle, minutes).less(fresh.ours), goal=None if script else 4)

    def many(self, count: int, merchants: int, *, webhook: bool) -> Tally:
        """Return what one of ``count`` payments cost that were made before the first batch was taken."""
        names = [self._merchant() for _ in range(merchants)]
        if webhook:
            for name in names:
                self.shop.subscribe(name)
        self.stage.receiver.script = []
        with self._metered() as ours:
            for number in range(count):
                self.shop.pay(names[number % merchants])
            self.stage.drain(self.batch)
        return ours.divided(count)

    def _merchant(self) -> str:
        """Return a merchant that has paid before: what its first payment writes once is nobody's cost."""
        merchant = self.shop.ids.new("mer")
        self.shop.pay(merchant)
        self.stage.drain()
        return merchant

    def _warm_up(self) -> None:
        """Open connections, read what is read once, and see what a minute costs in which nothing happens."""
        merchant = self._merchant()
        self.shop.subscribe(merchant)
        self.shop.pay(merchant)
        self.stage.drain()
        self.stage.minute()
        with self._metered() as self.idle:
            self.stage.minute()

    def _stock(self, *payments: dict[str, Any]) -> Tally:
        shown = [self.shop.shown(payment) for payment in payments]
        with self._metered() as stock:
            for payment in shown:
                self.stock.serve(str(uuid.uuid4()), body_of(), payment)
        return stock

    def _stock_in_flight(self) -> Tally:
        """Return what a copy costs that meets its first request in the stock stack: made from within its handler."""
        key, body = str(uuid.uuid4()), body_of()
        counted = Tally()

        def copy() -> None:
            nonlocal counted
            with self._metered() as counted, suppress(IdempotencyAlreadyInProgressError):
                self.stock.serve(key, body, None)

        self.stock.serve(
            key, body, {"id": self.shop.ids.new("pay"), "merchant_id": "m", "created_at_ms": 1}, during=copy
        )
        return counted

    @contextmanager
    def _metered(self, *, of_a_window: bool = False) -> Iterator[Tally]:
        """Yield a tally that has, at the end, what was charged meanwhile."""
        made = Tally()
        if not of_a_window:
            self.stage.close_windows()  # of what was made before
        first = len(self.stage.meter.requests)
        calls, invocations = self.stage.services.calls.copy(), self.stage.invocations.copy()
        gb_ms = self.stage.gb_ms.copy()
        yield made
        found = tally(self.stage.meter.requests[first:])
        made.write, made.read = found.write, found.read
        made.calls.update(self.stage.services.calls - calls)
        made.invocations.update(self.stage.invocations - invocations)
        made.gb_ms.update({name: ms - gb_ms.get(name, 0) for name, ms in self.stage.gb_ms.items()})
