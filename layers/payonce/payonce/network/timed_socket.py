"""A socket for ``http.client`` whose every call ends by one deadline, and which takes only so many bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from payonce.ports import Clock, Deadline


class ReceivedTooMuch(Exception):
    """The other side has sent as many bytes as are taken."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that is left for an exchange."""

    clock: Clock
    deadline: Deadline

    def seconds(self) -> float:
        """Return what is left. Raises ``TimeoutError`` when that is nothing: a socket takes 0 for "do not block"."""
        remaining_seconds = self.deadline.remaining_seconds(self.clock)
        if remaining_seconds <= 0:
            raise TimeoutError("the deadline is over")
        return remaining_seconds

    def at_most(self, seconds: float) -> Budget:
        """Return the budget of a part of the exchange."""
        return Budget(self.clock, self.deadline.earlier(self.clock.now_ms() + int(seconds * 1000)))


class TimedReader(io.RawIOBase):
    """What arrives. Each read gets the time that is left, so that dripping does not help.

    ``ended`` tells whether the other side has closed. Behind a buffer that is known only once something was missing,
    so after ``http.client`` has read a header block it means that the block was cut short, which it does not say.
    """

    def __init__(self, sock: socket.socket, budget: Budget, max_bytes: int | None) -> None:
        self._sock = sock
        self._budget = budget
        self._room_bytes = max_bytes
        self.ended = False

    def allow(self, budget: Budget, max_bytes: int) -> None:
        """Take ``max_bytes`` more, within ``budget``."""
        self._budget = budget
        self._room_bytes = max_bytes

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Receive into ``buffer``. Raises ``ReceivedTooMuch``, ``TimeoutError`` and what the socket raises."""
        if self._room_bytes == 0:
            raise ReceivedTooMuch
        self._sock.settimeout(self._budget.seconds())
        received_bytes = self._sock.recv_into(memoryview(buffer)[: self._room_bytes])
        if self._room_bytes is not None:
            self._room_bytes -= received_bytes
        self.ended = received_bytes == 0
        return received_bytes


class TimedSocket:
    """What ``http.client`` needs of a socket."""

    def __init__(self, sock: socket.socket, budget: Budget, *, max_bytes: int | None = None) -> None:
        self._sock = sock
        self._budget = budget
        self.reader = TimedReader(sock, budget, max_bytes)

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._sock.settimeout(self._budget.seconds())  # bounds the whole of it, also through TLS
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader of what is received."""
        return io.BufferedReader(self.reader)

    def close(self) -> None:
        """Do nothing: the exchange closes the socket, after the answer has been read."""
