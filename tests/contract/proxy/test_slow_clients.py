"""Clients that send a request by and by, or never whole, and others that do not read (Slowloris and its kin).

uvicorn has no deadline for a head (https://github.com/Kludex/uvicorn/issues/157, xorbitsai/inference#5213);
CVE-2007-6750 is the same of another server.
"""

from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from payonce.proxy.connections import ANSWER_SECONDS, IDLE_SECONDS
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.upstreams.running import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_SECONDS, BODY_SECONDS = 1.0, 1.5
SLACK_SECONDS = 15  # for a busy machine; without the deadlines it is for ever
HALF_HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nX-Tenant: shop\r\n"
WHOLE_HEAD = HALF_HEAD + b"Idempotency-Key: %b\r\nContent-Length: 100\r\n\r\n"


@contextmanager
def sidecar(counter: str, folder: Path, **server: float) -> Iterator[str]:
    limits = {"head_timeout_seconds": HEAD_SECONDS, "body_timeout_seconds": BODY_SECONDS, **server}
    config = {**configuration(counter), "store": {"kind": "memory"}, "server": limits}
    with running_sidecar(config, folder) as running:
        yield running.url


def connected(url: str) -> socket.socket:
    target = urlsplit(url)
    sock = socket.create_connection((str(target.hostname), int(target.port or 80)), timeout=5)
    sock.settimeout(0.2)
    return sock


def answered(url: str) -> int:
    body = json.dumps({"reference": fresh()}).encode()
    return call(url, "POST", "/orders", body, {"Idempotency-Key": fresh(), TENANT: "shop"}).status


def closed_after(sock: socket.socket, drip: bytes, within_seconds: float = SLACK_SECONDS) -> tuple[float, bytes]:
    """Return how long the other side kept the connection while we sent ``drip`` octet by octet, and what it said."""
    began, answer = time.monotonic(), b""
    for number in range(int(within_seconds / 0.2)):
        try:
            if drip:
                sock.sendall(drip[number % len(drip) :][:1])
            part = sock.recv(4096)
            if not part:
                return time.monotonic() - began, answer
            answer += part
        except TimeoutError:
            continue
        except ConnectionError:
            return time.monotonic() - began, answer
    raise AssertionError("the connection was kept")


@pytest.mark.parametrize(
    ("sent", "drip", "least_seconds", "answer"),
    [
        (b"", b"", HEAD_SECONDS, b""),
        (HALF_HEAD, b"", HEAD_SECONDS, b"HTTP/1.1 408"),
        (HALF_HEAD, b"X-A: 1\r\n", HEAD_SECONDS, b"HTTP/1.1 408"),
        (b"P", b"OST", HEAD_SECONDS, b""),
        (WHOLE_HEAD % fresh().encode(), b"", BODY_SECONDS, b"HTTP/1.1 400"),
        (WHOLE_HEAD % fresh().encode(), b"x", BODY_SECONDS, b"HTTP/1.1 400"),
        (b"POST /-/health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x", HEAD_SECONDS, b"HTTP/1.1 200"),
        (b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n" + HALF_HEAD, b"X-A: 1\r\n", HEAD_SECONDS, b"HTTP/1.1 200"),
    ],
    ids=[
        "nothing",
        "half a head",
        "a dripping head",
        "a dripping method",
        "no body",
        "a dripping body",
        "a body that nobody asked for",
        "half a second head",
    ],
)
def test_a_request_that_does_not_become_whole_is_given_up(
    sent: bytes, drip: bytes, least_seconds: float, answer: bytes, counter: str, tmp_path: Path
) -> None:
    """Each has one deadline, which no octet prolongs. Fails (kept for ever) with uvicorn's own connections."""
    with sidecar(counter, tmp_path) as url, connected(url) as sock:
        sock.sendall(sent)
        seconds, said = closed_after(sock, drip)
        assert seconds >= least_seconds - 0.3
        assert said.startswith(answer)
        assert answered(url) == 201


def test_a_kept_connection_is_used_again_and_again(counter: str, tmp_path: Path) -> None:
    """Fails when the head's deadline strikes a connection whose requests are whole."""
    with sidecar(counter, tmp_path) as url, connected(url) as sock:
        sock.settimeout(5)
        began = time.monotonic()
        while time.monotonic() - began < 2.5 * HEAD_SECONDS:
            sock.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"alive\n"):
                part = sock.recv(4096)
                assert part, answer
                answer += part
            time.sleep(HEAD_SECONDS / 4)


