"""The sidecar's process: uvicorn, one worker, and a shutdown that finishes what it has begun."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import uvicorn

from payonce.bootstrap_proxy import make_service, make_store
from payonce.proxy.asgi import Sidecar
from payonce.proxy.config_load import load_file
from payonce.proxy.connections import IDLE_SECONDS, connection_class
from payonce.proxy.metrics import Metrics
from payonce.settings import documentation_url_of

if TYPE_CHECKING:
    from types import FrameType


class _Server(uvicorn.Server):
    """Tells the application to refuse what is new as soon as the signal comes."""

    def __init__(self, config: uvicorn.Config, sidecar: Sidecar) -> None:
        super().__init__(config)
        self._sidecar = sidecar

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._sidecar.draining = True
        super().handle_exit(sig, frame)


def run(config_file: str) -> int:
    """Serve until a signal comes, and return the exit code. Raises ``MisconfiguredError``."""
    config = load_file(config_file, os.environ)
    sidecar = Sidecar(
        make_service(config, make_store(config.store), documentation_url=documentation_url_of(os.environ)), Metrics()
    )
    server = _Server(
        uvicorn.Config(
            sidecar,
            host=config.server.host,
            port=config.server.port,
            http=connection_class(config.server),  # h11: strict about framing, no native parser of its own opinion
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=config.server.shutdown_seconds,
        ),
        sidecar,
    )
    server.run()
    return 0
