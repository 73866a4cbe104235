"""Django middleware, for views of both kinds: under WSGI it is called as it is, under ASGI it is a coroutine.

Place it behind the middleware that authenticates, and before any that changes what is answered: those around it work
on a replay as on the first answer. https://docs.djangoproject.com/en/stable/topics/http/middleware/
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed, BodyTooLarge, NotExecuted, PayonceError
from payonce.extras import needs
from payonce.idempotency.coroutines import execute_async
from payonce.middlewares.answer import Answer, Collected, check_complete
from payonce.middlewares.django_responses import closed_on_failure, lines_of, response_of, set_length
from payonce.middlewares.guard import AppFailed, Guard
from payonce.middlewares.scopes import scope_text
from payonce.proxy.messages import ProxyRequest

with needs("django"):
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.core.exceptions import RequestDataTooBig
    from django.http import HttpRequest, HttpResponse, UnreadablePostError
    from django.http.response import HttpResponseBase, StreamingHttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from payonce.middlewares.contract import Contract
    from payonce.proxy.messages import ProxyResponse

    type Identity = str | int | None

_CUT = "The body ended before its length."
_LOG = logging.getLogger("payonce.middlewares")


def django_idempotency(
    contract: Contract, *, scope: Callable[[HttpRequest], Identity | Awaitable[Identity]]
) -> Callable[[Callable[..., Any]], DjangoIdempotency]:
    """Return the middleware for a module of yours, which ``MIDDLEWARE`` names.

    ``scope`` returns whose request it is: see ``AsgiIdempotency``. Under WSGI it is no coroutine.
    """
    guard = Guard(contract)

    def middleware(get_response: Callable[..., Any]) -> DjangoIdempotency:
        return DjangoIdempotency(get_response, guard=guard, scope=scope)

    setattr(middleware, "sync_capable", True)  # noqa: B010 - a function's, which mypy does not know
    setattr(middleware, "async_capable", True)  # noqa: B010
    return middleware


class DjangoIdempotency:
    """The middleware of one handler."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[..., Any], *, guard: Guard, scope: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._guard = guard
        self._scope = scope
        self._is_async = iscoroutinefunction(get_response)
        self._running: set[asyncio.Task[Any]] = set()
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response, or under ASGI a coroutine of it."""
        return self._asynchronous(request) if self._is_async else self._synchronous(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note a view's exception: Django makes an answer of it before it comes to ``__call__``."""
        request._payonce_raised = exception

    def _synchronous(self, request: HttpRequest) -> HttpResponseBase:
        if not self._is_keyed(request):
            response: HttpResponseBase = self._get_response(request)
            return response
        try:
            owner = scope_text(self._scope(request))
            keyed = self._request(request)
        except PayonceError as error:
            return response_of(self._guard.problem(error))
        run = _View(self._guard)

        def answer() -> Answer:
            with closed_on_failure(self._get_response(request)) as response:
                return run.collected(request, response)

        try:
            return run.response(self._guard.serve(keyed, owner, answer))
        except AppFailed as failed:
            raise failed.error from failed.error.__cause__

    async def _asynchronous(self, request: HttpRequest) -> HttpResponseBase:
        if not self._is_keyed(request):
            response: HttpResponseBase = await self._get_response(request)
            return response
        try:
            self._guard.check_load(len(self._running))
            identity = self._scope(request)
            owner = scope_text(await identity if inspect.isawaitable(identity) else identity)
            keyed = self._request(request)
        except PayonceError as error:
            return response_of(self._guard.problem(error))
        run = _View(self._guard)

        async def answer() -> Answer:
            with closed_on_failure(await self._get_response(request)) as response:
                return await run.collected_async(request, response)

        # In a task of its own: Django cancels the view when the client is gone, whose effect still must be recorded.
        served = asyncio.create_task(
            execute_async(lambda go: self._guard.serve(keyed, owner, go), answer, clock=self._guard.contract.clock)
        )
        self._running.add(served)
        served.add_done_callback(self._ended)
        try:
            return run.response(await asyncio.shield(served))
        except AppFailed as failed:
            raise failed.error from failed.error.__cause__

    def _ended(self, served: asyncio.Task[Any]) -> None:
        self._running.discard(served)
        if not served.cancelled() and (error := served.exception()) is not None:
            _LOG.debug("a keyed request failed: %r", error)

    def _is_keyed(self, request: HttpRequest) -> bool:
        names = {name.lower() for name in request.headers}
        return self._guard.contract.takes(str(request.method), request.path, names)

    def _request(self, request: HttpRequest) -> ProxyRequest:
        declared = str(request.META.get("CONTENT_LENGTH") or "0")
        self._guard.check_length(int(declared) if declared.isdecimal() else 0)
        try:
            body = request.body
        except RequestDataTooBig:
            raise BodyTooLarge("The body is over DATA_UPLOAD_MAX_MEMORY_SIZE.") from None
        except UnreadablePostError:
            raise BodyMalformed(_CUT) from None
        self._guard.check_length(len(body))
        if declared.isdecimal() and len(body) < int(declared):
            # Django takes what came before the client went away for the body. It must not stand for the key.
            raise BodyMalformed(_CUT)
        return ProxyRequest(
            method=str(request.method),
            target=request.get_full_path(),
            lines=tuple(request.headers.items()),
            body=body,
        )


