"""Starts the servers of the proxy's tests as processes of their own, and stops exactly those."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.node import node
from tests.support.aws import REPOSITORY
from tests.support.http import call

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120
STOP_SECONDS = 60
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'layers' / 'payonce'}"}
COUNTERS = ("python", "node")


@contextmanager
def running_counter(language: str = "python") -> Iterator[str]:
    """Run the order service and yield its URL."""
    script = str(Path(__file__).with_name("counter.mjs"))
    command = [sys.executable, "-m", "tests.support.upstreams.counter"] if language == "python" else [node(), script]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()
            process.wait()


@dataclass
class RunningSidecar:
    """A sidecar process: where it is, and how it is stopped."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once, as a machine's failure does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running_sidecar(config: dict[str, Any], folder: Path, **environment: str) -> Iterator[RunningSidecar]:
    """Run a sidecar from ``config``, and yield it once it is healthy. Its port is chosen here."""
    port = free_port()
    file = folder / f"sidecar-{port}.json"
    file.write_text(json.dumps({**config, "server": {**config.get("server", {}), "port": port}}))
    process = subprocess.Popen(
        [sys.executable, "-m", "payonce.cli", "sidecar", "--config", str(file)],
        cwd=REPOSITORY,
        env={**ENVIRONMENT, **environment},
    )
    running = RunningSidecar(f"http://127.0.0.1:{port}", process)
    try:
        _await_health(running)
        yield running
    finally:
        running.kill()


def _await_health(running: RunningSidecar) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            if call(running.url, "GET", "/-/health").status == 200:
                return
        except OSError:
            assert running.process.poll() is None, "the sidecar ended"
            assert time.monotonic() < give_up, "the sidecar did not start"
            time.sleep(0.05)
