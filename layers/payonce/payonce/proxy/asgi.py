"""The sidecar as an ASGI application.

::

    read the body, up to the limit ── admit ─ full? 503 ── a fiber: claim, forward, record ── answer
                                                           └ goes on without the client ┘

The engine is blocking code, and runs in fibers of this loop (``payonce.fibers``). A request that exceeds their number
and their queue is refused before any claim, so that a retry is harmless. A request takes no place before its body is
complete: slow clients would take all.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from payonce import fibers
from payonce.domain.errors import BodyMalformed, BodyTooLarge, Overloaded, PayonceError, RequestRejected
from payonce.observability import get_logger
from payonce.proxy.answers import problem
from payonce.proxy.asgi_messages import send_response, target_of
from payonce.proxy.headers import check_protocol, check_request, declared_length
from payonce.proxy.messages import ProxyRequest, ProxyResponse
from payonce.proxy.metrics import CONTENT_TYPE, Metrics
from payonce.proxy.patterns import MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from payonce.proxy.service import ProxyService

    type Message = MutableMapping[str, Any]
    type Receive = Callable[[], Awaitable[Message]]
    type Send = Callable[[Message], Awaitable[None]]

OWN_PREFIX = "/-/"  # no upstream's path begins like this
READY_TIMEOUT_SECONDS = 3
RETRY_AFTER_SECONDS = 1
MAX_UNFINISHED_BYTES = 2 * MAX_REQUEST_BYTES  # for all incomplete bodies together; one of the largest always fits


class ClientGone(Exception):
    """The client went away before its request was complete. Nothing was claimed."""


class Sidecar:
    """The application. While ``draining`` it refuses new requests and finishes those in flight; then ``at_end``."""

    def __init__(self, service: ProxyService, metrics: Metrics, *, at_end: Callable[[], None] = lambda: None) -> None:
        self._service = service
        self._metrics = metrics
        self._at_end = at_end
        server = service.config.server
        self._limit = server.max_concurrency + server.max_queued
        self._body_timeout_seconds = server.body_timeout_seconds
        self._places = asyncio.Semaphore(server.max_concurrency)
        self._all_done = asyncio.Event()
        self._probe: asyncio.Future[None] | None = None
        self._in_flight = 0
        self._unfinished_bytes = 0
        self._recovery: asyncio.Task[None] | None = None
        self.draining = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # WebSocket: a conversation can't be idempotent
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(OWN_PREFIX):
            await send_response(send, scope["method"], await self._own(scope["path"]))
            return
        began = time.monotonic()
        try:
            self._admit()
            request = await self._request(scope, receive)
        except ClientGone:
            return
        except (RequestRejected, Overloaded) as error:
            # The end of the body is unknown or was not reached. The next bytes on this connection may be its rest, and
            # would be parsed as another request (RFC 9112, 6.3 and 11.2).
            response, close = problem(error, keyed=False), True
        else:
            response, close = await self._worked(request), self.draining
        self._metrics.count(response.route, response.outcome, time.monotonic() - began)
        await send_response(send, scope["method"], response, close=close)

    def _admit(self) -> None:
        """Raise ``Overloaded`` when all places are taken."""
        if self.draining or self._in_flight >= self._limit:
            raise _overloaded(self.draining)

    async def _request(self, scope: Message, receive: Receive) -> ProxyRequest:
        """Return the complete request. Raises ``RequestRejected``, ``Overloaded`` and ``ClientGone``."""
        target = target_of(scope)
        lines = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        check_request(scope["method"], target, lines)
        check_protocol(scope["http_version"], lines)
        limit_bytes = self._service.body_limit(scope["method"], target)
        if declared_length(lines) > limit_bytes:
            raise _too_large(limit_bytes)
        try:
            body = await asyncio.wait_for(self._body(receive, limit_bytes), self._body_timeout_seconds)
        except TimeoutError:
            raise BodyMalformed("The body did not come in time.") from None
        return ProxyRequest(
            method=scope["method"],
            target=target,
            lines=lines,
            body=body,
            client=scope["client"][0] if scope.get("client") else "",
            scheme=scope.get("scheme", "http"),
            is_checked=True,
        )

    async def _body(self, receive: Receive, limit_bytes: int) -> bytes:
        """Return the body. Raises ``BodyTooLarge`` once it exceeds the limit, ``Overloaded`` and ``ClientGone``."""
        body = bytearray()
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part = message.get("body", b"")
                body += part
                self._unfinished_bytes += len(part)
                if len(body) > limit_bytes:
                    raise _too_large(limit_bytes)
                if not message.get("more_body", False):
                    return bytes(body)
                if self._unfinished_bytes > MAX_UNFINISHED_BYTES:
                    raise _overloaded(draining=False)
        finally:
            self._unfinished_bytes -= len(body)

    async def _worked(self, request: ProxyRequest) -> ProxyResponse:
        """Return the response to a complete request: a 503 when all places were taken meanwhile."""
        try:
            self._admit()
        except Overloaded as error:
            return problem(error, keyed=False)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            await self._places.acquire()
        except BaseException:
            self._leave()
            raise
        # Not ended when this task is cancelled: the upstream may be executing, and its answer must be recorded.
        return await fibers.start(lambda: self._work(request))

    def _work(self, request: ProxyRequest) -> ProxyResponse:
        try:
            return self._service.handle(request)
        finally:
            self._places.release()
            self._leave()

    def _leave(self) -> None:
        self._in_flight -= 1
        self._metrics.in_flight.dec()
        if not self._in_flight:
            self._all_done.set()

    async def _own(self, path: str) -> ProxyResponse:
        text = (("Content-Type", "text/plain; charset=utf-8"),)
        if path == "/-/health":
            return ProxyResponse(200, text, b"alive\n")
        if path == "/-/metrics":
            return ProxyResponse(200, (("Content-Type", CONTENT_TYPE),), self._metrics.render())
        if path == "/-/ready":
            reason = "draining" if self.draining else await self._not_ready()
            return ProxyResponse(503 if reason else 200, text, f"{reason or 'ready'}\n".encode())
        return ProxyResponse(404, text, b"health, ready and metrics are here\n")

    async def _not_ready(self) -> str:
        if self._probe is None or self._probe.done():
            self._probe = fibers.start(self._service.ready)
        try:
            await asyncio.wait_for(asyncio.shield(self._probe), READY_TIMEOUT_SECONDS)
        except PayonceError as error:
            return f"the store takes no claims: {error.detail}"
        except Exception as error:
            return f"the store does not answer: {type(error).__name__}"
        return ""

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if self._service.config.server.recovery_interval_seconds:
                    self._recovery = asyncio.create_task(self._recover())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.draining = True
                if self._recovery:
                    self._recovery.cancel()
                # Clients that went away left work behind that still must be recorded.
                while self._in_flight:
                    self._all_done.clear()
                    await self._all_done.wait()
                self._at_end()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _recover(self) -> None:
        def report(open_id: str, error: Exception) -> None:
            get_logger().error("claim not recovered", extra={"record_id": open_id, "error": repr(error)})

        interval_seconds = self._service.config.server.recovery_interval_seconds
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                found = await asyncio.shield(fibers.start(lambda: self._service.recover_all(report)))
            except PayonceError as error:
                get_logger().error("recovery run failed", extra={"error": repr(error)})
                continue
            self._metrics.recovered.inc(found.concluded)
            self._metrics.open_claims.set(found.still_open)


def _overloaded(draining: bool) -> Overloaded:
    why = "The process is shutting down" if draining else "There are as many requests as are taken at a time"
    return Overloaded(f"{why}. Nothing was executed; retry.", retry_after_seconds=RETRY_AFTER_SECONDS)


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is over the {limit_bytes} bytes that are taken here.")
