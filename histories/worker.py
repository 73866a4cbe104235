"""A worker process that serves the production code, and is killed: ``python -m histories.worker KIND PORT SETTINGS``.

Kinds: ``api`` and ``gateway`` are the functions' handlers behind an endpoint like that of Lambda's runtime emulator,
with a thread for each invocation; ``in_process`` is a program with a guarded function; ``dispatcher`` has webhooks
delivered; ``middleware`` is a service with the ASGI middleware on uvicorn; ``sidecar`` is the sidecar itself, whose
SETTINGS name its configuration file. As on Lambda, an invocation that runs past its timeout ends the process.

``--before MODULE:FUNCTION`` calls a function first, which plants a fault.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from histories.worker_kinds import FUNCTION_SECONDS, KINDS

if TYPE_CHECKING:
    from histories.worker_kinds import Handler

GRACE_SECONDS = 0.25  # Lambda, too, ends a function a little after its timeout


class Context:
    """What a function gets beside its event."""

    def __init__(self, seconds: float) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


class Invocations(ThreadingHTTPServer):
    """Takes invocations. Ends the process when one of them runs past its timeout, ``seconds``."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, handler: Handler, seconds: float) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.handler, self._seconds = handler, seconds
        self._running: dict[int, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""

    def run(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the handler's answer."""
        thread = threading.get_ident()
        with self._lock:
            self._running[thread] = time.monotonic()
        try:
            return self.handler(payload, Context(self._seconds))
        finally:
            with self._lock:
                del self._running[thread]

    def _watch(self) -> None:
        while True:
            time.sleep(0.05)
            with self._lock:
                oldest = min(self._running.values(), default=time.monotonic())
            if time.monotonic() - oldest > self._seconds + GRACE_SECONDS:
                os._exit(3)


class _Request(BaseHTTPRequestHandler):
    server: Invocations
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Serve one invocation."""
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = self.server.run(payload)
        except Exception as error:
            answer = {"unforeseen": repr(error)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=[*KINDS, "dispatcher", "middleware", "sidecar"])
    parser.add_argument("port", type=int)
    parser.add_argument("settings")
    parser.add_argument("--before", default="")
    chosen = parser.parse_args()
    if chosen.before:
        module, _, function = chosen.before.partition(":")
        getattr(importlib.import_module(module), function)()
    if chosen.kind == "sidecar":
        from payonce.wiring.sidecar import run

        raise SystemExit(run(chosen.settings))
    settings = json.loads(chosen.settings)
    if chosen.kind == "middleware":
        from histories import middleware

        middleware.serve(settings, chosen.port)
    elif chosen.kind == "dispatcher":
        from histories.dispatching import DISPATCHER_SECONDS, dispatcher

        Invocations(chosen.port, dispatcher(settings), DISPATCHER_SECONDS).serve_forever()
    else:
        Invocations(chosen.port, KINDS[chosen.kind](settings), FUNCTION_SECONDS).serve_forever()


if __name__ == "__main__":
    main()
