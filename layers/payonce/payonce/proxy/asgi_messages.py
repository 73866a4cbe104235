"""What requests and answers are in ASGI, for the sidecar and for the middleware: https://asgi.readthedocs.io/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from payonce.proxy.messages import ProxyResponse


def target_of(scope: Mapping[str, Any]) -> str:
    """Return path and query as sent. Without ``raw_path``, the path is encoded as its UTF-8."""
    target: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope.get("query_string") or b""
    return f"{target}?{query.decode('latin-1')}" if query else target


async def send_response(
    send: Callable[[Any], Awaitable[None]], method: str, response: ProxyResponse, *, close: bool = False
) -> None:
    """Send a whole answer; one to HEAD, a 204 and a 304 without its body. ``close``: the connection ends with it."""
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.lines]
    bodiless = response.status in {204, 304} or method == "HEAD"
    if not bodiless:
        lines.append((b"content-length", str(len(response.body)).encode()))
    if close:
        lines.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body})
