"""Posting a webhook in a test, and measuring what it took.

A bound on time is far above what a busy machine needs and far below what the fault would take: a budget that is not
kept shows by another outcome, or by a receiver that goes on until the other side closes.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.network.webhook_answers import MAX_BODY_BYTES, MAX_HEAD_BYTES
from payonce.network.webhook_sender import WebhookSender
from payonce.ports import Deadline, WebhookTransport
from tests.support.tcp_faults import read_request
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from payonce.domain.delivery import Exchanged

BUDGET_SECONDS = 0.6  # for who keeps the sender waiting: it is used up in any case
PATIENCE_SECONDS = 60.0  # for who answers or breaks off at once, on a machine that is busy
SLACK_SECONDS = 20.0  # for a busy machine; what is tested would use up the patience, or go on for ever
DEAF_SECONDS = 5.0
HOST = "hooks.example"
BODY = b'{"id":"evt_1"}'
HEADERS = {"webhook-id": "evt_1", "content-type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

type Handler = Callable[[socket.socket], None]


@dataclass
class Courier:
    """Posts webhooks. ``received_bytes`` counts what was taken from the socket."""

    ca_file: str | None = None
    received_bytes: int = 0
    took_seconds: float = 0.0

    def post(
        self,
        url: str,
        *,
        seconds: float = PATIENCE_SECONDS,
        within_seconds: float | None = None,
        allow_local: bool = True,
        resolve: Callable[[str], Sequence[str]] = lambda _host: ["127.0.0.1"],
        headers: Mapping[str, str] = HEADERS,
        body: bytes = BODY,
    ) -> Exchanged:
        """Post, and check that it is over in time and took no more bytes than it may."""
        clock = RealClock()
        transport: WebhookTransport = WebhookSender(
            clock, allow_local=allow_local, ca_file=self.ca_file, resolve=resolve
        )
        self.received_bytes = 0
        began = time.monotonic()
        outcome = transport.post(
            url, headers=headers, body=body, deadline=Deadline(clock.now_ms() + int(seconds * 1000))
        )
        self.took_seconds = time.monotonic() - began
        assert self.took_seconds < (max(seconds, 0) if within_seconds is None else within_seconds) + SLACK_SECONDS
        assert 0 <= outcome.latency_ms <= self.took_seconds * 1000 + 2  # two readings of a clock in milliseconds
        assert self.received_bytes <= MAX_HEAD_BYTES + MAX_BODY_BYTES
        return outcome


def answering(*parts: bytes, pause_seconds: float = 0) -> Handler:
    """Return a receiver that reads the request, answers in parts and closes."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        for part in parts:
            client.sendall(part)
            time.sleep(pause_seconds)

    return handle


def endless(beginning: bytes, part: bytes, pause_seconds: float = 0) -> Handler:
    """Return a receiver that reads the request and answers until the other side closes."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        client.sendall(beginning)
        while True:
            client.sendall(part)
            time.sleep(pause_seconds)

    return handle


def dripping(data: bytes) -> Handler:
    """Return a receiver that answers a byte at a time."""
    return answering(*(data[i : i + 1] for i in range(len(data))), pause_seconds=0.05)


def resetting(*parts: bytes) -> Handler:
    """Return a receiver that reads the request, answers in parts and resets the connection."""

    def handle(client: socket.socket) -> None:
        answering(*parts, pause_seconds=0.1)(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle


def silent(client: socket.socket) -> None:
    """Take everything and say nothing, until the other side closes."""
    while client.recv(65_536):
        pass


def deaf(client: socket.socket) -> None:
    """Take nothing and say nothing, much longer than the budget; then close, which is another outcome."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    time.sleep(DEAF_SECONDS)


def recording(seen: list[bytes], answer: bytes = OK) -> Handler:
    """Return a receiver that keeps each request, and answers."""

    def handle(client: socket.socket) -> None:
        seen.append(read_request(client))
        client.sendall(answer)

    return handle


def untouched(listeners: Iterable[socket.socket]) -> bool:
    """Tell whether nobody has connected to any of ``listeners``."""
    for listener in listeners:
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            continue
        return False
    return True
