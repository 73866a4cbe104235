"""A proxy between a client and a server that breaks requests at random, each by a fault of its own."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, READ_BYTES, asking_to_close, read_request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_SECONDS = 0.6  # beyond the attempts' timeout of these tests


class Fault(StrEnum):
    """What happens to a request."""

    NONE = "it passes"
    DROP_BEFORE = "the connection closes before the request arrives"
    HALF_BEFORE = "half of the request's body arrives"
    DROP_AFTER = "the connection closes after the request was executed"
    RESET_AFTER = "the connection is reset after the request was executed"
    TRUNCATED_AFTER = "half of the answer arrives"
    SLOW_AFTER = "the answer comes after the client has given up"
    LATE_BEFORE = "the client gives up, and the request arrives after that"
    TWICE = "the request arrives twice at once, and one of the answers comes back"
    AGAIN_LATER = "the answer comes back, and a copy of the request arrives later"
    STATUS_502_AFTER = "502 of an intermediary after the request was executed"
    STATUS_503_AFTER = "503 of an intermediary after the request was executed"
    STATUS_504_BEFORE = "504 of an intermediary, and the request never arrives"
    GARBAGE_AFTER = "200 with a page of HTML"


_INSTEAD = {
    Fault.STATUS_502_AFTER: (502, b"<html>Bad gateway</html>"),
    Fault.STATUS_503_AFTER: (503, b"<html>Busy</html>"),
    Fault.STATUS_504_BEFORE: (504, b"<html>Timeout</html>"),
    Fault.GARBAGE_AFTER: (200, b"<html>Welcome</html>"),
}
_NOT_SENT = {Fault.DROP_BEFORE, Fault.HALF_BEFORE, Fault.LATE_BEFORE}


def _written(fault: Fault, answer: bytes) -> bytes:
    """Return what the client gets of an answer."""
    if fault is Fault.TRUNCATED_AFTER:
        return answer[: len(answer) // 2]
    if fault not in _INSTEAD:
        return answer
    status, body = _INSTEAD[fault]
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


@dataclass
class FaultyNetwork:
    """A running proxy. ``share`` of the requests are broken; ``counts`` says how often by which fault."""

    url: str
    address: tuple[str, int]
    share: float
    random: random.Random
    counts: Counter[Fault] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    late: list[threading.Thread] = field(default_factory=list)

    def carry(self, client: socket.socket) -> None:
        """Carry one request, as far as its fault lets it."""
        request = read_request(client)
        if not request:
            return
        with self.lock:
            broken = self.random.random() < self.share
            fault = self.random.choice(list(Fault)[1:]) if broken else Fault.NONE
            self.counts[fault] += 1
        self._break(fault, client, request)

    def _break(self, fault: Fault, client: socket.socket, request: bytes) -> None:
        if fault in {Fault.TWICE, Fault.LATE_BEFORE, Fault.AGAIN_LATER}:
            self._later(request, 0.0 if fault is Fault.TWICE else SLOW_SECONDS)
        if fault is Fault.HALF_BEFORE:
            with socket.create_connection(self.address, timeout=PATIENCE_SECONDS) as server:
                head, end, body = request.partition(b"\r\n\r\n")
                server.sendall(head + end + body[: len(body) // 2])
        if fault in _NOT_SENT:
            return
        answer = b"" if fault is Fault.STATUS_504_BEFORE else self._ask(request)
        if fault is Fault.SLOW_AFTER:
            time.sleep(SLOW_SECONDS)
        elif fault is Fault.RESET_AFTER:
            # SO_LINGER with a time of zero: closing sends a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault is not Fault.DROP_AFTER:
            client.sendall(_written(fault, answer))

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self.address, timeout=PATIENCE_SECONDS) as server:
            server.sendall(asking_to_close(request))
            return b"".join(iter(lambda: server.recv(READ_BYTES), b""))

    def _later(self, request: bytes, seconds: float = SLOW_SECONDS) -> None:
        def send() -> None:
            time.sleep(seconds)
            self._ask(request)

        thread = threading.Thread(target=send, daemon=True)
        self.late.append(thread)
        thread.start()


@contextmanager
def faulty_network(target_url: str, *, share: float, seed: int) -> Iterator[FaultyNetwork]:
    """Run the proxy before the server at ``target_url``; at the end, wait for the late copies."""
    target = urlsplit(target_url)
    network = FaultyNetwork("", (target.hostname or HOST, target.port or 80), share, random.Random(seed))
    with serving(network.carry) as port:
        network.url = f"http://{HOST}:{port}"
        yield network
    for thread in network.late:
        thread.join()
