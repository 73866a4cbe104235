"""Gateways' events on a world whose clock tests own: they arrive, and their messages come when their delay is over."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.notices.kept import NoticeState, find_notice
from payonce.outbox import opened
from payonce.payments.payment_reads import get_balances, get_history
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline, Table
from tests.support.notices import bank_event, bank_headers, notice_application, post
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.payment import Payment
    from payonce.ports import QueueMessage
    from payonce.wiring.notices import NoticeApplication

EXECUTION_MS = 40_000


class DelayedQueue:
    """``MessageQueue`` that hands a message over when its delay is over by the world's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self.waiting: list[tuple[int, int, str]] = []

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        for message in messages:
            due_ms = self._world.clock.ms + 1000 * message.delay_seconds
            heapq.heappush(self.waiting, (due_ms, next(self._numbers), message.body))

    def take(self) -> str | None:
        """Return the next message that is due, ``None`` when none is."""
        if not self.waiting or self.waiting[0][0] > self._world.clock.ms:
            return None
        return heapq.heappop(self.waiting)[2]


@dataclass
class Stage:
    """A world that gateways post to."""

    world: World = field(default_factory=World)
    application: NoticeApplication = field(init=False)
    queue: DelayedQueue = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make the functions anew, as after a crash. What is queued stays."""
        waiting = self.queue.waiting if hasattr(self, "queue") else []
        self.queue = DelayedQueue(self.world)
        self.queue.waiting = waiting
        self.application = notice_application(
            clock=self.world.clock, database=self.world.database, gateway=self.world.gateway
        )
        self.application.notice_queue = self.queue  # type: ignore[misc]

    def post(self, reference: str | None = None, *, event_id: str | None = None, **data: Any) -> str:
        """Let the bank post an event about the operation with this reference; return the event's key."""
        identity = event_id or f"evt_{next(self._numbers)}"
        named = {} if reference is None else {"reference": reference, "payment_reference": reference}
        body = bank_event(event_id=identity, created_at_ms=self.world.clock.ms, **(named | data))
        headers = bank_headers(body, self.world.clock.ms, event_id=identity)
        assert post(self.application, body, headers, "bank") == 200
        return f"bank#{identity}"

    def apply(self) -> list[str]:
        """Apply what is due; return what has become of each."""
        outcomes = []
        while (body := self.queue.take()) is not None:
            outcomes.append(self.application.applier.handle(body, Deadline(self.world.clock.ms + EXECUTION_MS)))
        return outcomes

    def apply_all(self, until_ms: int) -> list[str]:
        """Apply everything, also what becomes due by ``until_ms``: time passes from one message to the next."""
        outcomes = self.apply()
        while self.queue.waiting and self.queue.waiting[0][0] <= until_ms:
            self.world.clock.ms = max(self.world.clock.ms, self.queue.waiting[0][0])
            outcomes += self.apply()
        return outcomes

    def state(self, key: str) -> NoticeState:
        """Return what has become of an event."""
        kept = find_notice(self.world.database, key)
        assert kept is not None
        return kept.state

    def payment(self, payment_id: str) -> Payment:
        """Return the payment as it is stored."""
        found = find_payment(self.world.database, MERCHANT, payment_id)
        assert found is not None
        return found

    def events(self, payment_id: str) -> list[str]:
        """Return the types of the payment's events. Each change has exactly one, and they are numbered in order."""
        entries = get_history(self.world.services, MERCHANT, payment_id)["data"]
        assert [entry["sequence"] for entry in entries] == list(range(1, self.payment(payment_id).version + 1))
        return [entry["type"] for entry in entries]

    def balances(self) -> dict[str, int]:
        """Return what each account holds. They add up to nothing, and so does each entry."""
        for item in self.world.database._tables[Table.OUTBOX].values():  # type: ignore[attr-defined]
            postings = opened(item)["told"].get("entry", {}).get("postings", [])
            assert sum(amount for _, amount in postings) == 0
        found = get_balances(self.world.services, MERCHANT)["data"]
        assert sum(line["balance_minor"] for line in found) == 0
        return {line["account"]: line["balance_minor"] for line in found if line["balance_minor"]}
