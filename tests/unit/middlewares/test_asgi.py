"""The ASGI middleware: what frameworks, servers and clients do to it, and what other middlewares have failed on.

Cases from outside are cited where they stand.
"""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from payonce.domain.errors import Forbidden, NotExecuted
from payonce.idempotency.attempt import WasExecuted
from payonce.idempotency.operation import current_attempt, run_again
from payonce.middlewares.answer import Answer
from payonce.middlewares.asgi import AsgiIdempotency
from payonce.stores.folder_blobs import FolderBlobs
from tests.support.http import until
from tests.support.middlewares.direct import KEY, LEASE_MS, Connection, contract, slug, user_of
from tests.support.world import RealClock

if TYPE_CHECKING:
    from pathlib import Path


class Shop:
    """An application that counts its executions, and answers with ``response``, or as ``act`` does."""

    def __init__(self, response: Any = None, act: Any = None) -> None:
        self.executed = 0
        self._response = response
        self._act = act

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.executed += 1
        if self._act is not None:
            return await self._act(scope, receive, send)
        response = self._response or JSONResponse({"number": self.executed}, 201)
        return await response(scope, receive, send)


def guarded(shop: Any, scope: Any = user_of, **changes: Any) -> AsgiIdempotency:
    """Return the middleware around an application."""
    return AsgiIdempotency(shop, contract=contract(**changes), scope=scope)


def asked(app: Any, **connection: Any) -> Any:
    """Return the answer to one request."""
    return asyncio.run(Connection(**connection).ask(app))


