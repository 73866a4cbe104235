"""Receivers behind TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.contract.webhooks.courier import Handler


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return a server's context with the certificate and key in one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def behind_tls(certificate: Path | ssl.SSLContext, handle: Handler) -> Handler:
    """Return ``handle`` behind TLS."""
    context = certificate if isinstance(certificate, ssl.SSLContext) else server_context(certificate)

    def wrapped(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secured:
            handle(secured)

    return wrapped
