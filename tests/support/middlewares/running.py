"""Starts the order service of a framework as a process of its own, and stops exactly that."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.aws import REPOSITORY
from tests.support.http import Answer, call
from tests.support.proxy import counter_subject
from tests.support.upstreams.running import ENVIRONMENT, START_SECONDS, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.conformance import Subject


@contextmanager
def running_service(kind: str, store: Mapping[str, Any], log: Path | None = None) -> Iterator[str]:
    """Run the service and yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.middlewares.server", kind, str(port), json.dumps(dict(store))]
    process = subprocess.Popen([*command, str(log or "-")], cwd=REPOSITORY, env=ENVIRONMENT)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            if call(url, "GET", "/executions").status == 200:
                return
        except OSError:
            assert process.poll() is None, "the service ended"
            assert time.monotonic() < give_up, "the service did not start"
            time.sleep(0.05)


@contextmanager
def service_subject(kind: str) -> Iterator[Subject]:
    """Run the service with its records in memory, and yield it for the client suite."""
    with running_service(kind, {"kind": "memory"}) as url:

        def calling(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
            return call(url, method, path, body, headers)

        yield counter_subject(kind, url, calling)
