"""A socket for fibers: a call that would block lets the event loop run until it no longer would, or time is over."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce import fibers

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.network.timed_socket import Budget

READ_BYTES = 64 * 1024


class FiberSocket:
    """A connected socket, plain or TLS. One fiber uses it at a time. Raises ``OSError``, a ``TimeoutError`` among them.

    It is registered with the loop for as long as it is open, so that a kept connection costs nothing to wait for.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._is_tls = False
        self._loop = asyncio.get_running_loop()
        self._signal = fibers.Signal(self._loop)
        self._is_watched = False

    @classmethod
    def of(cls, family: socket.AddressFamily) -> FiberSocket:
        """Return a socket that is not connected yet."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def send(self, data: bytes, budget: Budget) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            view = view[self._tried(partial(self._sock.send, view), budget) :]

    def receive(self, budget: Budget) -> bytes:
        """Return what arrives next, b"" at the end."""
        if not self._is_tls:  # TLS may hold what the system no longer shows
            self._wait_readable(budget)
        return self._tried(partial(self._sock.recv, READ_BYTES), budget)

    def is_quiet(self) -> bool:
        """Whether the other side has neither closed the connection nor sent anything unasked."""
        try:
            self._sock.recv(1) if self._is_tls else self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._is_watched:
            self._loop.remove_reader(self._sock)
            self._is_watched = False
        self._sock.close()

    def connect(self, address: Any, budget: Budget) -> None:
        """Connect to ``address``."""
        code = self._sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            self._wait_writable(budget)
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def start_tls(self, context: ssl.SSLContext, host: str, budget: Budget) -> None:
        """Encrypt the connection from here on."""
        if self._is_watched:
            self._loop.remove_reader(self._sock)
            self._is_watched = False
        self._sock = wrapped = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._is_tls = True
        self._tried(wrapped.do_handshake, budget)

    def _tried[T](self, operation: Callable[[], T], budget: Budget) -> T:
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                self._wait_readable(budget)
            except (ssl.SSLWantWriteError, BlockingIOError):
                self._wait_writable(budget)

    def _wait_readable(self, budget: Budget) -> None:
        seconds = budget.seconds()
        if not self._is_watched:
            self._loop.add_reader(self._sock, self._readable)
            self._is_watched = True
        self._signal.wait(seconds)

    def _readable(self) -> None:
        if not self._signal.set():
            # Nobody waits: whoever uses the connection next looks at what has come.
            self._loop.remove_reader(self._sock)
            self._is_watched = False

    def _wait_writable(self, budget: Budget) -> None:
        seconds = budget.seconds()
        writable = fibers.Signal(self._loop)
        self._loop.add_writer(self._sock, writable.set)
        try:
            writable.wait(seconds)
        finally:
            self._loop.remove_writer(self._sock)
