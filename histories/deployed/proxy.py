"""A proxy between deployed functions and their services: it passes everything on, but for one strike.

Each *door* is a port of its own before one server, so that it is known who calls: the functions on the local cloud get
a door of their own each (``PAYONCE_ENDPOINT_URL``), the bank and the receiver of webhooks have one each. A request is
carried on a connection of its own, with its Host header, so that its signature holds.

::

    function ── door "create" ──┐
    function ── door "relay" ───┼── the local cloud          function ── door "bank" ── the bank
    function ── door "dispatch" ┘                            function ── door "receiver" ── the receiver
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histories.deployed.wire import Fault, come, passed_on, reset, seen_of, throttled
from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histories.deployed.wire import Address, Seen


@dataclass(slots=True)
class Strike:
    """A fault for the first request that ``hits``, after ``passes`` of them, and for those of the ``lasts_seconds``.

    ``REFUSED`` can't wait for its request: the ``door`` is shut when a request was answered that ``precedes`` it, or at
    once without one, for ``lasts_seconds``, or until ``open_again`` is set. ``count`` is how many requests met the
    fault, or shut the door.
    """

    fault: Fault
    hits: Callable[[Seen], bool]
    lasts_seconds: float = 0.0
    passes: int = 0
    door: str = ""  # to shut
    precedes: Callable[[Seen], bool] | None = None
    open_again: threading.Event = field(default_factory=threading.Event)
    count: int = 0
    ends: float = 0.0  # of time.monotonic(), 0 before the first


@dataclass(slots=True)
class Door:
    """A port before a server."""

    name: str
    target: Address
    port: int = 0
    listener: socket.socket | None = None


@dataclass(slots=True)
class FaultProxy:
    """The running doors, and the strikes that are armed. ``watch`` is told each request. Thread-safe."""

    watch: Callable[[Seen], None] = lambda _seen: None
    doors: dict[str, Door] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def url(self, door: str) -> str:
        """Return where clients find a door."""
        return f"http://{HOST}:{self.doors[door].port}"

    def open(self, name: str, target: Address) -> None:
        """Open a further door."""
        self.doors[name] = Door(name, target)
        self._unlock(self.doors[name])

    def arm(self, strike: Strike) -> None:
        """Let the next request that it hits meet this strike."""
        with self._lock:
            self.strikes.append(strike)
        if strike.fault is Fault.REFUSED and strike.precedes is None:
            self._shut(strike)

    def disarm(self, strike: Strike) -> None:
        """Let everything pass that this strike would hit."""
        with self._lock:
            self.strikes.remove(strike)

    def close(self) -> None:
        """Close every door."""
        for door in self.doors.values():
            self._lock_door(door)

    def _shut(self, strike: Strike) -> None:
        """Shut the strike's door for its time."""
        with self._lock:
            door = self.doors[strike.door]
            strike.count += 1
            self._lock_door(door)

        def unlock() -> None:
            strike.open_again.wait(strike.lasts_seconds)
            with self._lock:
                self._unlock(door)

        threading.Thread(target=unlock, daemon=True).start()

    def _unlock(self, door: Door) -> None:
        if door.listener is None:
            door.listener = socket.create_server((HOST, door.port))
            door.port = door.listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[door, door.listener], daemon=True).start()

    def _lock_door(self, door: Door) -> None:
        listener, door.listener = door.listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, door: Door, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(PATIENCE_SECONDS)
                threading.Thread(target=self._serve, args=[door, client], daemon=True).start()

    def _serve(self, door: Door, client: socket.socket) -> None:
        with client, suppress(OSError):
            request = read_request(client)
            if not request:
                return
            seen = seen_of(door.name, request)
            fault = self._fault_of(seen)
            if fault is Fault.RESET_BEFORE:
                return reset(client)
            answer = throttled(seen) if fault is Fault.THROTTLED else passed_on(door.target, request)
            self._shut_after(seen)
            come(client, fault, seen, answer)

    def _fault_of(self, seen: Seen) -> Fault | None:
        """Return the fault of the first armed strike that hits."""
        with self._lock:
            self.watch(seen)
            for strike in self.strikes:
                if strike.fault is not Fault.REFUSED and strike.hits(seen) and _is_due(strike):
                    strike.count += 1
                    return strike.fault
        return None

    def _shut_after(self, seen: Seen) -> None:
        with self._lock:
            due = [each for each in self.strikes if each.precedes and not each.count and each.precedes(seen)]
        for strike in due:
            self._shut(strike)


def _is_due(strike: Strike) -> bool:
    """Return whether a request that a strike hits meets its fault, and count it if it may pass."""
    if strike.passes:
        strike.passes -= 1
        return False
    now = time.monotonic()
    if not strike.count:
        strike.ends = now + strike.lasts_seconds
    return not strike.count or now < strike.ends


@contextmanager
def fault_proxy() -> Iterator[FaultProxy]:
    """Yield a proxy without doors, and close those that it got."""
    proxy = FaultProxy()
    try:
        yield proxy
    finally:
        proxy.close()
