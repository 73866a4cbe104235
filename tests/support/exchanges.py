"""The two ways to make one HTTP exchange: blocking, on a connection of its own, and in fibers, on kept connections."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.network.kept_exchange import KeptExchange
from tests.support.fiber_loop import fiber_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Clock, UpstreamTransport

KINDS = ("blocking", "fibers")
IDLE_SECONDS = 30.0


@contextmanager
def kept_exchange(
    clock: Clock, *, ca_file: str | None = None, idle_seconds: float = IDLE_SECONDS
) -> Iterator[UpstreamTransport]:
    """Yield exchanges in fibers that threads can call; close their connections at the end."""
    with fiber_loop() as loop:
        exchange = KeptExchange(clock, idle_seconds=idle_seconds, ca_file=ca_file)
        try:
            yield loop.port(exchange)
        finally:
            loop.call(exchange.close)


@contextmanager
def exchange_of(
    kind: str, clock: Clock, limit_bytes: int, *, ca_file: str | None = None
) -> Iterator[UpstreamTransport]:
    """Yield the exchanges of a kind."""
    if kind == "blocking":
        yield DeadlineExchange(clock, max_answer_bytes=limit_bytes, ca_file=ca_file)
    else:
        with kept_exchange(clock, ca_file=ca_file) as exchange:
            yield exchange
