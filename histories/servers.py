"""Server processes that are killed, frozen and restarted on the same port, with what they have on disk."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from local.dynamodb_local import EMULATOR, dynamodb_local_command, install
from local.redis_servers import SETTINGS, RedisServer
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).resolve().parents[1]
PORTS = (20_000, 32_000)  # net.ipv4.ip_local_port_range begins at 32,768
START_SECONDS = 120  # a JVM on a busy machine
ENVIRONMENT = {
    **os.environ,
    **FAKE_CREDENTIALS,
    "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'layers' / 'payonce'}",
    "POWERTOOLS_LOG_LEVEL": "ERROR",
}


class Server(Protocol):
    """What the nemesis can do to a server."""

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        ...

    def kill(self) -> None:
        """End it at once, as a machine's failure does."""
        ...

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing is answered."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...


class ProcessServer:
    """A server that listens on ``port``. Its output goes to ``log``, appended at each start."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path = REPOSITORY,
    ) -> None:
        self._command = command
        self._environment = {**ENVIRONMENT, **(environment or {})}
        self._cwd = cwd
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id, 0 while it is not started."""
        return self._process.pid if self._process is not None else 0

    def is_running(self) -> bool:
        """Return whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """See ``Server``. Raises ``RuntimeError`` with the end of its log."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._environment, stdout=output, stderr=output
            )
        give_up = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{self._command[0]} did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """See ``Server``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """See ``Server``."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """See ``Server``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def python_server(module: str, arguments: Sequence[str], port: int, log: Path, **environment: str) -> ProcessServer:
    """Return a server that is a Python module of ours."""
    return ProcessServer([sys.executable, "-m", module, *arguments], port, log, environment=environment)


def dynamodb_server(folder: Path, *, is_durable: bool = True) -> ProcessServer:
    """Return DynamoDB Local, started, with tables: in a file of ``folder``, or, if not ``is_durable``, in memory."""
    install()
    port = free_port()
    server = ProcessServer(
        dynamodb_local_command(port, folder if is_durable else None), port, folder / "dynamodb.log", cwd=EMULATOR
    )
    server.start()
    client = dynamodb_client(server.url)
    create_tables(client)
    client.close()
    return server


def valkey_server(folder: Path, *, is_durable: bool = True) -> RedisServer:
    """Return Valkey, started: every acknowledged write is on its disk, or, if not ``is_durable``, none is."""
    server = RedisServer(folder, SETTINGS if is_durable else {**SETTINGS, "appendonly": "no"})
    server.port = free_port()
    server.start()
    return server


def free_port() -> int:
    """Return a port that is free now, below those that Linux gives to outgoing connections.

    One of these could take the port while its server is down, and the server could not come back.
    """
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