@pytest.mark.parametrize(
    ("changes", "connection"),
    [
        ({}, {"method": "GET"}),
        ({}, {"method": "HEAD"}),
        ({}, {"headers": {"Idempotency-Key": ""}}),
        ({"routes": ("POST /refunds", "* /orders/{id}")}, {}),
        ({"routes": ("PATCH /orders",)}, {}),
    ],
)
def test_what_is_not_keyed_is_not_touched(changes: Any, connection: Any) -> None:
    """The application gets the server's own objects, so that streams stay streams."""
    seen: list[Any] = []

    async def app(*parts: Any) -> None:
        seen.append(parts)

    one = Connection(**connection)
    asyncio.run(guarded(app, **changes)(one.scope, one.receive, one.send))
    [(scope, receive, send)] = seen
    assert (scope, receive, send) == (one.scope, one.receive, one.send)
    assert scope is one.scope


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_scopes_pass(kind: str) -> None:
    """A conversation is not guarded, and the application's start and end are its own."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])
        await send({"type": "x"})

    async def run() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": f"{kind}.something"}

        async def send(message: Any) -> None:
            sent.append(message)

        await guarded(app)({"type": kind, "headers": [(b"idempotency-key", KEY.encode())]}, receive, send)
        return sent

    assert asyncio.run(run()) == [{"type": "x"}]
    assert seen == [f"{kind}.something"]


def test_nobody_shares_a_scope_with_nobody() -> None:
    """Callers who are not known get 401, and not each other's answers.

    https://github.com/KanishJebaMathewM/Truxify/pull/2387: a fallback "anonymous" gave one caller another's answer.
    """
    for identity in (None, "", "None", "AnonymousUser", str(None), False):
        shop = Shop()
        answer = asked(guarded(shop, scope=lambda _, identity=identity: identity))
        assert (answer.status, slug(answer), shop.executed) == (401, "unauthenticated", 0)


def test_users_keys_are_their_own() -> None:
    """Ids as numbers and texts, from plain functions and coroutines; one key is another key for each user."""

    async def later(scope: Any) -> Any:
        return user_of(scope)

    shop = Shop()
    for app in (guarded(shop), guarded(shop, scope=later), guarded(shop, scope=lambda scope: int(user_of(scope) or 0))):
        before = shop.executed
        for user in ("1", "2", "1"):
            asked(app, headers={"X-User": user})
        assert shop.executed == before + 2


def test_what_the_scope_refuses_is_not_replayed() -> None:
    """A caller who lost the right to an answer does not get it by a retry."""
    banned: set[str] = set()

    def allowed(scope: Any) -> str | None:
        if user_of(scope) in banned:
            raise Forbidden("You may not.")
        return user_of(scope)

    shop = Shop()
    app = guarded(shop, scope=allowed)
    assert asked(app).status == 201
    banned.add("ann")
    assert asked(app).status == 403
    assert shop.executed == 1


@pytest.mark.parametrize(
    "connection",
    [
        {"headers": {"Content-Length": "2000"}, "pieces": [b"x" * 2000]},
        {"headers": {"Transfer-Encoding": "chunked"}, "pieces": [b"x" * 600] * 4},
    ],
)
def test_a_body_over_the_limit_is_refused_before_any_claim(connection: Any) -> None:
    """413, and the connection is closed: the rest of the body is still on it. A shorter body is another try."""
    shop = Shop()
    app = guarded(shop, max_request_bytes=1024)
    answer = asked(app, **connection)
    assert (answer.status, slug(answer), answer.header("connection"), shop.executed) == (
        413,
        "body-too-large",
        "close",
        0,
    )
    assert asked(app, pieces=[b"x" * 1024]).status == 201


def test_a_client_that_goes_away_in_its_body_has_asked_for_nothing() -> None:
    """Half a request is not executed, and blocks no key."""
    shop = Shop()
    app = guarded(shop)
    one = Connection(pieces=[b'{"a":'], is_cut=True)
    asyncio.run(app(one.scope, one.receive, one.send))
    assert (one.sent, shop.executed) == ([], 0)
    assert asked(app, pieces=[b'{"a":', b"1}"]).status == 201


def test_a_body_in_pieces_is_the_same_request() -> None:
    """Chunks are the transport's, not the request's; and the application gets every octet."""
    got: list[bytes] = []

    async def act(scope: Any, receive: Any, send: Any) -> None:
        got.append((await receive())["body"])
        await Response(b"ok")(scope, receive, send)

    shop = Shop(act=act)
    app = guarded(shop)
    asked(app, pieces=[b"a" * 5, b"", b"b" * 5])
    assert asked(app, pieces=[b"a" * 5 + b"b" * 5]).header("idempotency-replayed") == "true"
    assert got == [b"a" * 5 + b"b" * 5]


def test_a_disconnect_does_not_stop_the_application() -> None:
    """A streaming answer is complete for the retry, though the client went away after its first piece.

    Starlette stops a stream when ``receive`` tells it of a disconnect; an answer that is cut would be stored as whole.
    """

    async def pieces() -> Any:
        for number in range(5):
            await asyncio.sleep(0.01)
            yield f"piece {number};".encode()

    async def run() -> tuple[Any, list[Any]]:
        shop = Shop(act=lambda *asgi: StreamingResponse(pieces())(*asgi))
        app = guarded(shop)
        gone = Connection()
        gone.gone.set()
        with suppress(RuntimeError):  # what a server would report, were the answer cut
            await app(gone.scope, gone.receive, gone.send)
        return await Connection().ask(app), gone.sent

    retried, sent = asyncio.run(run())
    assert (retried.header("idempotency-replayed"), sent) == ("true", [])
    assert retried.body == b"piece 0;piece 1;piece 2;piece 3;piece 4;"


def test_a_cancelled_task_is_recorded_nevertheless() -> None:
    """Servers and timeouts around the middleware cancel it: the application goes on, and a retry gets its answer."""

    async def run() -> tuple[Any, int]:
        began = asyncio.Event()

        async def act(scope: Any, receive: Any, send: Any) -> None:
            began.set()
            await asyncio.sleep(0.1)
            await JSONResponse({"done": True})(scope, receive, send)

        shop = Shop(act=act)
        app = guarded(shop)
        one = Connection()
        task = asyncio.create_task(app(one.scope, one.receive, one.send))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await Connection().ask(app), shop.executed

    answer, executed = asyncio.run(run())
    assert (answer.status, answer.header("idempotency-replayed"), executed) == (200, "true", 1)


def test_an_exception_leaves_the_key_in_doubt_and_goes_on_to_the_server() -> None:
    """The effect may have happened: the next try is told so, and does not wait for ever for a request that is over.

    https://github.com/snok/asgi-idempotency-header/issues/16: there the key stayed pending after an exception.
    """

    async def act(*_: Any) -> None:
        raise RuntimeError("after the effect")

    shop = Shop(act=act)
    app = guarded(shop)
    with pytest.raises(RuntimeError, match="after the effect"):
        asked(app)
    again = asked(app)
    assert (again.status, slug(again), shop.executed) == (409, "outcome-unknown", 1)
    assert int(again.header("retry-after")) > 0


def test_a_5xx_is_the_first_callers_alone() -> None:
    """The application's own answer goes to who asked; what it means is not known, so that nobody executes again."""
    shop = Shop(Response(b"oops", 503))
    app = guarded(shop)
    first, again = asked(app), asked(app)
    assert (first.status, first.body, first.header("idempotency-replayed")) == (503, b"oops", "false")
    assert (again.status, slug(again), shop.executed) == (409, "outcome-unknown", 1)


