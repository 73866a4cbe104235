"""What ``benchmarks/webhooks.py`` measures on: the real relay and dispatcher, a queue that counts, and a receiver."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.outbox import event_item, event_write, opened
from payonce.ports import Deadline
from payonce.stores.memory_cipher import MemoryCipher
from payonce.webhooks.attempts import Attempts
from payonce.webhooks.crew import ThreadCrew
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.gate import Gates
from payonce.webhooks.keys import key_context
from payonce.webhooks.messages import parse_message
from payonce.webhooks.relay import Relay
from payonce.webhooks.session import Tools
from payonce.webhooks.signer import Signer
from payonce.webhooks.signing import HmacKey
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from payonce.ports import Item, QueueMessage, WebhookTransport

FUNCTION_MS = 60_000
BATCH = 10
RECEIVER = """
import ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.request_queue_size = 128
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
server.serve_forever()
"""
_numbers = itertools.count()


class CountingQueue:
    """Keeps messages with the time at which they were queued; counts the requests that SQS would bill."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, float, str]] = []  # visible at, queued at, body
        self.requests = 0
        self.lock = threading.Lock()

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        now = time.perf_counter()
        self.requests += -(-len(messages) // BATCH)
        with self.lock:
            self.waiting += [(now + message.delay_seconds, now, message.body) for message in messages]

    def take(self, at_most: int) -> list[tuple[float, str]]:
        """Return and remove up to ``at_most`` visible messages, oldest first."""
        now = time.perf_counter()
        with self.lock:
            visible = [entry for entry in self.waiting if entry[0] <= now][:at_most]
            for entry in visible:
                self.waiting.remove(entry)
        return [(visible_at, body) for visible_at, _, body in visible]


@dataclass
class Rig:
    """Relay and dispatcher on a database."""

    database: Any
    transport: WebhookTransport
    clock: RealClock = field(default_factory=RealClock)
    queue: CountingQueue = field(default_factory=CountingQueue)

    def __post_init__(self) -> None:
        self.cipher = MemoryCipher(self.clock, os.urandom)
        gates = Gates(self.database)
        self.relay = Relay(database=self.database, queue=self.queue, clock=self.clock, gates=gates)
        attempts = Attempts(
            database=self.database,
            queue=self.queue,
            transport=self.transport,
            signer=Signer(cipher=self.cipher, clock=self.clock),
            clock=self.clock,
            jitter=random.random,
            report_disabled=lambda _identity, _reason: None,
        )
        self.dispatcher = Dispatcher(
            Tools(
                attempts=attempts,
                gates=gates,
                crew=ThreadCrew,
                sleep=time.sleep,
                report_error=lambda _identity, _error: None,
            )
        )

    def add_endpoint(self, merchant_id: str, identity: str, url: str) -> None:
        """Store an endpoint for all events."""
        now_ms = self.clock.now_ms()
        sealed = self.cipher.seal(HmacKey(b"s" * 32).text().encode(), key_context(merchant_id, identity, "whk_1"))
        key = EndpointKey(key_id="whk_1", kind=KeyKind.HMAC_SHA256, sealed=sealed, created_at_ms=now_ms)
        made = Endpoint(
            merchant_id=merchant_id,
            endpoint_id=identity,
            url=url,
            event_types=("*",),
            keys=(key,),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        self.database.write(create_writes(made)[:2])

    def event(self, merchant_id: str) -> Item:
        """Store an event of a payment's size and return it."""
        made = build_event(
            Change.CHARGED,
            merchant_id=merchant_id,
            resource_id=f"pay_{next(_numbers):026d}",
            version=1,
            created_at_ms=self.clock.now_ms(),
            data={"id": "pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "text": "x" * 500},
        )
        self.database.write([event_write(made)])
        return opened(event_item(made))

    def handle(self, body: str) -> str:
        """Handle one message."""
        return self.dispatcher.handle(parse_message(body), Deadline(self.clock.now_ms() + FUNCTION_MS)).value


@contextmanager
def receiver(certificate: Path | None = None) -> Iterator[int]:
    """Run a receiver in a process of its own, with TLS if it has a certificate. Yield its port."""
    command = [sys.executable, "-c", RECEIVER, *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
