"""nginx on loopback as a reverse proxy, with which tests and benchmarks compare the sidecar.

The binary is Debian's, unpacked into .cache without root; ``PAYONCE_NGINX`` names another one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local import debian

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
BINARY_VARIABLE = "PAYONCE_NGINX"
START_TIMEOUT_SECONDS = 20
PACKAGES = ("nginx", "libpcre2-8-0")
# The defaults, except for the paths, and one worker, because the sidecar is one process, too.
CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {kept}
    server {{
        listen {host}:{port};
        location / {{ {pass_on} }}
    }}
}}
"""
# nginx opens a connection for each request unless it is told to keep some.
KEPT = "upstream service {{ server {address}; keepalive 64; }}"
KEPT_LOCATION = 'proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";'


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """A reverse proxy: where it is, and its only process."""

    url: str
    pid: int


def nginx_binary() -> Path:
    """Return the path of the nginx binary to run."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return Path(named)
    folder = debian.unpacked("nginx-unpacked", PACKAGES)
    return debian.script(folder, "run-nginx", "usr/sbin/nginx")


@contextmanager
def running_nginx(upstream_url: str, *, keeps_connections: bool = False) -> Iterator[RunningProxy]:
    """Run a reverse proxy in front of ``upstream_url`` and yield it. Raises ``RuntimeError`` with its log.

    ``keeps_connections``: to the upstream, which nginx does not do by default.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="payonce-nginx-") as name:
        folder = Path(name)
        file, log = folder / "nginx.conf", folder / "error.log"
        kept = KEPT.format(address=urlsplit(upstream_url).netloc) if keeps_connections else ""
        pass_on = KEPT_LOCATION if keeps_connections else f"proxy_pass {upstream_url};"
        file.write_text(CONFIGURATION.format(folder=folder, host=HOST, port=port, kept=kept, pass_on=pass_on))
        command = [str(part) for part in (nginx_binary(), "-p", folder, "-e", log, "-c", file)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port, process, log)
            yield RunningProxy(f"http://{HOST}:{port}", process.pid)
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the process takes connections on ``port``. Raises ``RuntimeError`` with its log if it does not."""
    give_up = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"it did not start: {log.read_text(errors='replace') if log.exists() else ''}")