def test_a_status_in_release_frees_the_key() -> None:
    """429 by default: the application says that it did nothing."""
    shop = Shop(Response(b"later", 429, {"Retry-After": "3"}))
    app = guarded(shop)
    answers = [asked(app), asked(app)]
    assert [(a.status, a.body, a.header("retry-after")) for a in answers] == [(429, b"later", "3")] * 2
    assert shop.executed == 2


def test_a_promise_frees_the_key() -> None:
    """``NotExecuted`` is 503, which says that nothing was done; one in ``releases_on`` goes to the server."""

    async def promising(*_: Any) -> None:
        raise NotExecuted("the bank took no connection")

    async def refusing(*_: Any) -> None:
        raise KeyError("no stock")

    shop = Shop(act=promising)
    app = guarded(shop)
    assert [(slug(answer), answer.status) for answer in (asked(app), asked(app))] == [("upstream-unavailable", 503)] * 2
    assert shop.executed == 2
    other = Shop(act=refusing)
    app = guarded(other, releases_on=(KeyError,))
    for _ in range(2):
        with pytest.raises(KeyError):
            asked(app)
    assert other.executed == 2


def test_resolve_settles_a_doubt() -> None:
    """After a failure ``resolve`` says what was executed, and every later try gets that answer."""
    found = Answer.json(201, {"order": 7}, ("Location", "/orders/7"))
    clock = RealClock()
    shop = Shop(Response(b"oops", 500))
    app = guarded(shop, resolve=lambda _: WasExecuted(found), clock=clock)
    assert asked(app).status == 500
    clock.offset_ms += LEASE_MS
    answers = [asked(app), asked(app)]
    assert {(a.status, a.body, a.header("location")) for a in answers} == {(201, b'{"order": 7}', "/orders/7")}
    assert shop.executed == 1


def test_run_again_keeps_the_reference() -> None:
    """An application whose effect is idempotent by ``reference`` may run again: it is told the same one."""
    references: list[str] = []

    async def act(scope: Any, receive: Any, send: Any) -> None:
        references.append(current_attempt().reference)
        await Response(b"", 500 if len(references) == 1 else 201)(scope, receive, send)

    clock = RealClock()
    app = guarded(Shop(act=act), resolve=run_again, clock=clock)
    assert asked(app).status == 500
    assert slug(asked(app)) == "outcome-unknown"  # what the first has started may still go on
    clock.offset_ms += LEASE_MS
    assert asked(app).status == 201
    assert len(set(references)) == 1
    assert len(references) == 2


def test_a_later_owners_promise_keeps_the_doubt() -> None:
    """It has done nothing, but the first may have: the key stays, with its reference, and is asked about at once."""
    references: list[str] = []

    async def act(scope: Any, receive: Any, send: Any) -> None:
        references.append(current_attempt().reference)
        if len(references) == 2:
            raise NotExecuted("the bank took no connection")
        await Response(b"", (500, 0, 429, 201)[len(references) - 1])(scope, receive, send)

    clock = RealClock()
    app = guarded(Shop(act=act), resolve=run_again, clock=clock)
    statuses = []
    for _ in range(4):
        statuses.append(asked(app).status)
        clock.offset_ms += LEASE_MS
    assert statuses == [500, 409, 429, 201]
    assert len(set(references)) == 1


