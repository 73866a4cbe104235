"""A socket for ``http.client`` whose calls share one deadline, and which limits the bytes received."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from payonce.ports import Clock, Deadline


class ReceivedTooMuch(Exception):
    """The other side has sent more bytes than the limit allows."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time left for an exchange."""

    clock: Clock
    deadline: Deadline

    def seconds(self) -> float:
        """Return the seconds left. Raises ``TimeoutError`` at zero, which a socket would take for "do not block"."""
        remaining_seconds = self.deadline.remaining_seconds(self.clock)
        if remaining_seconds <= 0:
            raise TimeoutError("the deadline is over")
        return remaining_seconds

    def at_most(self, seconds: float) -> Budget:
        """Return the budget for a part of the exchange, bounded by this one."""
        return Budget(self.clock, self.deadline.earlier(self.clock.now_ms() + int(seconds * 1000)))


class TimedReader(io.RawIOBase):
    """Reads what arrives. Each read is limited to the time left, so that a slow drip can't extend the exchange.

    ``ended`` tells whether the other side has closed the connection. Behind a buffer this is known only once data was
    missing. So if it is true after ``http.client`` has read a header block, the block was truncated, which
    ``http.client`` does not report.
    """

    def __init__(self, sock: socket.socket, budget: Budget, max_bytes: int | None) -> None:
        self._sock = sock
        self._budget = budget
        self._room_bytes = max_bytes
        self.ended = False

    def allow(self, budget: Budget, max_bytes: int) -> None:
        """Allow ``max_bytes`` more to be received, within ``budget``."""
        self._budget = budget
        self._room_bytes = max_bytes

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Receive into ``buffer``. Raises ``ReceivedTooMuch``, ``TimeoutError`` and the socket's errors."""
        if self._room_bytes == 0:
            raise ReceivedTooMuch
        self._sock.settimeout(self._budget.seconds())
        received_bytes = self._sock.recv_into(memoryview(buffer)[: self._room_bytes])
        if self._room_bytes is not None:
            self._room_bytes -= received_bytes
        self.ended = received_bytes == 0
        return received_bytes


class TimedSocket:
    """The part of a socket's interface that ``http.client`` uses."""

    def __init__(self, sock: socket.socket, budget: Budget, *, max_bytes: int | None = None) -> None:
        self._sock = sock
        self._budget = budget
        self.reader = TimedReader(sock, budget, max_bytes)

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._sock.settimeout(self._budget.seconds())  # bounds the whole call, also through TLS
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader of the received bytes."""
        return io.BufferedReader(self.reader)

    def close(self) -> None:
        """Do nothing: the exchange closes the socket, after the answer has been read."""