def test_a_kept_connection_that_nobody_uses_is_closed(counter: str, tmp_path: Path) -> None:
    """Fails (kept for ever) without the time between two requests."""
    with sidecar(counter, tmp_path) as url, connected(url) as sock:
        sock.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
        seconds, said = closed_after(sock, b"", IDLE_SECONDS + SLACK_SECONDS)
        assert seconds >= IDLE_SECONDS - 0.3
        assert said.endswith(b"alive\n")


def test_a_request_may_be_worked_on_for_longer_than_its_head_took(counter: str, tmp_path: Path) -> None:
    """Fails when the deadline for a head goes on while the service works."""
    with sidecar(counter, tmp_path) as url:
        path = f"/orders?delay_ms={int(HEAD_SECONDS * 2500)}"
        headers = {"Idempotency-Key": fresh(), TENANT: "shop"}
        assert call(url, "POST", path, json.dumps({"reference": fresh()}).encode(), headers).status == 201


@pytest.mark.parametrize("what", ["heads", "bodies"])
def test_ten_times_as_many_slow_clients_as_connections_keep_nobody_out(what: str, counter: str, tmp_path: Path) -> None:
    """900 half requests, sent anew as they are given up. Fails (503 or silence) when they take the places of others.

    Bodies that are not whole are worked on by nobody: they hold a connection, and none of the places for requests.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    limits = {"max_connections": 90} if what == "heads" else {"max_connections": 1000, "max_queued": 0}
    with sidecar(counter, tmp_path, max_concurrency=8, **limits) as url, ExitStack() as stack:
        statuses = []
        for number in range(900):
            sock = stack.enter_context(connected(url))
            with suppress(OSError):
                sock.sendall(HALF_HEAD if what == "heads" else WHOLE_HEAD % fresh().encode())
            if number % 90 == 89:
                statuses.append(answered(url))
        assert statuses == [201] * 10
        give_up = time.monotonic() + SLACK_SECONDS
        while (kept := established(url)) > 1:  # the one that asks
            assert time.monotonic() < give_up, f"{kept} connections are still there"
            time.sleep(0.2)


def established(url: str) -> int:
    """Return how many connections the sidecar's port has that both sides think alive."""
    port = f":{urlsplit(url).port or 80:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


def test_an_answer_that_nobody_takes_is_given_up(counter: str, tmp_path: Path) -> None:
    """Fails (kept for ever, with the answer in memory) when a client may stop reading."""
    large = {"max_inline_bytes": 256 * 1024, "max_bytes": 8 * 1024 * 1024}
    config = {
        **configuration(counter, route_changes={"responses": large}),
        "store": {"kind": "memory"},
        "overflow": {"folder": str(tmp_path / "large")},
    }
    with running_sidecar(config, tmp_path) as running:
        target = urlsplit(running.url)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((target.hostname, target.port))
            body = json.dumps({"reference": fresh()}).encode()
            head = f"POST /large?bytes=8000000 HTTP/1.1\r\nHost: x\r\n{TENANT}: s\r\nIdempotency-Key: {fresh()}\r\n"
            sock.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            give_up = time.monotonic() + ANSWER_SECONDS + SLACK_SECONDS
            while established(running.url):
                assert time.monotonic() < give_up
                time.sleep(0.5)
