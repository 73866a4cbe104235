"""The webhook process that is killed: relay, dispatcher or scheduler, with a kill point between two steps."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.each import in_turn
from payonce.network.webhook_sender import WebhookSender
from payonce.ports import Deadline, Table
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.webhooks.attempts import Attempts
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.gate import Gates
from payonce.webhooks.messages import parse_message
from payonce.webhooks.relay import Relay
from payonce.webhooks.replays import advance_replay
from payonce.webhooks.scheduler import Scheduler
from payonce.webhooks.session import Tools
from payonce.webhooks.signer import Signer
from payonce.webhooks.sweeper import Sweeper
from tests.crash_matrix.child import FileClock, Point, StrikingDatabase
from tests.support.aws import http_client
from tests.support.crews import OneByOne

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Clock, QueueMessage

REQUEST_MS = 60_000
_numbers = itertools.count()


def fixed_cipher(clock: Clock) -> MemoryCipher:
    """Return a cipher that is the same in every process of the matrix, as KMS is."""
    return MemoryCipher(clock, lambda size: b"k" * size)


class FolderQueue:
    """A queue of files, one for each message; a test reads and removes them."""

    def __init__(self, folder: Path, clock: Clock, point: Point) -> None:
        self._folder = folder
        self._clock = clock
        self._point = point

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``. A call without messages is no step: nothing leaves the process."""
        if messages:
            self._point.around("send", lambda: self._write(messages))

    def _write(self, messages: Sequence[QueueMessage]) -> None:
        for message in messages:
            visible_at_ms = self._clock.now_ms() + message.delay_seconds * 1000
            name = f"{visible_at_ms:015d}-{os.getpid()}-{next(_numbers)}"
            (self._folder / name).write_text(message.body)


class StrikingTransport:
    """The real sender with the point around each request."""

    def __init__(self, clock: Clock, point: Point) -> None:
        self._inner = WebhookSender(clock, allow_local=True)
        self._point = point

    def post(self, url: str, **request: Any) -> Any:
        """See ``WebhookTransport``."""
        return self._point.around("post", lambda: self._inner.post(url, **request))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task: ``relay`` (keys of events), ``dispatch`` (a message) or ``schedule``."""
    point = Point(task.get("point", ""), task.get("how", "exit"))
    clock = FileClock(Path(task["clock_file"]))
    names = {Table(name): value for name, value in task["tables"].items()}
    database: Any = StrikingDatabase(DynamoDatabase(http_client(task["dynamodb_url"]), names), point)
    queue = FolderQueue(Path(task["queue_folder"]), clock, point)
    gates = Gates(database)
    relay = Relay(database=database, queue=queue, clock=clock, gates=gates, each=in_turn)
    deadline = Deadline(clock.now_ms() + REQUEST_MS)
    if task["do"] == "relay":
        report = relay.relay([database.get(Table.OUTBOX, key) for key in task["events"]])
        return {"failed": len(report.failed)}
    if task["do"] == "schedule":
        scheduler = Scheduler(
            database=database,
            queue=queue,
            sweeper=Sweeper(database=database, relay=relay, clock=clock, report_error=lambda _name, _error: None),
            advance=lambda key: advance_replay(database, queue, clock, key),
            clock=clock,
            report_error=lambda _name, _error: None,
            each=in_turn,
        )
        return {"woken": scheduler.run(deadline).woken}
    attempts = Attempts(
        database=database,
        queue=queue,
        transport=StrikingTransport(clock, point),
        signer=Signer(cipher=fixed_cipher(clock), clock=clock),
        clock=clock,
        jitter=lambda: 0.5,
        report_disabled=lambda _identity, _reason: None,
    )
    dispatcher = Dispatcher(
        Tools(
            attempts=attempts,
            gates=gates,
            crew=OneByOne,
            sleep=lambda _seconds: None,
            report_error=lambda _name, _error: None,
        )
    )
    return {"outcome": dispatcher.handle(parse_message(task["message"]), deadline).value}
