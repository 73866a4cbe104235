"""One cell's world: the real application on DynamoDB Local behind the proxy, a bank with books, a clock of its own.

The tables are made once and emptied after each cell, so that a cell can look at all that is stored.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import NeverSent, OperationKind, Succeeded
from payonce.domain.ids import UlidSource
from payonce.idempotency.claim_recovery import RUN_INTERVAL_MS
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.observability import get_logger
from payonce.ports import Deadline, Table
from payonce.stores.dynamodb_requests import from_attributes
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.contract.faults.servers import wipe
from tests.support.events import call
from tests.support.recovery import recover
from tests.support.world import CAPABILITIES, LATE_VISIBLE_MS, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.ports import Item
    from payonce.stores.dynamodb import DynamoDatabase
    from tests.contract.faults.servers import Servers

MERCHANT = "mer_faults"
KEY = "key-of-the-client"
LEASE_JUST_OVER_MS = 31_000  # a request's 25 s, the lease's margin of 5 s, and one more
# One recovery run after another, a minute and more apart. The hour in which a payment may still be sent is not over.
SETTLING_MS = (LEASE_JUST_OVER_MS, 60_000, 120_000, 300_000, 900_000, 900_000)
ALL_SHARDS_MS = RUN_INTERVAL_MS * OPEN_LEASE_SHARDS
ID_TIME_MS = 1_800_000_000_000
SETTLED_TABLES = (Table.IDEMPOTENCY, Table.PAYMENTS, Table.LEDGER, Table.OUTBOX)


class Killed(BaseException):
    """The process is gone. Nothing in it runs any more, so it is no ``Exception``."""


@dataclass(slots=True)
class Answer:
    """What the client gets. ``slug`` is the problem's type, empty for what is no problem."""

    status: int
    body: str
    headers: dict[str, str]
    slug: str
    detail: str

    @property
    def name(self) -> str:
        """The class of the answer."""
        return f"{self.status} {self.slug}".strip()

    @property
    def final(self) -> bool:
        """Whether a client stops here."""
        return self.status in {200, 201, 402}

    def same(self) -> tuple[int, str, str]:
        """What a replay repeats."""
        return self.status, self.body, self.headers.get("Idempotency-Expires", "")


class Bank(ScriptedGateway):
    """The scripted gateway; as the real adapters, it sends nothing when the deadline is over. ``dies`` kills there."""

    dies: str = ""
    victim: Mortal | None = None

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        if self.clock.now_ms() > deadline.at_ms:
            return NeverSent("no time is left")
        dies, self.dies = self.dies, ""
        if dies == "before":
            self._kill()
        outcome = super().submit(instruction, deadline)
        if dies == "after":
            self._kill()
        return outcome

    def _kill(self) -> None:
        if self.victim is not None:
            self.victim.dead = True
        raise Killed


class Mortal:
    """The database of a process that may be killed: afterwards nothing of it reaches DynamoDB."""

    def __init__(self, inner: DynamoDatabase) -> None:
        self._inner = inner
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise Killed
        return getattr(self._inner, name)


class ErrorLog(logging.Handler):
    """Keeps what was logged as an error: what nobody had foreseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See ``Handler``."""
        error = record.exc_info[1] if record.exc_info else getattr(record, "error", "")
        self.lines.append(f"{record.getMessage()}: {error!r}")


