"""A proxy that breaks connections where it hurts: the request has been executed, and the answer never arrives."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60
READ_BYTES = 64 * 1024


class Fault(StrEnum):
    """What happens to a request that changes something (POST); others pass."""

    NONE = "none"
    DROP_REQUEST = "drop the request"
    DROP_ANSWER = "drop the answer"
    HOLD_ANSWER = "hold the answer"
    CUT_ANSWER = "cut the answer"


@dataclass
class FaultyProxy:
    """A running proxy. ``executed`` is set as soon as the server behind it has answered a faulty request."""

    url: str
    fault: Fault = Fault.NONE
    executed: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def relay(self, client: socket.socket, target: tuple[str, int]) -> None:
        """Carry one request, and its answer as far as the fault lets it."""
        request = read_request(client)
        fault = self.fault if request.startswith(b"POST") else Fault.NONE
        if fault is Fault.DROP_REQUEST or not request:
            return
        with socket.create_connection(target, timeout=PATIENCE_SECONDS) as server:
            server.sendall(asking_to_close(request))
            answer = b"".join(iter(lambda: server.recv(READ_BYTES), b""))
        if fault is not Fault.NONE:
            self.executed.set()
        if fault is Fault.HOLD_ANSWER:
            self.released.wait(PATIENCE_SECONDS)
        elif fault is Fault.CUT_ANSWER:
            client.sendall(answer[: len(answer) // 2])
        elif fault is Fault.NONE:
            client.sendall(answer)


def asking_to_close(request: bytes) -> bytes:
    """Return the request with what ends the connection after its answer: the answer ends there for this proxy."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def read_request(client: socket.socket) -> bytes:
    """Return one whole request, headers and body; nothing when the other side goes away."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(READ_BYTES)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0]) - len(body) if lengths else 0
    while missing > 0:
        chunk = client.recv(READ_BYTES)
        if not chunk:
            return b""
        data += chunk
        missing -= len(chunk)
    return data


@contextmanager
def serving(handle: Callable[[socket.socket], None], *, host: str = HOST) -> Iterator[int]:
    """Accept connections on a free loopback port, each in a thread of its own; yield the port."""
    listener = socket.create_server((host, 0))
    threads: list[threading.Thread] = []

    def work(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(PATIENCE_SECONDS)
            handle(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=work, args=[client], daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join()


@contextmanager
def faulty_proxy(target_url: str) -> Iterator[FaultyProxy]:
    """Run a proxy before the server at ``target_url``."""
    target = urlsplit(target_url)
    address = (target.hostname or HOST, target.port or 80)
    proxy = FaultyProxy("")
    with serving(lambda client: proxy.relay(client, address)) as port:
        proxy.url = f"http://{HOST}:{port}"
        try:
            yield proxy
        finally:
            proxy.released.set()