def test_a_resolve_that_fails_settles_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is asked again; the client is told that the outcome is not known, and the log why."""

    def failing(_: Any) -> Any:
        raise OSError("the database is away")

    clock = RealClock()
    shop = Shop(Response(b"oops", 500))
    app = guarded(shop, resolve=failing, clock=clock)
    asked(app)
    clock.offset_ms += LEASE_MS
    assert (slug(asked(app)), shop.executed) == ("outcome-unknown", 1)
    assert "the database is away" in caplog.text


def test_an_application_that_outlives_its_lease_has_no_say() -> None:
    """Another owner took the key over and has answered: its answer stands, and the late one is not told."""
    clock = RealClock()

    async def run() -> tuple[Any, Any, Any]:
        may_end, began = asyncio.Event(), asyncio.Event()
        answers = iter((b"late", b"in time"))

        async def act(scope: Any, receive: Any, send: Any) -> None:
            body = next(answers)
            if body == b"late":
                began.set()
                await may_end.wait()
            await Response(body, 201)(scope, receive, send)

        app = guarded(Shop(act=act), resolve=run_again, clock=clock)
        first = asyncio.create_task(Connection().ask(app))
        await began.wait()
        clock.offset_ms += LEASE_MS
        second = await Connection().ask(app)
        clock.offset_ms += LEASE_MS
        second = second if second.status == 201 else await Connection().ask(app)
        may_end.set()
        return await first, second, await Connection().ask(app)

    late, second, third = asyncio.run(run())
    assert (late.status, slug(late)) == (409, "key-in-progress")
    assert (second.status, second.body) == (third.status, third.body) == (201, b"in time")


def test_background_tasks_run_once_and_after_the_answer() -> None:
    """The key is concluded by the answer. A replay starts no task.

    https://github.com/VibeTensor/attestix/pull/128: a middleware that rebuilt the response lost its tasks.
    """

    async def run() -> tuple[list[str], Any]:
        done: list[str] = []
        may_end = asyncio.Event()

        async def task() -> None:
            await may_end.wait()
            done.append("task")

        shop = Shop(act=lambda *asgi: JSONResponse({}, background=BackgroundTask(task))(*asgi))
        app = guarded(shop)
        one = Connection()
        serving = asyncio.create_task(app(one.scope, one.receive, one.send))
        await asyncio.wait_for(one.answered.wait(), 5)
        done.append("answered")
        retried = await Connection().ask(app)
        may_end.set()
        await serving
        return done, retried

    done, retried = asyncio.run(run())
    assert done == ["answered", "task"]
    assert retried.header("idempotency-replayed") == "true"


def test_a_failing_background_task_is_the_servers_to_report() -> None:
    """It fails after the answer: the key keeps it. Nor does a client that is gone stop the task.

    https://github.com/Kludex/starlette/issues/1438: tasks were cancelled when the client closed its connection.
    """

    async def run() -> Any:
        async def task() -> None:
            raise RuntimeError("in the background")

        app = guarded(Shop(act=lambda *asgi: JSONResponse({}, background=BackgroundTask(task))(*asgi)))
        one = Connection()
        one.gone.set()
        with pytest.raises(RuntimeError, match="in the background"):
            await app(one.scope, one.receive, one.send)
        return await Connection().ask(app)

    assert asyncio.run(run()).header("idempotency-replayed") == "true"


def test_an_answer_over_the_limit_was_executed_all_the_same(tmp_path: Path) -> None:
    """Without a place for it every try is told so, the first too; with one, it is replayed in full."""
    octets = bytes(range(256)) * 16
    shop = Shop(Response(octets, 201, {"Location": "/orders/1"}))
    app = guarded(shop, max_inline_bytes=1024)
    for answer in (asked(app), asked(app)):
        assert (answer.status, slug(answer), answer.json()["resource"]) == (502, "response-too-large", "/orders/1")
    assert shop.executed == 1
    app = guarded(shop, max_inline_bytes=1024, blobs=FolderBlobs(tmp_path))
    assert [answer.body == octets for answer in (asked(app), asked(app))] == [True, True]
    assert shop.executed == 2


def test_a_file_that_the_server_would_send_itself(tmp_path: Path) -> None:
    """Starlette gives a path to servers that offer ``http.response.pathsend``: the body would not be seen here."""
    file = tmp_path / "receipt"
    file.write_bytes(b"a receipt")
    app = guarded(Shop(act=lambda *asgi: FileResponse(file)(*asgi)))
    offered = {"http.response.pathsend": {}, "tls": {}}
    with suppress(RuntimeError):  # what a server would report, had the body gone another way
        assert asked(app, extensions=offered).body == b"a receipt"
    assert asked(app, extensions=offered).body == b"a receipt"


def test_an_application_without_a_complete_answer_is_in_doubt() -> None:
    """It has ended, or half an answer came: neither is what a retry may be given."""

    async def half(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    app = guarded(Shop(act=half))
    with pytest.raises(RuntimeError, match="without a complete answer"):
        asked(app)
    assert slug(asked(app)) == "outcome-unknown"


@pytest.mark.parametrize("promised", ["5", "4"])
def test_an_answer_shorter_than_its_content_length_is_half_a_one(promised: str) -> None:
    """Servers refuse it (RFC 9112, section 8, calls such a message incomplete): it must not become a whole answer.

    Starlette ends an answer properly whose source failed half-way, where a ``BaseHTTPMiddleware`` stands between.
    """

    async def cut(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", promised.encode())]})
        await send({"type": "http.response.body", "body": b"half"})

    app = guarded(Shop(act=cut))
    if promised == "4":
        assert [asked(app).body, asked(app).body] == [b"half", b"half"]
        return
    with pytest.raises(RuntimeError, match="4 of the 5 bytes"):
        asked(app)
    assert slug(asked(app)) == "outcome-unknown"


def test_more_requests_than_may_be_in_flight_are_refused_before_any_claim() -> None:
    """A flood of duplicates occupies no more threads than the contract says."""

    async def run() -> tuple[Any, Any]:
        may_end, began = asyncio.Event(), asyncio.Event()

        async def act(scope: Any, receive: Any, send: Any) -> None:
            began.set()
            await may_end.wait()
            await Response(b"")(scope, receive, send)

        app = guarded(Shop(act=act), max_in_flight=1)
        one = Connection()
        first = asyncio.create_task(one.ask(app))
        await began.wait()
        refused = await Connection(headers={"Idempotency-Key": KEY + "-other"}).ask(app)
        may_end.set()
        return await first, refused

    first, refused = asyncio.run(run())
    assert (first.status, refused.status, slug(refused)) == (200, 503, "overloaded")


def test_the_end_of_the_process_waits_for_what_is_in_flight() -> None:
    """Its client is gone, but its answer still must be recorded while the application has its database."""

    async def run() -> list[str]:
        events: list[str] = []
        began = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                events.append((await receive())["type"])
                return
            began.set()
            await asyncio.sleep(0.1)
            await Response(b"")(scope, receive, send)
            events.append("answered")

        middleware = guarded(app)
        one = Connection()
        cancelled = asyncio.create_task(middleware(one.scope, one.receive, one.send))
        await began.wait()
        cancelled.cancel()

        async def shutdown() -> Any:
            return {"type": "lifespan.shutdown"}

        await middleware({"type": "lifespan"}, shutdown, one.send)
        return events

    assert asyncio.run(run()) == ["answered", "lifespan.shutdown"]


def test_the_applications_context_is_the_requests() -> None:
    """What a middleware around has set is there (a trace's id), and what routing found is there for it afterwards."""
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")
    seen: list[str] = []

    async def act(scope: Any, receive: Any, send: Any) -> None:
        seen.append(trace.get())
        scope["route"] = "/orders"
        await Response(b"")(scope, receive, send)

    async def run() -> Any:
        trace.set("t-1")
        one = Connection()
        await one.ask(guarded(Shop(act=act)))
        return one.scope["route"]

    assert asyncio.run(run()) == "/orders"
    assert seen == ["t-1"]


def test_a_process_that_ends_under_a_request_leaves_it_in_doubt() -> None:
    """The loop is closed while the application works: its claim is open or in doubt, and nobody executes again."""
    clock = RealClock()
    settings = contract(clock=clock)
    began: list[int] = []

    async def act(*_: Any) -> None:
        began.append(1)
        await asyncio.sleep(60)

    async def run() -> None:
        one = Connection()
        task = asyncio.create_task(app(one.scope, one.receive, one.send))
        while not began:
            await asyncio.sleep(0.01)
        task.cancel()

    shop = Shop(act=act)
    app = AsgiIdempotency(shop, contract=settings, scope=user_of)
    asyncio.run(run())
    clock.offset_ms += LEASE_MS
    until(lambda: asked(app).status == 409)
    assert (slug(asked(app)), shop.executed) == ("outcome-unknown", 1)
