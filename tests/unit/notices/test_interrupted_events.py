"""Events about a captured or authorized payment, interrupted at every call: by more events, requests, deaths, time.

A seed is one interleaving and always the same one: whoever reads or writes the database, or asks the gateway, may be
interrupted there by something else that runs to its end, itself interrupted. At the end our payment and the balances
are the gateway's, each operation was executed once, and the last event is applied.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import CaptureMethod, DisputeStatus, OperationKind
from payonce.notices.kept import NoticeState
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.disputes import dispute
from tests.support.notice_stage import EXECUTION_MS, Stage
from tests.support.world import FORGETFUL, ManualClock, World

if TYPE_CHECKING:
    from collections.abc import Callable

S, K = DisputeStatus, OperationKind
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
PAUSES_MS = (100, 31_000, 61_000, HOUR_MS, DAY_MS)
STEPS, BURST, DEPTH = 10, 5, 2
DIES = 0.015
REDELIVERED_MS = 61_000
SEEDS, SEEDS_OF_A_TEST = 200, 20


class Killed(BaseException):
    """The process ends here."""


class Interrupted:
    """A port whose calls are interrupted, before and after."""

    def __init__(self, port: Any, names: frozenset[str], interrupt: Callable[[str], None]) -> None:
        self.port, self._names, self._interrupt = port, names, interrupt

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.port, name)
        if name not in self._names:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._interrupt(f"before {name}")
            result = found(*arguments, **named)
            self._interrupt(f"after {name}")
            return result

        return call


class Turmoil:
    """One seed's payment, and everybody who does something about it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.often = (0.03, 0.06, 0.12)[seed % 3]
        self.points: list[str] = []
        self.mortal, self.calm = False, True
        self.manual, self.multiple = self.chance.random() < 0.5, self.chance.random() < 0.5
        calls = frozenset({"get", "get_many", "query", "write"})
        world = World(clock=ManualClock(), database=Interrupted(MemoryDatabase(), calls, self.interrupt))  # type: ignore[arg-type]
        self.bank = world.gateway
        self.bank.capabilities = replace(FORGETFUL, multiple_captures=self.multiple)
        asked = frozenset({"submit", "find", "read_charge"})
        world.gateway = Interrupted(self.bank, asked, self.interrupt)  # type: ignore[assignment]
        self.world, self.stage = world, Stage(world=world)
        capture = CaptureMethod.MANUAL if self.manual else CaptureMethod.AUTOMATIC
        self.payment_id: str = json.loads(world.create(capture=capture).response.body)["id"]
        self.posted: list[str] = []
        self.keys = 0
        self.calm = False

    def interrupt(self, point: str) -> None:
        """Let something else happen, or this process end."""
        if self.calm or len(self.points) >= DEPTH:
            return
        if self.mortal and self.chance.random() < DIES:
            raise Killed
        if self.chance.random() < self.often:
            self.points.append(point)
            try:
                for _ in range(self.chance.randrange(1, BURST)):
                    self.step()
            finally:
                self.points.pop()

    def alone(self, act: Callable[[], Any], *, mortal: bool) -> None:
        """Do something in a process of its own, which may end in the middle."""
        before, self.mortal = self.mortal, mortal
        try:
            with suppress(PayonceError, Killed):
                act()
        finally:
            self.mortal = before

    def moved(self, kind: OperationKind) -> int:
        """Return what the bank has executed of a kind."""
        return sum(booking.instruction.money.amount_minor for booking in self.bank.succeeded(kind))

    def captured(self) -> int:
        """Return what the bank has captured."""
        return self.moved(K.CAPTURE) if self.manual else 1000

    def left(self) -> int:
        """Return what the bank would still give back."""
        withdrawn = sum(each.withdrawn_minor for each in self.bank.disputes)
        return self.captured() - self.moved(K.REFUND) - self.bank.reversed_minor - withdrawn

    # What happens.

    def step(self) -> None:
        """Let somebody do something."""
        acts: list[Callable[[int], None]] = [
            self.refund,
            self.refund,
            self.refund_elsewhere,
            self.reverse,
            self.dispute,
            *[self.decide] * 2,
            *[self.post] * 2,
            *[self.apply] * 4,
            self.pass_time,
            self.go_silent,
        ]
        if self.manual:
            acts += [self.capture, self.capture_elsewhere, self.void_elsewhere]
        self.chance.choice(acts)(self.chance.randrange(1, 700))

    def _ours(self, kind: OperationKind, amount_minor: int) -> None:
        self.keys += 1
        key, words = f"key-{self.keys}", ["ok", "ok", "booked_lost", "lost", "never", "decline"]
        self.bank.script = [self.chance.choice(words)]
        self.alone(lambda: self.world.follow_up(kind, self.payment_id, key, amount_minor), mortal=True)
        self.bank.script = []
        self.post(0)

    def refund(self, amount_minor: int) -> None:
        """The merchant refunds."""
        self._ours(K.REFUND, amount_minor)

    def capture(self, amount_minor: int) -> None:
        """The merchant captures."""
        self._ours(K.CAPTURE, amount_minor)

    def refund_elsewhere(self, amount_minor: int) -> None:
        """Somebody refunds in the dashboard."""
        if self.left() > 0:
            self.bank.elsewhere(K.REFUND, min(amount_minor, self.left()))
            self.post(0)

    def capture_elsewhere(self, amount_minor: int) -> None:
        """Somebody captures in the dashboard."""
        captured = self.moved(K.CAPTURE)
        if captured < 1000 and not self.moved(K.VOID) and (self.multiple or not captured):
            self.bank.elsewhere(K.CAPTURE, min(amount_minor, 1000 - captured))
            self.post(0)

    def void_elsewhere(self, _amount_minor: int) -> None:
        """Somebody cancels in the dashboard."""
        if not (self.moved(K.CAPTURE) or self.moved(K.VOID)):
            self.bank.elsewhere(K.VOID, 1000)
            self.post(0)

    def reverse(self, amount_minor: int) -> None:
        """The payer's bank takes something back of what was captured."""
        if self.left() > 0:
            self.bank.reversed_minor += min(amount_minor, self.left())
            self.post(0)

    def dispute(self, amount_minor: int) -> None:
        """The payer disputes something of what was captured."""
        if (most := self.left()) > 0:
            amount_minor, name = min(amount_minor, most), f"dp_{len(self.bank.disputes)}"
            opened = dispute(S.EVIDENCE_DUE, amount_minor, amount_minor=amount_minor, name=name)
            self.bank.disputes += (opened,)
            self.post(0)

    def decide(self, _amount_minor: int) -> None:
        """A dispute goes on."""
        open_ones = [each for each in self.bank.disputes if each.status not in {S.WON, S.LOST}]
        if open_ones:
            chosen, status = self.chance.choice(open_ones), self.chance.choice([S.UNDER_REVIEW, S.WON, S.LOST])
            withdrawn = 0 if status is S.WON else chosen.withdrawn_minor
            after = replace(chosen, status=status, withdrawn_minor=withdrawn, evidence_due_at_ms=None)
            self.bank.disputes = tuple(after if each is chosen else each for each in self.bank.disputes)
            self.post(0)

    def post(self, _amount_minor: int) -> None:
        """An event is posted: the newest, or an older one again."""
        self.posted.append(f"evt_{len(self.posted)}")
        event_id = self.chance.choice(self.posted)
        self.alone(lambda: self.stage.post(f"{self.payment_id}-1", event_id=event_id), mortal=False)

    def apply(self, _amount_minor: int) -> None:
        """A message is applied. It comes again later, as after a death; a queue delivers at least once."""
        body = self.stage.queue.take()
        if body is not None:
            again = (self.world.clock.ms + REDELIVERED_MS, -len(self.posted), body)
            deadline = Deadline(self.world.clock.ms + EXECUTION_MS)
            heapq.heappush(self.stage.queue.waiting, again)
            self.alone(lambda: self.stage.application.applier.handle(body, deadline), mortal=True)

    def pass_time(self, _amount_minor: int) -> None:
        """Time passes, and the schedule recovers. No gateway is asked after a deadline, so not before a submission."""
        if "before submit" not in self.points:
            self.world.clock.ms += self.chance.choice(PAUSES_MS)
            self.alone(self.world.recover, mortal=False)

    def go_silent(self, _amount_minor: int) -> None:
        """The bank answers no questions for a while, or again."""
        self.bank.lookup_fails = not self.bank.lookup_fails and self.chance.random() < 0.5

    # The end.

    def run(self) -> None:
        """Let it all happen, and end."""
        for _ in range(STEPS):
            self.step()
        self.calm, self.bank.lookup_fails = True, False
        for pause_ms in (*[HOUR_MS] * 6, DAY_MS):
            self.world.clock.ms += pause_ms
            self.world.recover()
            self.stage.apply_all(self.world.clock.ms + 1000)
        last = self.stage.post(f"{self.payment_id}-1", event_id="evt_last")
        self.stage.apply_all(self.world.clock.ms + 9 * HOUR_MS)
        assert self.stage.state(last) is NoticeState.APPLIED
        self.check()

    def check(self) -> None:
        """Compare with the bank."""
        references = Counter(booking.instruction.gateway_reference for booking in self.bank.succeeded())
        assert set(references.values()) == {1}
        lost = sum(each.withdrawn_minor for each in self.bank.disputes if each.status is S.LOST)
        held = sum(each.withdrawn_minor for each in self.bank.disputes if each.status is not S.LOST)
        payment = self.stage.payment(self.payment_id)
        assert (payment.captured_minor, payment.refunded_minor) == (self.captured(), self.moved(K.REFUND))
        assert (payment.reversed_minor, payment.disputed_minor) == (self.bank.reversed_minor, lost + held)
        assert payment.refundable_minor == self.left()
        balances = self.stage.balances()
        assert balances.get("gateway_receivable:bank", 0) == self.left()
        assert balances.get("gateway_disputed:bank", 0) == held
        types = Counter(self.stage.events(self.payment_id))
        assert types["dispute.opened"] == len(self.bank.disputes)
        for status in (S.WON, S.LOST):
            assert types[f"dispute.{status.value}"] == sum(each.status is status for each in self.bank.disputes)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_OF_A_TEST))
def test_events_interrupted_anywhere_book_what_the_gateway_did(first: int) -> None:
    """A failure names its seed."""
    failed: dict[int, str] = {}
    for seed in range(first, first + SEEDS_OF_A_TEST):
        try:
            Turmoil(seed).run()
        except Exception as error:
            failed[seed] = repr(error)
    assert failed == {}
