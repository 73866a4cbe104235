"""HAProxy on loopback as a reverse proxy, with which benchmarks compare the sidecar.

The binary is Debian's, unpacked into .cache without root; ``PAYONCE_HAPROXY`` names another one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local import debian
from local.nginx_server import HOST, RunningProxy, free_port, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARY_VARIABLE = "PAYONCE_HAPROXY"
PACKAGES = ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
# One thread, because the sidecar has one; connections to the service are kept and shared.
CONFIGURATION = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind {host}:{port}
    default_backend back
backend back
    server service {upstream}
"""


@contextmanager
def running_haproxy(upstream_url: str) -> Iterator[RunningProxy]:
    """Run a reverse proxy in front of ``upstream_url`` and yield it. Raises ``RuntimeError`` with its log."""
    named, port = os.environ.get(BINARY_VARIABLE), free_port()
    binary = Path(named) if named else _unpacked()
    with tempfile.TemporaryDirectory(prefix="payonce-haproxy-") as name:
        file, log = Path(name) / "haproxy.cfg", Path(name) / "error.log"
        file.write_text(CONFIGURATION.format(host=HOST, port=port, upstream=urlsplit(upstream_url).netloc))
        with log.open("wb") as output:
            process = subprocess.Popen([binary, "-db", "-f", file], stdout=output, stderr=output)
        try:
            wait_for_port(port, process, log)
            yield RunningProxy(f"http://{HOST}:{port}", process.pid)
        finally:
            process.kill()
            process.wait()


def _unpacked() -> Path:
    folder = debian.unpacked("haproxy-unpacked", PACKAGES)
    return debian.script(folder, "run-haproxy", "usr/sbin/haproxy")
