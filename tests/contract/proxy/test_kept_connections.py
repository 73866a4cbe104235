"""Connections to the upstream that are kept: used again, and never where an answer could be another request's."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from payonce.domain.exchange import Answered, Lost
from payonce.ports import Deadline
from tests.support.exchanges import kept_exchange
from tests.support.tcp_faults import read_request, serving
from tests.support.world import RealClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from payonce.domain.exchange import Exchange, Oversized
    from payonce.ports import UpstreamTransport

CLOCK = RealClock()
PAUSE_SECONDS = 0.3  # for what the server does behind its answer; the machine may be busy


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"Content-Length: %d" % len(body), *lines))
    return b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n" + body


class Server:
    """Numbers its connections, and answers each request with its connection's number."""

    def __init__(self, *lines: bytes, status: bytes = b"200 OK", behind: bytes = b"", **options: bool) -> None:
        self.connections = 0
        self.requests = 0
        self._lines, self._status, self._behind = lines, status, behind
        self._bare, self._close = options.get("bare", False), options.get("close", False)

    def handle(self, client: socket.socket) -> None:
        self.connections += 1
        number = b"%d" % self.connections
        while read_request(client):
            self.requests += 1
            client.sendall(answer(number, *self._lines, status=self._status)[: -len(number) if self._bare else None])
            if self._behind:
                time.sleep(PAUSE_SECONDS / 3)
                client.sendall(self._behind)
            if self._close:
                return


@contextmanager
def asking(
    handle: Callable[[socket.socket], None], *, idle_seconds: float = 30
) -> Iterator[Callable[[str], Exchange | Oversized]]:
    with serving(handle) as port, kept_exchange(CLOCK, idle_seconds=idle_seconds) as exchange:

        def ask(method: str) -> Exchange | Oversized:
            return one(exchange, port, method)

        yield ask


def one(exchange: UpstreamTransport, port: int, method: str) -> Exchange | Oversized:
    return exchange.forward(
        method,
        f"http://127.0.0.1:{port}/",
        lines=[("Host", "x")],
        body=b"a=1" if method == "POST" else None,
        deadline=Deadline(CLOCK.now_ms() + 60_000),
        max_answer_bytes=1000,
    )


def test_one_connection_carries_many_requests() -> None:
    """Fails when each request has a connection of its own."""
    server = Server()
    with asking(server.handle) as ask:
        outcomes = [ask("POST") for _ in range(20)]
    assert [outcome.body for outcome in outcomes if isinstance(outcome, Answered)] == [b"1"] * 20
    assert (server.connections, server.requests) == (1, 20)


@pytest.mark.parametrize(
    ("server", "method", "pause_seconds", "idle_seconds"),
    [
        (Server(b"Connection: close"), "POST", 0, 30),
        (Server(b"Keep-Alive: timeout=1"), "POST", 0, 30),
        (Server(b"Keep-Alive: timeout=2"), "POST", 1.2, 30),
        (Server(bare=True), "HEAD", 0, 30),
        (Server(status=b"204 No Content", bare=True), "POST", 0, 30),
        (Server(status=b"401 Unauthorized"), "POST", 0, 30),
        (Server(behind=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), "POST", PAUSE_SECONDS, 30),
        (Server(close=True), "POST", PAUSE_SECONDS, 30),
        (Server(), "POST", PAUSE_SECONDS, 0.1),
        (Server(), "POST", 0, 0),
    ],
    ids=[
        "it says close",
        "its patience is over at once",
        "its patience is over",
        "an answer without its body",
        "an answer that has none",
        "a connection that belongs to a user",
        "something came unasked",
        "it has closed",
        "too old",
        "keep nothing",
    ],
)
def test_a_connection_that_may_not_be_kept_is_not(
    server: Server, method: str, pause_seconds: float, idle_seconds: float
) -> None:
    """Fails when the next request goes over the same connection: into its end, or to another request's answer."""
    server.connections = server.requests = 0
    with asking(server.handle, idle_seconds=idle_seconds) as ask:
        for _ in range(3):
            outcome = ask(method)
            assert isinstance(outcome, Answered)
            assert b"evil" not in outcome.body
            time.sleep(pause_seconds)
    assert (server.connections, server.requests) == (3, 3)


def test_a_request_that_meets_the_end_of_its_connection_is_lost_and_not_sent_again() -> None:
    """Nobody can tell whether the server had read it (RFC 9110, 9.2.2). Fails when it is sent again on a guess."""
    requests: list[bytes] = []

    def handle(client: socket.socket) -> None:
        requests.append(read_request(client))
        client.sendall(answer(b"1"))
        requests.append(read_request(client))

    with asking(handle) as ask:
        assert isinstance(ask("POST"), Answered)
        assert isinstance(ask("POST"), Lost)
        assert len(requests) == 2
        assert isinstance(ask("POST"), Answered)
    assert len(requests) in {3, 4}  # the last connection ends without a request
