"""Connections to AWS that are kept open, against a server that closes, hangs, and answers by halves."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from payonce.network.kept_connections import MAX_IDLE_SECONDS, Connections, Lost, NotSent
from tests.support.certificates import Authority
from tests.support.tcp_faults import read_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Amz-Crc32: 1\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n{}"
HEADERS = {"host": "x"}


@dataclass
class Server:
    """Gives ``answers`` in turn, and closes after one that is not whole. ``seen``: requests by connection."""

    answers: list[bytes]
    seen: list[list[bytes]] = field(default_factory=list)
    port: int = 0

    def serve(self, listener: socket.socket) -> None:
        """Serve one connection after the other, each in a thread."""
        while True:
            try:
                client, _ = listener.accept()
            except ssl.SSLError:  # a handshake that the client has ended
                continue
            except OSError:
                return
            requests: list[bytes] = []
            self.seen.append(requests)
            threading.Thread(target=self._one, args=[client, requests], daemon=True).start()

    def _one(self, client: socket.socket, requests: list[bytes]) -> None:
        with client, suppress(OSError):
            while request := read_request(client):
                requests.append(request)
                if not self.answers:
                    client.recv(1)  # says nothing until the other side gives up
                    return
                answer = self.answers.pop(0)
                client.sendall(answer)
                if answer not in (WHOLE, LAST) and not answer.startswith(WHOLE):
                    return


@contextmanager
def serving(*answers: bytes, certificate: Path | None = None) -> Iterator[Server]:
    """Run a server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        listener = plain
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener = context.wrap_socket(plain, server_side=True)
        server = Server(list(answers), port=listener.getsockname()[1])
        threading.Thread(target=server.serve, args=[listener], daemon=True).start()
        yield server
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class Wall:
    """Epoch seconds that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def connections(server: Server, wall: Wall | None = None, *, read_seconds: float = 5) -> Connections:
    url = f"http://127.0.0.1:{server.port}"
    return Connections(url, connect_seconds=2, read_seconds=read_seconds, most_idle=2, wall=wall or Wall())


def test_a_connection_is_used_again() -> None:
    """Fails when every request pays for a handshake."""
    with serving(WHOLE, WHOLE, WHOLE) as server:
        kept = connections(server)
        for _ in range(3):
            answer = kept.post(HEADERS, b"body")
            assert (answer.status, answer.headers["x-amz-crc32"], answer.body) == (200, "1", b"{}")
        kept.close()
    [requests] = server.seen
    assert len(requests) == 3
    assert requests[0] == b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"


@pytest.mark.parametrize("ending", ["it says so", "it closes", "it was idle for too long", "the wall clock went back"])
def test_a_connection_that_may_be_closed_is_not_written_into(ending: str) -> None:
    """A write into a closed connection is in doubt. Fails when one is sent there, in a thawed environment too."""
    wall = Wall()
    with serving(LAST if ending == "it says so" else WHOLE, WHOLE) as server:
        kept = connections(server, wall)
        kept.post(HEADERS, b"1")
        if ending == "it closes":
            [(_, sock, _)] = kept._idle
            sock.shutdown(socket.SHUT_RD)
        wall.now += {"it was idle for too long": MAX_IDLE_SECONDS + 1, "the wall clock went back": -60}.get(ending, 1)
        kept.post(HEADERS, b"2")
        kept.close()
    assert [len(requests) for requests in server.seen] == [1, 1]


@pytest.mark.parametrize("secure", [False, True])
def test_what_nobody_asked_for_is_no_answer(tmp_path: Path, secure: bool) -> None:
    """Fails when a server that answers twice makes the next request's answer: another item's, for instance."""
    authority = Authority(tmp_path)
    other = WHOLE.replace(b"{}", b"[]")
    with serving(WHOLE + other, WHOLE, certificate=authority.issue("127.0.0.1") if secure else None) as server:
        url = f"http{'s' if secure else ''}://127.0.0.1:{server.port}"
        kept = Connections(url, connect_seconds=2, read_seconds=5, most_idle=2, ca_file=str(authority.ca_file))
        for _ in range(2):
            assert kept.post(HEADERS, b"body").body == b"{}"
        kept.close()
    assert [len(requests) for requests in server.seen] == [1, 1]


@pytest.mark.parametrize("answer", [HALF, ENDLESS, b"HTTP/1.1 200 OK\r\nContent-Le", b""])
def test_what_is_not_whole_is_lost(answer: bytes) -> None:
    """Fails when a truncated answer passes, or the failed connection is used again."""
    with serving(answer, WHOLE) as server:
        kept = connections(server)
        with pytest.raises(Lost) as lost:
            kept.post(HEADERS, b"1")
        assert not lost.value.timed_out
        assert kept.post(HEADERS, b"2").body == b"{}"
        kept.close()


def test_silence_ends() -> None:
    """Fails when a request waits for as long as the server likes."""
    with serving() as server:
        with pytest.raises(Lost) as lost:
            connections(server, read_seconds=0.2).post(HEADERS, b"1")
        assert lost.value.timed_out


def test_a_refused_connection_sent_nothing() -> None:
    with serving() as server:
        kept = connections(server)
    with pytest.raises(NotSent):
        kept.post(HEADERS, b"1")


def test_no_more_connections_are_kept_than_said() -> None:
    """Fails when a burst of threads leaves its connections open."""
    with serving(*[WHOLE] * 8) as server:
        kept = connections(server)
        taken = [kept._take() for _ in range(4)]
        for one in taken:
            kept._keep(*one)
        assert len(kept._idle) == 2
        kept.close()
        assert len(kept._idle) == 0


def test_a_fork_has_connections_of_its_own() -> None:
    """Fails when parent and child write into one connection, and read each other's answers."""
    with serving(WHOLE, WHOLE) as server:
        kept = connections(server)
        kept.post(HEADERS, b"1")
        kept._owner = os.getpid() + 1  # as in a child
        kept.post(HEADERS, b"2")
        kept.close()
    assert [len(requests) for requests in server.seen] == [1, 1]


def test_an_answer_comes_through_tls(tmp_path: Path) -> None:
    """Fails when a TLS connection can't be kept, such as when its session's tickets pass for an unasked answer."""
    authority = Authority(tmp_path)
    with serving(WHOLE, WHOLE, certificate=authority.issue("127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}"
        kept = Connections(url, connect_seconds=2, read_seconds=5, most_idle=2, ca_file=str(authority.ca_file))
        for _ in range(2):
            assert kept.post(HEADERS, b"body").body == b"{}"
        kept.close()
    assert [len(requests) for requests in server.seen] == [2]


@pytest.mark.parametrize("wrong", ["authority", "name", "date"])
def test_a_stranger_gets_no_request(tmp_path: Path, wrong: str) -> None:
    """Fails when the credentials' session token is sent to who only claims to be AWS."""
    authority = Authority(tmp_path)
    host = "localhost" if wrong == "name" else "127.0.0.1"
    shifted = timedelta(days=-7 if wrong == "date" else 0)
    certificate = authority.issue(host, shifted=shifted, signs_itself=wrong == "authority")
    with serving(WHOLE, certificate=certificate) as server:
        url = f"https://127.0.0.1:{server.port}"
        kept = Connections(url, connect_seconds=2, read_seconds=5, most_idle=2, ca_file=str(authority.ca_file))
        with pytest.raises(NotSent):
            kept.post(HEADERS, b"body")
    assert sum(map(len, server.seen)) == 0
