"""payonce on one machine as template.yaml wires it: the functions' own handlers, their streams, queues and schedules.

Lambda's part is played here, one invocation after the other; DynamoDB is DynamoDB Local behind the meter, the gateway
the sandbox bank, the receiver of webhooks a server that answers what it is told.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3

from benchmarks.units.endpoint import Services, Waits, sender, serving
from benchmarks.units.handlers import Context, load
from benchmarks.units.memory import MeteredMemory
from benchmarks.units.meter import Meter
from benchmarks.units.receiver import Receiver
from benchmarks.units.template import Template
from local.dynamodb_local import running_dynamodb_local
from local.sandbox_bank.running import running_bank
from payonce.clock import SystemClock
from payonce.wiring.adapters import Adapters
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REGION
from tests.support.events import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.units.template import Function, Source
    from local.sandbox_bank.running import BankHandle

BANK = "honouring"
SCHEDULED_MS = (
    13_000  # what a scheduled function is told it has left: it then works for a few seconds, not for a minute
)
QUIET = {"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_TRACE_DISABLED": "1"}
EVERY_MINUTE = "rate(1 minute)"
MAX_ROUNDS = 1_000


@dataclass
class Stage:
    """The running stage. ``invocations`` and ``gb_ms`` are what Lambda would bill, by function.

    Its clock is the machine's and ``offset_ms``, or stands at ``stands_at_ms``. ``gathered``: streams' records, by the
    function that waits for more of them (``MaximumBatchingWindowInSeconds``) and the most that it takes at once.
    """

    template: Template
    services: Services
    bank: BankHandle
    receiver: Receiver
    endpoint_url: str
    dynamodb_url: str
    memory: MeteredMemory | None = None  # the database of a stage that is in memory
    offset_ms: int = 0
    stands_at_ms: int | None = None
    invocations: Counter[str] = field(default_factory=Counter)
    gb_ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    gathered: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)
    _slept_ms: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    _handlers: dict[str, Callable[[Any, Any], Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.functions = self.template.functions()

    @property
    def meter(self) -> Meter:
        """Return the meter of every request to DynamoDB."""
        return self.services.meter

    def now_ms(self) -> int:
        """Return the stage's time."""
        if self.stands_at_ms is not None:
            return self.stands_at_ms
        return time.time_ns() // 1_000_000 + self.offset_ms

    def call(self, method: str, route: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
        """Send one request to the API's function for ``method`` and ``route``; return status and body."""
        function = next(
            function
            for function in self.functions
            for source in function.sources
            if source.kind == "Api"
            and (source.properties["Method"].upper(), source.properties["Path"]) == (method, route)
        )
        waits_ms = self.services.waits.gateway if method == "POST" else 0
        answer = self.invoke(function, event(body, gateway=BANK, **options), waits_ms)
        return answer["statusCode"], json.loads(answer["body"])

    def invoke(self, function: Function, given: Any, waits_ms: int = 0) -> Any:
        """Run a function's handler as Lambda would, under its own variables; the meter's phase is its name.

        ``waits_ms`` is what it waits for others than AWS.
        """
        with (
            self.billed(function.name, function.memory_gb, waits_ms),
            patch.dict(os.environ, {**function.variables, "PAYONCE_ENDPOINT_URL": self.endpoint_url}),
        ):
            if function.name not in self._handlers:
                self._handlers[function.name] = load(function)
            scheduled = any(source.kind == "Schedule" for source in function.sources)
            remaining_ms = min(function.timeout_ms, SCHEDULED_MS if scheduled else function.timeout_ms)
            return self._handlers[function.name](given, Context(remaining_ms))

    @contextmanager
    def billed(self, name: str, memory_gb: float, waits_ms: int = 0) -> Iterator[None]:
        """Count what happens as one invocation of ``name``, as long as its busiest connection waits and it sleeps."""
        self.meter.phase = name
        self.services.waits_ms.clear()
        self._slept_ms.clear()
        answered = len(self.receiver.answered)
        yield
        if len(self.receiver.answered) > answered:
            waits_ms += self.services.waits.receiver  # the deliveries of a batch are attempted at the same time
        self.invocations[name] += 1
        waits_ms += max(self.services.waits_ms.values(), default=0) + round(max(self._slept_ms.values(), default=0))
        self.gb_ms[name] += memory_gb * waits_ms

    def sleep(self, seconds: float, really: Callable[[float], None]) -> None:
        """Sleep, and count it: Lambda bills a function that sleeps."""
        self._slept_ms[get_ident()] += seconds * 1000
        really(seconds)

    def drain(self, batch: int = 1) -> None:
        """Run all that follows from what was written: streams and queues until nothing is left, ``batch`` at a time.

        A message with a delay is taken when nothing else is left, and the clock is then that much later.
        """
        for _ in range(MAX_ROUNDS):
            if not (self._streams(batch) or self._queues(batch)):
                return
        raise RuntimeError(f"the stage does not come to rest: {self.services.messages[:3]}")

    def close_windows(self) -> None:
        """Let the functions run that have waited for more records: with all that were gathered, in full batches."""
        gathered, self.gathered = self.gathered, {}
        functions = {function.name: function for function in self.functions}
        for (name, size), records in gathered.items():
            self._in_batches(functions[name], records, size)

    def minute(self, batch: int = 1) -> None:
        """Let a minute pass: run what is scheduled every minute, and all that follows."""
        self.offset_ms += 60_000
        self.close_windows()
        for function, _ in self._sourced("Schedule", lambda source: source.properties["Schedule"] == EVERY_MINUTE):
            self.invoke(function, {})
        self.drain(batch)

    def _streams(self, batch: int) -> bool:
        told, self.meter.records = self.meter.records, {}
        for table, records in told.items():
            for function, source in self._sourced("DynamoDB", partial(_names, member="Stream", resource=table)):
                accepted = [record for record in records if source.accepts(record)]
                if source.properties.get("MaximumBatchingWindowInSeconds"):
                    self.gathered.setdefault((function.name, source.batch_size), []).extend(accepted)
                    continue
                self._in_batches(function, accepted, min(batch, source.batch_size))
        return bool(told)

    def _queues(self, batch: int) -> bool:
        if not self.services.messages:
            return False
        soonest = min(message.delay_seconds for message in self.services.messages)
        self.offset_ms += soonest * 1000
        ready = [message for message in self.services.messages if message.delay_seconds == soonest]
        for name in {message.queue for message in ready}:
            count = sum(message.queue == name for message in ready)
            taken = self.services.take(name, count)  # of a queue that no function reads, for good
            for function, source in self._sourced("SQS", partial(_names, member="Queue", resource=name)):
                records = [{"messageId": str(uuid.uuid4()), "body": message.body} for message in taken]
                self._in_batches(function, records, min(batch, source.batch_size))
                self.services.calls["Lambda.ReceiveMessage"] += -(-len(taken) // min(batch, source.batch_size))
                self.services.calls["Lambda.DeleteMessageBatch"] += -(-len(taken) // min(batch, source.batch_size))
        return True

    def _in_batches(self, function: Function, records: list[dict[str, Any]], size: int) -> None:
        for at in range(0, len(records), size):
            answer = self.invoke(function, {"Records": records[at : at + size]})
            if answer and answer.get("batchItemFailures"):
                raise RuntimeError(f"{function.name} could not handle {answer['batchItemFailures']}")

    def _sourced(self, kind: str, chosen: Callable[[Source], bool]) -> Iterator[tuple[Function, Source]]:
        for function in self.functions:
            for source in function.sources:
                if source.kind == kind and chosen(source):
                    yield function, source


@contextmanager
def running_stage(waits: Waits | None = None, *, in_memory: bool = False) -> Iterator[Stage]:
    """Run everything and yield the stage; ``waits`` are for Lambda's bill.

    ``in_memory``: with the database port in memory instead of DynamoDB Local, for many payments.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {**FAKE_CREDENTIALS, **QUIET}))
        bank = stack.enter_context(running_bank(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        receiver = Receiver()
        Thread(target=receiver.serve_forever, daemon=True).start()
        stack.callback(receiver.server_close)
        stack.callback(receiver.shutdown)
        dynamodb_url = "" if in_memory else stack.enter_context(running_dynamodb_local())
        secrets = json.dumps({"sandbox_bank_api_key": "sandbox"})
        meter = Meter({}, _unused if in_memory else sender(dynamodb_url))
        services = Services(meter, secrets, waits=waits or Waits())
        endpoint_url = stack.enter_context(serving(services))
        gateway = {"name": BANK, "kind": "sandbox_bank", "url": bank.base_url(BANK), "key_retention_seconds": 86_400}
        given = {"Environment": "local", "Gateways": json.dumps([gateway]), "DefaultGateway": BANK}
        stage = Stage(Template(given, endpoint_url), services, bank, receiver, endpoint_url, dynamodb_url)
        meter.schemas, meter.now_ms = stage.template.schemas(), stage.now_ms
        if in_memory:
            names = load_settings(stage.functions[0].variables).table_names
            stage.memory = MeteredMemory(meter, names)
            stack.enter_context(patch.object(Adapters, "database", stage.memory))
        else:
            client = boto3.client("dynamodb", endpoint_url=dynamodb_url, region_name=REGION)
            for request in stage.template.tables().values():
                client.create_table(**request)
        stack.enter_context(patch.object(time, "sleep", partial(stage.sleep, really=time.sleep)))
        stack.enter_context(patch.object(SystemClock, "now_ms", lambda _clock: stage.now_ms()))
        yield stage


def _unused(operation: str, _body: bytes) -> tuple[int, bytes]:
    raise AssertionError(f"{operation} did not go through the database port")


def _names(source: Source, member: str, resource: str) -> bool:
    return str(source.properties[member]).partition(".")[0] == resource