@dataclass
class Stage:
    """A cell: what a client does, what recovery does, and what is stored."""

    servers: Servers
    bank_name: str
    hasty: bool = False
    bank: Bank = field(init=False)
    log: ErrorLog = field(default_factory=ErrorLog)
    payment_id: str = ""

    def __post_init__(self) -> None:
        self.clock = self.servers.clock
        numbers = itertools.count(1)
        # The shard of a claim is a function of its id, and recovery reads the shards in turn: with the same ids a cell
        # makes the same requests as the run without faults.
        self.ids = UlidSource(lambda: ID_TIME_MS, lambda size: next(numbers).to_bytes(size, "big"))
        self.bank = Bank(
            self.clock,
            capabilities=CAPABILITIES[self.bank_name],
            visible_after_ms=LATE_VISIBLE_MS if self.bank_name == "late" else 0,
        )

    def application(self, database: Any = None) -> Application:
        """Return a fresh process."""
        database = database or (self.servers.hasty if self.hasty else self.servers.patient)
        application = Application(load_settings({}), clock=self.clock, database=database, gateways={"bank": self.bank})
        application.ids = self.ids
        return application

    def ask(self, operation: str, body: Any, *, key: str = KEY, application: Application | None = None) -> Answer:
        """Send a client's request to a fresh process."""
        given = call(
            application or self.application(),
            operation,
            body,
            key=key,
            headers={"Prefer": "wait=0"},
            path={"payment_id": self.payment_id} if self.payment_id else None,
            merchant_id=MERCHANT,
        )
        document = json.loads(given["body"])
        slug = str(document.get("type", "")).rsplit(":", 1)[-1]
        return Answer(given["statusCode"], given["body"], given["headers"], slug, str(document.get("detail", "")))

    def die(self, operation: str, body: Any, *, when: str, key: str = KEY) -> None:
        """Have a process killed before or after it has sent to the bank."""
        database = Mortal(self.servers.direct)
        self.bank.dies, self.bank.victim = when, database
        try:
            self.ask(operation, body, key=key, application=self.application(database))
        except Killed:
            return
        raise AssertionError("nobody died")

    def recover(self, *, database: Any = None) -> Any:
        """Run recovery once."""
        application = self.application(database)
        return recover(application, run_ms=300_000)

    def pass_time(self, milliseconds: int) -> None:
        """Move the clock."""
        self.clock.ms += milliseconds

    def executed(self, kind: OperationKind) -> int:
        """Return how often the bank did it."""
        return len(self.bank.succeeded(kind))

    def owed_minor(self) -> int:
        """Return what the bank owes by its own books."""
        total = 0
        for booking in self.bank.bookings:
            if isinstance(booking.outcome, Succeeded):
                total += _sign(booking.instruction) * booking.instruction.money.amount_minor
        return total

    def stored(self, table: Table) -> list[Item]:
        """Return every item of a table. Over HTTP, binary attributes are base64 text."""
        items = self.servers.tables.scan(self.servers.names[table])
        return [
            from_attributes(
                {name: {"B": base64.b64decode(value["B"])} if "B" in value else value for name, value in item.items()}
            )
            for item in items
        ]

    def open_claims(self) -> list[Item]:
        """Return the claims that are not concluded."""
        return [item for item in self.stored(Table.IDEMPOTENCY) if item["status"] != "COMPLETED"]


def _sign(instruction: Instruction) -> int:
    """Return +1 where money comes, -1 where it goes back, 0 where it is only held."""
    if instruction.kind is OperationKind.PAYMENT:
        return int(instruction.capture_method.value == "automatic")
    return {OperationKind.CAPTURE: 1, OperationKind.REFUND: -1, OperationKind.VOID: 0}[instruction.kind]


@contextmanager
def staged(servers: Servers, bank_name: str, *, hasty: bool = False) -> Iterator[Stage]:
    """Yield a cell's world, and empty the tables after it."""
    servers.refill()
    # Recovery begins with another shard each minute; a cell's requests have to be those of the run without faults.
    servers.clock.ms = (servers.clock.ms // ALL_SHARDS_MS + 1) * ALL_SHARDS_MS
    stage = Stage(servers, bank_name, hasty)
    logger = logging.getLogger(get_logger().name)
    logger.addHandler(stage.log)
    try:
        yield stage
    finally:
        logger.removeHandler(stage.log)
        servers.proxy.disarm()
        servers.proxy.land()
        wipe(servers, SETTLED_TABLES)
