"""The wiring of the sidecar: its configuration file, its service, and the process that serves it."""

from __future__ import annotations

import os

from payonce.proxy.asgi import Sidecar
from payonce.proxy.config_load import load_file
from payonce.proxy.metrics import Metrics
from payonce.proxy.process import serve
from payonce.wiring.proxy import make_service, make_store
from payonce.wiring.settings import documentation_url_of


def run(config_file: str) -> int:
    """Serve until a signal arrives, then return the exit code. Raises ``MisconfiguredError``."""
    config = load_file(config_file, os.environ)
    service = make_service(config, make_store(config.store), documentation_url=documentation_url_of(os.environ))
    return serve(Sidecar(service, Metrics()), config.server)
