"""One exchange on real sockets: over by its deadline, and "not sent" only where no byte went out."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from payonce.domain.exchange import Answered, Exchange, Lost, NotSent, Oversized
from payonce.gateways import deadline_exchange
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.ports import Deadline
from tests.support.certificates import Authority
from tests.support.exchanges import KINDS, exchange_of
from tests.support.tcp_faults import read_request, serving
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK = RealClock()
KIND = ""  # which exchange, set by a fixture
LIMIT_BYTES = 10_000
BUDGET_SECONDS = 2.0  # for who keeps the exchange waiting: time to connect on a busy machine, and then used up
PATIENCE_SECONDS = 60.0  # for who answers or breaks off at once
SLACK_SECONDS = 20.0  # for a busy machine; what is tested would use up the patience, or have another outcome
OK = b"HTTP/1.1 200 OK\r\nRequest-Id: req_1\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(params=KINDS, autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to make an exchange."""
    monkeypatch.setattr(sys.modules[__name__], "KIND", request.param)


def send(url: str, *, ca_file: str | None = None, seconds: float = PATIENCE_SECONDS) -> Exchange:
    """Send a POST and check that it is over in time."""
    wire = [("X-Test", "1"), ("Accept-Encoding", "identity"), ("Host", urlsplit(url).netloc)]
    deadline = Deadline(CLOCK.now_ms() + int(seconds * 1000))
    with exchange_of(KIND, CLOCK, LIMIT_BYTES, ca_file=ca_file) as exchange:
        began = time.monotonic()
        if isinstance(exchange, DeadlineExchange):
            outcome = exchange.send("POST", url, headers=dict(wire[:1]), body=b"a=1", deadline=deadline)
        else:
            found = exchange.forward(
                "POST", url, lines=wire, body=b"a=1", deadline=deadline, max_answer_bytes=LIMIT_BYTES
            )
            outcome = Lost("too large") if isinstance(found, Oversized) else found
    assert time.monotonic() - began < max(seconds, 0) + SLACK_SECONDS
    return outcome


def answer_with(*parts: bytes, pause_seconds: float = 0) -> Callable[[socket.socket], None]:
    """Return a server that reads the request, and answers in parts."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        for part in parts:
            client.sendall(part)
            time.sleep(pause_seconds)

    return handle


def reset(client: socket.socket) -> None:
    """Read the request, then reset the connection."""
    read_request(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([OK], b"{}"),
        ([OK[:30], OK[30:]], b"{}"),
        ([b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"], b"{}"),
        ([b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 4\r\n\r\n", b"gone"], b"gone"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
    ],
)
def test_a_complete_answer_is_given_as_it_is(parts: list[bytes], body: bytes) -> None:
    """Fails when a status raises or a redirect is followed: the API key would go to wherever it points."""
    with serving(answer_with(*parts)) as port:
        outcome = send(f"http://127.0.0.1:{port}/v1/x?y=1")
    assert isinstance(outcome, Answered)
    assert outcome.body == body
    assert outcome.headers.get("request-id") in {"req_1", None}


def test_the_request_is_written_as_it_was_given() -> None:
    """Fails when a header, the query or the body is lost, or compression is invited."""
    seen: list[bytes] = []

    def handle(client: socket.socket) -> None:
        seen.append(read_request(client))
        client.sendall(OK)

    with serving(handle) as port:
        send(f"http://127.0.0.1:{port}/v1/x?y=1")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/x?y=1 HTTP/1.1"
    own = ["Connection: close"] if KIND == "blocking" else []
    assert sorted(lines[1:]) == sorted(
        ["X-Test: 1", "Accept-Encoding: identity", *own, f"Host: 127.0.0.1:{port}", "Content-Length: 3"]
    )
    assert body == b"a=1"


@pytest.mark.parametrize(
    "handle",
    [
        answer_with(),
        reset,
        answer_with(b"garbage\r\n\r\n"),
        answer_with(OK[:20]),
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
        answer_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"),
        answer_with(b"HTTP/1.1 200 OK\r\n\r\n{}"),
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x" * 99999),
        answer_with(*[OK[i : i + 1] for i in range(len(OK))], pause_seconds=0.05),
        answer_with(OK[:-2], b"{", b"}", pause_seconds=1.5),
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", *[b" "] * 60, pause_seconds=0.05),
        answer_with(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 60, OK, pause_seconds=0.05),
    ],
    ids=[
        "closed",
        "reset",
        "no HTTP",
        "half a header",
        "cut short",
        "chunk cut short",
        "of unknown length",
        "too large",
        "dripping headers",
        "stalling body",
        "dripping body",
        "endless continues",
    ],
)
def test_whatever_happens_after_sending_is_lost_and_never_not_sent(handle: Callable[[socket.socket], None]) -> None:
    """Fails when a timeout starts anew with every byte, or a broken answer counts as an answer or as "not sent"."""
    with serving(handle) as port:
        assert isinstance(send(f"http://127.0.0.1:{port}/", seconds=BUDGET_SECONDS), Lost)


def test_nobody_listening_is_not_sent() -> None:
    """Fails when a refused connection counts as lost: every outage would leave payments in doubt."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/") == NotSent("no connection: ConnectionRefusedError")


