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
from pathlib import Path
from typing import TYPE_CHECKING

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
    server {{
        listen {host}:{port};
        location / {{ proxy_pass {upstream}; }}
    }}
}}
"""


def nginx_binary() -> Path:
    """Return the path of the nginx binary to run."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return Path(named)
    folder = debian.unpacked("nginx-unpacked", PACKAGES)
    return debian.script(folder, "run-nginx", "usr/sbin/nginx")


@contextmanager
def running_nginx(upstream_url: str) -> Iterator[str]:
    """Run a reverse proxy in front of ``upstream_url`` and yield its URL. Raises ``RuntimeError`` with its log."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="payonce-nginx-") as name:
        folder = Path(name)
        file, log = folder / "nginx.conf", folder / "error.log"
        file.write_text(CONFIGURATION.format(folder=folder, host=HOST, port=port, upstream=upstream_url))
        command = [str(part) for part in (nginx_binary(), "-p", folder, "-e", log, "-c", file)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait(port, process, log)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx did not start: {log.read_text(errors='replace') if log.exists() else ''}")
