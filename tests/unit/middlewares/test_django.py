"""The Django middleware: what views and other middlewares do, in both kinds of handlers."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from django.conf import settings

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", DATA_UPLOAD_MAX_MEMORY_SIZE=2_000)

from django.core.handlers.exception import convert_exception_to_response
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import RequestFactory

from payonce.domain.errors import NotExecuted
from payonce.middlewares.django import django_idempotency
from tests.support.http import Answer
from tests.support.middlewares.direct import KEY, contract, slug


def request(body: bytes = b"{}", **headers: str) -> Any:
    """Return a request of Ann's."""
    given = {"idempotency-key": KEY, "x-user": "ann", **headers}
    return RequestFactory().post("/orders?a=b", body, content_type="application/json", headers=given)


def user_of(made: Any) -> str | None:
    """Return whose request it is."""
    found: str | None = made.headers.get("x-user")
    return found


class Shop:
    """A handler around a view, as Django makes it: exceptions become answers, after ``process_exception``."""

    def __init__(self, view: Any, **changes: Any) -> None:
        self.executed = 0
        self._view = view
        self._middleware = django_idempotency(contract(**changes), scope=user_of)(
            self._asynchronous if asyncio.iscoroutinefunction(view) else self._synchronous
        )

    def ask(self, made: Any = None) -> Any:
        """Return Django's response."""
        if asyncio.iscoroutinefunction(self._view):
            return self.ask_as_it_is(made)
        return convert_exception_to_response(self._middleware)(made or request())

    def ask_as_it_is(self, made: Any = None) -> Any:
        """Return the middleware's response. Raises what it raises."""
        asked = self._middleware(made or request())
        return asyncio.run(asked) if asyncio.iscoroutinefunction(self._view) else asked

    def _synchronous(self, made: Any) -> Any:
        self.executed += 1
        try:
            return self._view(made)
        except Exception as error:
            self._middleware.process_exception(made, error)
            return HttpResponse(b"Server Error (500)", status=500)

    async def _asynchronous(self, made: Any) -> Any:
        self.executed += 1
        return await self._view(made)