def test_no_time_left_is_not_sent() -> None:
    """Fails when a request goes out after its deadline: the lease may be over, and a new owner at work."""
    seen: list[bytes] = []
    with serving(lambda client: seen.append(read_request(client))) as port:
        assert isinstance(send(f"http://127.0.0.1:{port}/", seconds=-1), NotSent)
    assert seen == []


def test_a_resolver_that_hangs_or_fails_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when name resolution, which knows no timeout, holds a request for longer than its deadline."""
    woken = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        woken.wait(PATIENCE_SECONDS)
        return []

    def fail(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    for resolver in (hang, fail, lambda *_, **__: []):
        monkeypatch.setattr(deadline_exchange.socket, "getaddrinfo", resolver)
        assert isinstance(send("http://stripe.example/", seconds=BUDGET_SECONDS), NotSent)
    woken.set()


def test_the_next_address_gets_its_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when only the first of a host's addresses is tried."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    with serving(answer_with(OK)) as port:
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", a) for a in (dead, ("127.0.0.1", port))]
        monkeypatch.setattr(deadline_exchange.socket, "getaddrinfo", lambda *_, **__: addresses)
        assert isinstance(send("http://stripe.example/"), Answered)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def over_tls(authority: Authority) -> Callable[[bytes, bytes], Callable[[socket.socket], None]]:
    """Make a server behind TLS that reads a request and answers, or breaks the record layer by writing beside it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("127.0.0.1"))

    def make(answer: bytes, beside: bytes = b"") -> Callable[[socket.socket], None]:
        def handle(client: socket.socket) -> None:
            with client.dup() as raw, context.wrap_socket(client, server_side=True) as tls:
                read_request(tls)
                tls.sendall(answer)
                raw.sendall(beside)

        return handle

    return make


def test_tls_answers(over_tls: Any, authority: Authority) -> None:
    """Fails when TLS does not work at all, which no other test would notice."""
    with serving(over_tls(OK)) as port:
        assert isinstance(send(f"https://127.0.0.1:{port}/", ca_file=str(authority.ca_file)), Answered)


@pytest.mark.parametrize("beside", [b"", b"this is no TLS record"])
def test_a_tls_connection_that_breaks_while_waiting_is_lost(over_tls: Any, authority: Authority, beside: bytes) -> None:
    """Fails when ``ssl.SSLError`` is taken for a failed handshake: what may be booked would be charged again."""
    with serving(over_tls(b"", beside)) as port:
        assert isinstance(send(f"https://127.0.0.1:{port}/", ca_file=str(authority.ca_file)), Lost)


def test_a_failed_handshake_is_not_sent(over_tls: Any) -> None:
    """Fails when a certificate is not checked, or its refusal leaves a payment in doubt."""
    with serving(over_tls(OK)) as port:
        assert isinstance(send(f"https://127.0.0.1:{port}/"), NotSent)
    with serving(lambda client: client.sendall(b"HTTP/1.1 400 plain\r\n\r\n")) as port:
        assert isinstance(send(f"https://127.0.0.1:{port}/"), NotSent)
    over = threading.Event()
    with serving(lambda client: over.wait(PATIENCE_SECONDS) and None) as port:
        assert isinstance(send(f"https://127.0.0.1:{port}/", seconds=BUDGET_SECONDS), NotSent)
        over.set()
