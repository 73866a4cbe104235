"""One cell of the matrix: one payment, one strike, and what must be true afterwards."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from histories.deployed.points import BANK, CREATE, SUBMIT
from histories.deployed.proxy import Strike
from histories.deployed.wire import Fault, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from histories.deployed.points import Asks, Point
    from histories.deployed.wire import Seen
    from histories.deployed.world import Deployed, Shop
    from tests.support.http import Answer

AMOUNT_MINOR = 1050
PAUSE_SECONDS = 0.5  # of a client, before it asks again
CAPTURED = "payment.captured"
LASTS_SECONDS = 6.0  # longer than the clients of AWS repeat a request
# A door is shut until the client was answered, or for the time after which the next function has begun for sure, on a
# busy machine too: a stream or a queue lies in between.
SHUT_UNTIL_ANSWERED_SECONDS, SHUT_SECONDS = 60.0, 10.0
STRUCK_SECONDS = 150.0  # recovery looks once a minute for what is due
ANSWERED_SECONDS = 240.0
DELIVERED_SECONDS = 420.0  # a message that was not handled comes again after 180 s, a lost one is found by the schedule
FINAL = frozenset({201, 402})


@dataclass(frozen=True, slots=True)
class Cell:
    """A point, a fault, and whether it strikes once or goes on for some seconds."""

    point: Point
    fault: Fault
    is_lasting: bool = False

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.point.name}: {self.fault.value}" + (", lasting" if self.is_lasting else "")

    @property
    def is_apart(self) -> bool:
        """Whether its strike can hit another payment's request, so that no other cell may be struck meanwhile."""
        return self.fault is Fault.REFUSED or not self.point.asks.is_marked


@dataclass(slots=True)
class Played:
    """What became of a cell. ``answers`` are what the client was told, in order; ``broken`` says which promises."""

    cell: Cell
    answers: list[str] = field(default_factory=list)
    copies: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


def play(world: Deployed, cell: Cell, alone: threading.Lock) -> Played:
    """Make a payment, strike, let the client ask until it knows, and judge. ``alone``: see ``Cell.is_apart``."""
    began = time.monotonic()
    payment = Payment(world.shop(), Played(cell))
    if cell.is_apart:
        with alone:
            payment.be_struck()
    else:
        payment.be_struck()
    payment.conclude()
    payment.played.seconds = time.monotonic() - began
    return payment.played