def answer_of(response: Any) -> Answer:
    """Return what Django's handlers send for a response."""
    lines = [(name.lower(), value) for name, value in response.items()]
    lines += [("set-cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return Answer(response.status_code, tuple(lines), b"".join(response))


def test_a_response_is_the_views_own_and_its_replay_is_equal() -> None:
    """Attributes that tests and outer middlewares look at are kept; cookies come back with every attribute."""

    def view(_: Any) -> Any:
        response = JsonResponse({"number": 1}, status=201)
        response.mark = "the view's"
        response.set_cookie("a", "1", max_age=60, httponly=True, samesite="Lax")
        response.set_cookie("b", "x y", secure=True)
        response["Location"] = "/orders/1"
        return response

    shop = Shop(view)
    first, again = shop.ask(), shop.ask()
    assert first.mark == "the view's"
    assert answer_of(first).same() == answer_of(again).same()
    assert len(answer_of(again).all("set-cookie")) == 2
    assert (first["Idempotency-Replayed"], again["Idempotency-Replayed"], shop.executed) == ("false", "true", 1)


def test_streams_are_collected_and_files_closed() -> None:
    """A stream, a file, and an asynchronous stream are replayed as they were sent."""
    closed: list[str] = []

    class File:
        def __init__(self) -> None:
            self._left = [b"a", b"b"]

        def read(self, *_: Any) -> bytes:
            return self._left.pop(0) if self._left else b""

        def close(self) -> None:
            closed.append("file")

    async def pieces() -> Any:
        yield b"a"
        yield b"b"

    async def asynchronous(_: Any) -> Any:
        return StreamingHttpResponse(pieces(), content_type="text/plain")

    for view in (
        lambda _: StreamingHttpResponse(iter([b"a", b"b"]), content_type="text/plain"),
        lambda _: FileResponse(File(), content_type="text/plain"),
        asynchronous,
    ):
        shop = Shop(view)
        first, again = shop.ask(), shop.ask()
        assert answer_of(first).same() == answer_of(again).same()
        assert (again.content, shop.executed) == (b"ab", 1)
        first.close()
    assert closed == ["file"]


def test_an_answer_shorter_than_its_content_length_is_half_a_one() -> None:
    """A file that was cut while it was sent: servers end the connection, and it must not become a whole answer.

    What the view has opened is closed, as Django closes it with a response.
    """

    async def pieces() -> Any:
        yield b"half"

    def view(_: Any) -> Any:
        response = FileResponse(file)
        response["Content-Length"] = "5"  # what the file was when it was opened
        return response

    async def asynchronous(_: Any) -> Any:
        response = StreamingHttpResponse(pieces(), headers={"Content-Length": "5"})
        response._resource_closers.append(file.close)
        return response

    for either in (view, asynchronous):
        file = io.BytesIO(b"half")
        shop = Shop(either)
        with pytest.raises(RuntimeError, match="4 of the 5 bytes"):
            shop.ask_as_it_is()
        again = shop.ask()
        assert (again.status_code, slug(answer_of(again)), shop.executed) == (409, "outcome-unknown", 1)
        assert file.closed


def test_an_exception_of_the_view_is_djangos_500_and_a_doubt() -> None:
    """The first caller gets what Django makes of it."""

    def view(_: Any) -> Any:
        raise RuntimeError("after the effect")

    shop = Shop(view)
    first, again = shop.ask(), shop.ask()
    assert (first.status_code, first.content, first["Idempotency-Replayed"]) == (500, b"Server Error (500)", "false")
    assert (again.status_code, slug(answer_of(again)), shop.executed) == (409, "outcome-unknown", 1)


def test_a_views_promise_frees_the_key() -> None:
    """Django has made a 500 of it already: the middleware was told by ``process_exception``."""

    def view(_: Any) -> Any:
        raise NotExecuted("no stock was taken")

    shop = Shop(view)
    answers = [answer_of(shop.ask()) for _ in range(2)]
    assert [(answer.status, slug(answer)) for answer in answers] == [(503, "upstream-unavailable")] * 2
    assert shop.executed == 2


def test_a_cancelled_view_goes_on() -> None:
    """Django cancels a view when its client is gone (ASGI): a retry gets the answer."""

    async def run() -> tuple[Any, int]:
        began = asyncio.Event()

        async def view(_: Any) -> Any:
            began.set()
            await asyncio.sleep(0.1)
            return HttpResponse(b"done")

        shop = Shop(view)
        task = asyncio.ensure_future(shop._middleware(request()))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await shop._middleware(request()), shop.executed

    response, executed = asyncio.run(run())
    assert (response.content, response["Idempotency-Replayed"], executed) == (b"done", "true", 1)


def test_a_header_of_the_connection_is_not_replayed_or_sent() -> None:
    """It stands for a connection that is over; the first answer and its replay are the same."""

    def view(_: Any) -> Any:
        return HttpResponse(b"", headers={"Keep-Alive": "timeout=5", "Idempotency-Replayed": "true", "X-A": "1"})

    shop = Shop(view)
    first, again = answer_of(shop.ask()), answer_of(shop.ask())
    assert (first.header("keep-alive"), first.header("idempotency-replayed"), first.header("x-a")) == ("", "false", "1")
    assert first.same() == again.same()


def test_bodies_over_a_limit_and_nobody() -> None:
    """Refused before any claim, also by Django's own limit."""
    shop = Shop(lambda _: HttpResponse(b""), max_request_bytes=3_000)
    assert [shop.ask(request(b"x" * size)).status_code for size in (3_001, 2_500, 1_000)] == [413, 413, 200]
    assert shop.ask(request(**{"x-user": ""})).status_code == 401
    assert shop.executed == 1


def test_half_a_body_is_none() -> None:
    """Django gives a view what came before the client went away: its retry would be another request under the key."""
    shop = Shop(lambda made: HttpResponse(made.body))
    cut = request(b'{"amount": 10')
    cut.META["CONTENT_LENGTH"] = "16"
    assert (shop.ask(cut).status_code, shop.executed) == (400, 0)
    assert shop.ask(request(b'{"amount": 1000}')).content == b'{"amount": 1000}'


def test_what_is_not_keyed_passes() -> None:
    """A read, and a request without a key where none is required."""
    shop = Shop(lambda _: HttpResponse(b"read"))
    for made in (RequestFactory().get("/orders", headers={"idempotency-key": KEY}), RequestFactory().post("/orders")):
        assert "Idempotency-Replayed" not in shop.ask(made)
    assert shop.executed == 2
