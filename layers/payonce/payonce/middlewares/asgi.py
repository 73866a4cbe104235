"""ASGI middleware: Starlette, FastAPI, Quart, Litestar, and whatever else speaks ASGI 3 on asyncio.

::

    scope, body (up to the limit) ─▶ engine, in a thread ─▶ app, on this loop ─▶ answer complete ─▶ recorded ─▶ sent
                                        └ replays, waits, refuses                      └ background tasks go on ┘

The application's answer is collected before the client gets any of it: what was not recorded was not said. A client
that goes away, and a cancelled task, end nothing: the application's answer is recorded, and a retry gets it.
https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.idempotency.coroutines import execute_async
from payonce.middlewares.answer import Answer, Collected, check_complete
from payonce.middlewares.guard import AppFailed, Guard
from payonce.middlewares.scopes import scope_text
from payonce.proxy.asgi_messages import send_response, target_of
from payonce.proxy.messages import ProxyRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from payonce.middlewares.contract import Contract
    from payonce.proxy.messages import ProxyResponse

    type Message = MutableMapping[str, Any]
    type Receive = Callable[[], Awaitable[Message]]
    type Send = Callable[[Message], Awaitable[None]]
    type App = Callable[[Message, Receive, Send], Awaitable[None]]
    type Identity = str | int | None

_LOG = logging.getLogger("payonce.middlewares")


class ClientGone(Exception):
    """The client went away before its request was complete. Nothing was claimed."""


class AsgiIdempotency:
    """The middleware.

    ``scope`` returns whose request it is, from the ASGI scope (a number or text, or a coroutine of one): keys of
    different callers are different keys. It is asked for replays, too, so what it refuses is not replayed: it may raise
    ``Unauthenticated`` or ``Forbidden`` (``payonce.domain.errors``).
    """

    def __init__(
        self, app: App, *, contract: Contract, scope: Callable[[Message], Identity | Awaitable[Identity]]
    ) -> None:
        self._app = app
        self._scope = scope
        self._guard = Guard(contract)
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope. All but keyed requests is passed on untouched."""
        if scope["type"] == "lifespan":
            await self._app(scope, self._draining(receive), send)
        elif scope["type"] == "http" and self._is_keyed(scope):
            await self._keyed(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_keyed(self, scope: Message) -> bool:
        names = {name.decode("latin-1").lower() for name, _ in scope["headers"]}
        return self._guard.contract.takes(scope["method"], target_of(scope), names)

    async def _keyed(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            self._guard.check_load(len(self._running))
            identity = self._scope(scope)
            owner = scope_text(await identity if inspect.isawaitable(identity) else identity)
            request = await self._request(scope, receive)
        except ClientGone:
            return
        except PayonceError as error:
            # The rest of the body was not read: the connection can't serve another request (RFC 9112, 9.3).
            await send_response(send, scope["method"], self._guard.problem(error), close=scope["http_version"] == "1.1")
            return
        application = _Application(self._app, scope, request.body, self._guard.contract.largest_answer_bytes)
        served = self._begin(request, owner, application)
        try:
            response = await asyncio.shield(served)
        except AppFailed as failed:
            raise failed.error from failed.error.__cause__
        with suppress(OSError):  # the client is gone (ASGI 2.4): what is recorded waits for its retry
            await send_response(send, scope["method"], response)
        await application.rest()

    def _begin(self, request: ProxyRequest, owner: str, application: _Application) -> asyncio.Task[ProxyResponse]:
        """Start to serve in a task of its own, which a cancellation of the caller does not end."""
        clock = self._guard.contract.clock
        served: asyncio.Task[ProxyResponse] = asyncio.create_task(
            execute_async(lambda run: self._guard.serve(request, owner, run), application.answer, clock=clock)
        )
        self._running.add(served)
        served.add_done_callback(self._ended)
        return served

    def _ended(self, served: asyncio.Task[ProxyResponse]) -> None:
        self._running.discard(served)
        # Looked at here, so that asyncio does not report it as lost when nobody waits any longer.
        if not served.cancelled() and (error := served.exception()) is not None:
            _LOG.debug("a keyed request failed: %r", error)

    async def _request(self, scope: Message, receive: Receive) -> ProxyRequest:
        lines = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        declared = next((value for name, value in lines if name.lower() == "content-length"), "")
        self._guard.check_length(int(declared) if declared.isdecimal() else 0)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            self._guard.check_length(len(body))
            if not message.get("more_body", False):
                return ProxyRequest(method=scope["method"], target=target_of(scope), lines=lines, body=bytes(body))

    def _draining(self, receive: Receive) -> Receive:
        """Return a ``receive`` that lets requests in flight be recorded before the application shuts down."""

        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self._running:
                await asyncio.wait(self._running, timeout=self._guard.contract.timeout_seconds)
            return message

        return received


class _Application:
    """One run of the application: it gets the body that was read, and its answer is collected.

    It learns of no disconnect before its answer is complete: frameworks stop half-way when they hear of one. Extensions
    that send an answer past ``http.response.body`` (pathsend, trailers, ...) are not offered to it.
    """

    def __init__(self, app: App, scope: Message, body: bytes, limit_bytes: int) -> None:
        self._app = app
        self._outer = scope
        offered = scope.get("extensions") or {}
        kept = {name: value for name, value in offered.items() if not name.startswith("http.response")}
        self._scope = {**scope, "extensions": kept}
        self._body: bytes | None = body
        self._status = 0
        self._lines: tuple[tuple[str, str], ...] = ()
        self._collected = Collected(limit_bytes)
        self._is_complete = False
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def answer(self) -> Answer:
        """Return the complete answer, while background tasks go on. Raises what the application raises before it."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._done.set())
        try:
            await self._done.wait()
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        if not self._is_complete:
            self._task.result()
            raise RuntimeError("The application returned without a complete answer.")
        check_complete(self._status, self._lines, self._collected.length)
        return Answer(self._status, self._lines, self._collected.body())

    async def rest(self) -> None:
        """Wait for what the application does after its answer, and raise what that raises."""
        if self._is_complete and self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            for name, value in self._scope.items():  # such as the route, which metrics around us read
                self._outer.setdefault(name, value)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._done.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._lines = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())
            )
        elif message["type"] == "http.response.body" and not self._is_complete:
            self._collected.add(message.get("body", b""))
            if not message.get("more_body", False):
                self._is_complete = True
                self._done.set()