@dataclass(slots=True)
class Payment:
    """A payment and its client, which repeats its request with the same key until it has a final answer."""

    shop: Shop
    played: Played
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = field(default_factory=lambda: f"pm_{uuid.uuid4().hex}")
    payment_id: str = ""
    final: Answer | None = None
    strike: Strike | None = None

    def be_struck(self) -> None:
        """Send the payment, and return when the strike is over."""
        cell, proxy = self.played.cell, self.shop.world.proxy
        if cell.point.in_doubt:
            lost = Strike(Fault.RESET_BEFORE, self._ours(SUBMIT))
            proxy.arm(lost)
            self._ask_until_in_doubt()
            proxy.disarm(lost)
        if cell.point.is_cold:
            self.shop.world.renew(cell.point.asks.door)
        self.strike = strike = self._strike()
        proxy.arm(strike)
        client = threading.Thread(target=self._ask_until_final, daemon=True)
        if not cell.point.in_doubt:
            client.start()
        try:
            self._await_end(strike)
        finally:
            proxy.disarm(strike)
        if not cell.point.in_doubt:
            client.join()

    def conclude(self) -> None:
        """Wait for the final answer and the webhook, and judge them by the bank's books and by what is stored."""
        if self.final is None and self.played.cell.point.in_doubt:
            self._await_recovery()
            self._ask_until_final()
        broken = self.played.broken
        if self.final is None:
            broken.append("no final answer")
            return
        ends = time.monotonic() + DELIVERED_SECONDS
        while not self.shop.delivered(CAPTURED) and time.monotonic() < ends:
            time.sleep(PAUSE_SECONDS)
        self._judge(self.final)

    def _strike(self) -> Strike:
        cell = self.played.cell
        point = cell.point
        if cell.fault is Fault.REFUSED:
            after = point.after
            return Strike(
                cell.fault,
                point.asks.is_asked,
                lasts_seconds=SHUT_UNTIL_ANSWERED_SECONDS if self._is_answered_meanwhile() else SHUT_SECONDS,
                door=point.asks.door,
                precedes=None if after is None else self._ours(after),
            )
        lasts = LASTS_SECONDS if cell.is_lasting else 0.0
        return Strike(cell.fault, self._ours(point.asks), lasts_seconds=lasts, passes=point.passes)

    def _is_answered_meanwhile(self) -> bool:
        """Return whether the client waits for what is struck."""
        point = self.played.cell.point
        return point.asks.door in (CREATE, BANK) and not point.in_doubt

    def _ours(self, asks: Asks) -> Callable[[Seen], bool]:
        """Return whether a request is of this kind, and about this payment where that can be told."""

        def is_ours(seen: Seen) -> bool:
            marks = [mark for mark in (self.shop.merchant_id, self.shop.path, self.token, self.payment_id) if mark]
            named = not asks.is_marked or any(mark in seen.text or mark in seen.action for mark in marks)
            return named and asks.is_asked(seen)

        return is_ours

    def _await_end(self, strike: Strike) -> None:
        """Return when the strike is over. A payment that was never struck proves nothing."""
        gives_up = time.monotonic() + STRUCK_SECONDS
        while not strike.count:
            if time.monotonic() > gives_up:
                self.played.broken.append("it was not struck")
                return
            time.sleep(0.02)
        strike.open_again.wait(strike.lasts_seconds)

    def _ask(self) -> Answer | None:
        """Send the payment once; note what the client is told, and whether a refusal is true."""
        body = {"amount_minor": AMOUNT_MINOR, "currency": "EUR", "payment_method": self.token}
        try:
            answer = self.shop.send("POST", "/payments", body, key=self.key)
        except (OSError, HTTPException):
            self.played.answers.append("no answer")
            return None
        if self.strike is not None and self._is_answered_meanwhile():
            self.strike.open_again.set()
        refused = all(told.startswith("503") for told in self.played.answers) and answer.status == 503
        self.played.answers.append(f"{answer.status}{slug_of(answer)}")
        if refused and self._charges():
            self.played.broken.append("503 says that nothing was executed, and the bank has a charge")
        if answer.status in (201, 202):
            self.payment_id = answer.json()["id"]
        return answer

    def _ask_until_in_doubt(self) -> None:
        ends = time.monotonic() + ANSWERED_SECONDS
        while not self.payment_id and time.monotonic() < ends:
            self._ask()
            time.sleep(PAUSE_SECONDS)

    def _ask_until_final(self) -> None:
        ends = time.monotonic() + ANSWERED_SECONDS
        while time.monotonic() < ends:
            answer = self._ask()
            if answer is not None and answer.status in FINAL:
                self.final = answer
                return
            time.sleep(PAUSE_SECONDS)

    def _await_recovery(self) -> None:
        """Wait until recovery has concluded, with nobody asking for the payment."""
        ends = time.monotonic() + ANSWERED_SECONDS
        while self._stored()["status"] == "in_doubt":
            if time.monotonic() > ends:
                self.played.broken.append("nobody asked, and recovery did not conclude")
                return
            time.sleep(PAUSE_SECONDS)

    def _charges(self) -> int:
        return len(self.shop.world.stack.bank.charges(payment_method=self.token))

    def _judge(self, final: Answer) -> None:
        """Compare the final answer with the bank's books, with what is stored, and with the webhook."""
        shop, told, charges = self.shop, final.json(), self._charges()
        if final.status != 201 or told["status"] != "captured":
            self.played.broken.append(f"the final answer is {final.status} {told.get('status', '')}")
        found = {
            "charges at the bank": (charges, 1),
            "the payment as stored": (self._stored()["status"], "captured"),
            "the webhook is delivered": (shop.delivered(CAPTURED), True),
            "what its history says of a charge": (self._history().count(CAPTURED), 1),
            "the journal": (self._journal(), {"sum": 0, "receivable": AMOUNT_MINOR}),
        }
        told_before = list(self.played.answers)
        self._ask_until_final()
        self.played.answers = told_before  # other cells' strikes may meet the replay
        found["the replay"] = (self.final and self.final.body, final.body)
        came = [(one.headers["webhook-id"], one.body) for one in shop.received(CAPTURED)]
        self.played.copies = len(came)
        found["webhooks by id and bytes"] = (len(set(came)), 1)
        for what, (is_so, should_be) in found.items():
            if is_so != should_be:
                self.played.broken.append(f"{what}: {is_so!r}, not {should_be!r}")

    def _stored(self) -> Any:
        return self.shop.known("get_payment", path={"payment_id": self.payment_id})

    def _history(self) -> list[str]:
        entries = self.shop.known("get_payment_history", path={"payment_id": self.payment_id})["data"]
        return [entry["type"] for entry in entries]

    def _journal(self) -> dict[str, int]:
        lines = self.shop.known("get_balances")["data"]
        receivable = [one["balance_minor"] for one in lines if one["account"].startswith("gateway_receivable:")]
        return {"sum": sum(one["balance_minor"] for one in lines), "receivable": sum(receivable)}
