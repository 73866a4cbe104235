"""The sidecar's process: uvicorn with one worker, and a shutdown that finishes the requests in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.extras import needs
from payonce.proxy.connections import IDLE_SECONDS, connection_class

with needs("sidecar"):
    import uvicorn

if TYPE_CHECKING:
    from types import FrameType

    from payonce.proxy.asgi import Sidecar
    from payonce.proxy.config_process import Server


class _Server(uvicorn.Server):
    """Makes the application refuse new requests as soon as the signal arrives."""

    def __init__(self, config: uvicorn.Config, sidecar: Sidecar) -> None:
        super().__init__(config)
        self._sidecar = sidecar

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._sidecar.draining = True
        super().handle_exit(sig, frame)


def serve(sidecar: Sidecar, config: Server) -> int:
    """Serve until a signal arrives, and return the exit code."""
    server = _Server(
        uvicorn.Config(
            sidecar,
            host=config.host,
            port=config.port,
            http=connection_class(config),  # h11 is strict about framing
            loop="asyncio",  # not whatever happens to be installed
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=config.shutdown_seconds,
        ),
        sidecar,
    )
    server.run()
    return 0
