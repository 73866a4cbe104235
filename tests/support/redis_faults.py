"""A proxy before a Redis server that loses one exchange: the command on its way there, or the answer coming back."""

from __future__ import annotations

import select
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payonce.stores.redis_calls import redis_client
from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, READ_BYTES, Fault, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

SCRIPT_COMMANDS = (b"EVALSHA", b"EVAL")


@contextmanager
def client_of(url: str) -> Iterator[Redis]:
    """A client with payonce's timeouts, closed at the end."""
    client = redis_client(url)
    try:
        yield client
    finally:
        client.close()


@dataclass
class RedisProxy:
    """A running proxy. ``fault`` befalls the next script and is over then; ``lost`` counts what was lost."""

    url: str
    fault: Fault = Fault.NONE
    lost: int = field(default=0)

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        """Carry bytes both ways until one side ends, or the fault strikes."""
        losing_answer = False
        while True:
            ready, _, _ = select.select([client, server], [], [], PATIENCE_SECONDS)
            if not ready:
                return
            if client in ready:
                data = client.recv(READ_BYTES)
                if self.fault is not Fault.NONE and any(command in data for command in SCRIPT_COMMANDS):
                    losing_answer, dropped = True, self.fault is Fault.DROP_REQUEST
                    self.fault = Fault.NONE
                    if dropped:
                        self.lost += 1
                        return
                if not data:
                    return
                server.sendall(data)
            if server in ready:
                data = server.recv(READ_BYTES)
                if losing_answer:
                    self.lost += 1
                if losing_answer or not data:
                    return
                client.sendall(data)


@contextmanager
def redis_proxy(target_url: str) -> Iterator[RedisProxy]:
    """Run a proxy before the server at ``target_url``."""

    target = urlsplit(target_url)
    proxy = RedisProxy("")

    def handle(client: socket.socket) -> None:
        with socket.create_connection((target.hostname or HOST, target.port or 6379)) as server:
            proxy.relay(client, server)

    with serving(handle) as port:
        proxy.url = f"redis://{HOST}:{port}"
        yield proxy
