"""The first steps of an exchange, each bounded by its budget: resolve, connect, TLS."""

from __future__ import annotations

import queue
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from payonce.network.timed_socket import Budget

MAX_CONNECT_SECONDS = 2.0  # per address; a connection takes milliseconds, and the next address needs time too

type SocketAddress = tuple[Any, ...]  # host and port, and for IPv6 the further fields of ``socket``


def ask_in_time[T](question: Callable[[], T], budget: Budget) -> T:
    """Return the result of ``question`` or raise its error. Raises ``TimeoutError`` when the budget is used up.

    For the system's resolver, which has no timeout of its own: it runs in a thread, and is abandoned when it is late.
    """
    answers: queue.SimpleQueue[tuple[T] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((question(),))
        except Exception as error:  # handed to the thread that waits
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=budget.seconds())
    except queue.Empty:
        raise TimeoutError("no answer in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer[0]


def connect_to_any(addresses: Iterable[tuple[socket.AddressFamily, SocketAddress]], budget: Budget) -> socket.socket:
    """Return a connection to the first address that accepts one. Raises the last address's ``OSError``."""
    failure = OSError("the name has no address")
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(min(MAX_CONNECT_SECONDS, budget.seconds()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def start_tls(sock: socket.socket, context: ssl.SSLContext, host: str, budget: Budget) -> ssl.SSLSocket:
    """Return ``sock`` wrapped in TLS for ``host``. On failure it closes the socket and raises ``OSError``."""
    try:
        sock.settimeout(budget.seconds())  # bounds the whole handshake, not each of its messages
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