class _View:
    """One run of the view: its response is collected, and given back itself where that is what was stored."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._own: HttpResponseBase | None = None
        self._body: bytes | None = None

    def collected(self, request: HttpRequest, response: HttpResponseBase) -> Answer:
        """Return the answer in a response. Raises the view's exception if it promises that nothing was executed."""
        _raise_promise(request, self._guard)
        collected = self._collecting()
        if isinstance(response, StreamingHttpResponse):
            for piece in response:
                collected.add(piece)
        else:
            collected.add(response.content)
        return self._answer(response, collected)

    async def collected_async(self, request: HttpRequest, response: HttpResponseBase) -> Answer:
        """See ``collected``."""
        _raise_promise(request, self._guard)
        if not isinstance(response, StreamingHttpResponse):
            return self.collected(request, response)
        collected = self._collecting()
        async for piece in response:
            collected.add(piece)
        return self._answer(response, collected)

    def response(self, served: ProxyResponse) -> HttpResponseBase:
        """Return Django's response: the view's own with the key's state, or one made of what was stored."""
        own = self._own
        if self._is_what_is_served(served) and isinstance(own, HttpResponse):
            for name in ("Idempotency-Replayed", "Idempotency-Expires"):
                value = next((value for found, value in served.lines if found == name), None)
                if value is not None:
                    own[name] = value
            set_length(own)
            return own
        response = response_of(served)
        if own is not None:  # what is closed with the response: files, and what the view has registered
            response._resource_closers.extend(own._resource_closers)
        return response

    def _is_what_is_served(self, served: ProxyResponse) -> bool:
        """Return whether the view's own response is, line by line, what a replay is."""
        if self._own is None or (self._own.status_code, self._body) != (served.status, served.body):
            return False
        own = [line for line in lines_of(self._own) if line[0].lower() != "content-length"]
        return own == list(served.lines)[: len(own)] and len(served.lines) - len(own) in {1, 2}

    def _collecting(self) -> Collected:
        return Collected(self._guard.contract.largest_answer_bytes)

    def _answer(self, response: HttpResponseBase, collected: Collected) -> Answer:
        lines = lines_of(response)
        check_complete(response.status_code, lines, collected.length)
        self._own, self._body = response, collected.body()
        return Answer(response.status_code, lines, self._body)


def _raise_promise(request: HttpRequest, guard: Guard) -> None:
    raised: Exception | None = getattr(request, "_payonce_raised", None)
    if raised is not None and isinstance(raised, (NotExecuted, *guard.contract.releases_on)):
        raise raised
