"""Relays ports of Docker's bridge to loopback for containers: ``python -m local.relay ADDRESS PORT ...``."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
from functools import partial

CHUNK_BYTES = 64 * 1024


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def serve(address: str, ports: list[int]) -> None:
    """Relay each port of ``address`` to the same port of loopback, until stopped.

    Raises ``ValueError`` unless ``address`` is a private address, so that it never listens on every interface.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified or not parsed.is_private:
        raise ValueError(f"{address} is not the address of a bridge")
    servers = [await asyncio.start_server(partial(_relay, port), address, port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], [int(port) for port in sys.argv[2:]]))
