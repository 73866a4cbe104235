"""The bank's events in a race: posted while others are at work, and applied by production's own use case."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import Notice
from payonce.domain.gateway_address import parts_of
from payonce.notices.about import Finder
from payonce.notices.acceptance import Acceptance
from payonce.notices.applying import Applier
from payonce.notices.kept import NoticeState, find_notice, key_of
from payonce.notices.told import KeptNoticeBook
from payonce.payments.recovery_run import Recovery
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from payonce.ports import QueueMessage
    from tests.support.races import Race

EXECUTION_MS = 40_000
COPIES = 2  # a gateway that has no answer in time posts the event again


class RacingEvents:
    """Accepts and applies events about one race's payment. The queue hands its messages over at once, and out of order.

    What stays in the queue is applied after the race, as by a queue that keeps messages for days.
    """

    named = ("reference", "payment", "charge")

    def __init__(self, race: Race) -> None:
        self._race = race
        self._messages: list[str] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self.keys: list[str] = []
        world = race.world
        self._acceptance = Acceptance(database=world.database, queue=self, clock=world.clock)
        self._applier = Applier(
            services=world.services,
            store=world.store,
            finder=Finder(world.database, world.store),
            recover=Recovery(
                engine=world.engine, services=world.services, gateway_named=lambda _name: race.bank
            ).recover,
            gateway_named=lambda _name: race.bank,
            queue=self,
            book_at=lambda address: KeptNoticeBook(world.database, parts_of(address)),
        )

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        with self._lock:
            self._messages += [message.body for message in messages]

    def arrive(self, chance: Random) -> None:
        """Let an event about something that the bank has come, perhaps twice, and apply what is queued."""
        bank_object = chance.choice(self._race.bank.objects)
        payment = self._race.bank.objects[0]
        named = chance.choice(self.named)
        notice = Notice(
            notice_id=f"evt_{self._race.seed}_{next(self._numbers)}",
            type="something.happened",
            created_at_ms=self._race.world.clock.now_ms(),
            gateway_reference=bank_object.instruction.gateway_reference if named == "reference" else None,
            payment_id=payment.instruction.payment_id if named == "payment" else None,
            gateway_charge_id=payment.identity,
        )
        self.keys.append(key_of("bank", notice.notice_id))
        for _ in range(1 + chance.randrange(COPIES)):
            self._acceptance.accept("bank", [notice], b"{}")
        self.apply(chance)

    def apply(self, chance: Random) -> None:
        """Apply messages until none is left, each once: what has to come again stays for later."""
        with self._lock:
            taken, self._messages = self._messages, []
        chance.shuffle(taken)
        for body in taken:
            try:
                self._applier.handle(body, Deadline(self._race.world.clock.now_ms() + EXECUTION_MS))
            except PayonceError:
                self.send_again(body)

    def send_again(self, body: str) -> None:
        """Put a message back that was not handled."""
        with self._lock:
            self._messages.append(body)

    @property
    def rest(self) -> int:
        """Return how many messages are queued."""
        return len(self._messages)

    def states(self) -> set[NoticeState | None]:
        """Return what has become of the events."""
        found = [find_notice(self._race.world.database, key) for key in self.keys]
        return {None if notice is None else notice.state for notice in found}
