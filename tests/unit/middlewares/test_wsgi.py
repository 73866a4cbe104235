"""The WSGI middleware: the corners of PEP 3333 that an application may use, and what is recorded of each."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from payonce.middlewares.wsgi import WsgiIdempotency
from tests.support.http import Answer
from tests.support.middlewares.direct import KEY, contract, slug

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def environ(body: bytes = b"{}", **changes: Any) -> dict[str, Any]:
    """Return the environ of a request."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/orders",
        "QUERY_STRING": "a=b",
        "HTTP_IDEMPOTENCY_KEY": KEY,
        "HTTP_X_USER": "ann",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **changes,
    }


def guarded(app: Any, **changes: Any) -> WsgiIdempotency:
    """Return the middleware around an application."""
    return WsgiIdempotency(app, contract=contract(**changes), scope=lambda environ: environ.get("HTTP_X_USER"))


def asked(app: Any, made: dict[str, Any] | None = None) -> Answer:
    """Return the answer to one request, as a server reads and closes it."""
    started: list[Any] = []
    iterable = app(environ() if made is None else made, lambda *parts: started.append(parts))
    try:
        body = b"".join(iterable)
    finally:
        if hasattr(iterable, "close"):
            iterable.close()
    status, lines = started[-1][:2]
    return Answer(int(status.split()[0]), tuple((name.lower(), value) for name, value in lines), body)


class Shop:
    """An application that counts its executions and closings; ``act`` answers."""

    def __init__(self, act: Callable[[Any, Any], Any]) -> None:
        self.executed = self.closed = 0
        self._act = act

    def __call__(self, made: Any, start: Any) -> Any:
        self.executed += 1
        return _Closing(self, self._act(made, start))


class _Closing:
    def __init__(self, shop: Shop, pieces: Any) -> None:
        self._shop, self._pieces = shop, pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    def close(self) -> None:
        self._shop.closed += 1


def lazily(_: Any, start: Any) -> Iterator[bytes]:
    """Start the answer with its first piece, as a generator may."""
    start("201 Created", [("X-A", "1"), ("X-A", "2")])
    yield b"first;"
    yield b"second"


def writing(_: Any, start: Any) -> list[bytes]:
    """Use the ``write`` callable, which PEP 3333 keeps for old applications."""
    write = start("201 Created", [("X-A", "1"), ("X-A", "2")])
    write(b"first;")
    return [b"second"]


def changing(_: Any, start: Any) -> list[bytes]:
    """Replace the head after an error, before a body is there."""
    start("200 OK", [])
    try:
        raise ValueError
    except ValueError:
        start("201 Created", [("X-A", "1"), ("X-A", "2")], sys.exc_info())
    return [b"first;", b"", b"second"]


@pytest.mark.parametrize("act", [lazily, writing, changing])
def test_every_way_to_answer_is_replayed(act: Any) -> None:
    """The same octets and lines; what was returned is closed once, by the server, and never for a replay."""
    shop = Shop(act)
    app = guarded(shop)
    first, again = asked(app), asked(app)
    assert (first.status, first.body, first.all("x-a")) == (201, b"first;second", ["1", "2"])
    assert first.same() == again.same()
    assert again.header("idempotency-replayed") == "true"
    assert (shop.executed, shop.closed) == (1, 1)


def test_it_is_closed_when_the_client_has_its_answer() -> None:
    """``close`` runs what comes after the answer (Werkzeug's ``call_on_close``): not before the server has sent it."""
    shop = Shop(lazily)
    body = guarded(shop)(environ(), lambda *_: None)
    assert (b"".join(body), shop.closed) == (b"first;second", 0)
    body.close()  # type: ignore[attr-defined]
    assert shop.closed == 1


def test_a_failure_in_the_body_is_a_doubt() -> None:
    """It is raised to the server, as without a middleware, and what was opened is closed."""

    def failing(_: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"half"
        raise RuntimeError("after the effect")

    shop = Shop(failing)
    app = guarded(shop)
    with pytest.raises(RuntimeError, match="after the effect"):
        asked(app)
    again = asked(app)
    assert (again.status, slug(again), shop.executed, shop.closed) == (409, "outcome-unknown", 1, 1)


def test_an_answer_shorter_than_its_content_length_is_half_a_one() -> None:
    """Servers end the connection (RFC 9112, section 8): it must not become a whole answer. A 304 has no body."""

    def cut(status: str) -> Any:
        def answer(_: Any, start: Any) -> list[bytes]:
            start(status, [("Content-Length", "5")])
            return [b"half"] if status.startswith("200") else []

        return answer

    shop = Shop(cut("200 OK"))
    app = guarded(shop)
    with pytest.raises(RuntimeError, match="4 of the 5 bytes"):
        asked(app)
    assert (slug(asked(app)), shop.executed, shop.closed) == ("outcome-unknown", 1, 1)
    assert asked(guarded(Shop(cut("304 Not Modified")))).status == 304


def test_an_error_after_the_first_piece_is_raised() -> None:
    """With ``exc_info``, a server that has sent the head raises; nothing half-changed is stored."""

    def late(_: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"half"
        try:
            raise ValueError("too late")
        except ValueError:
            start("500 Oops", [], sys.exc_info())

    app = guarded(Shop(late))
    with pytest.raises(ValueError, match="too late"):
        asked(app)
    assert slug(asked(app)) == "outcome-unknown"


def echoing(made: Any, start: Any) -> list[bytes]:
    """Answer with the body."""
    start("200 OK", [])
    return [made["wsgi.input"].read(int(made["CONTENT_LENGTH"]))]


@pytest.mark.parametrize(
    ("body", "changes", "status"),
    [
        (b"12345", {}, 200),
        (b"12345", {"CONTENT_LENGTH": "9"}, 400),  # the client went away in its body
        (b"12345", {"CONTENT_LENGTH": "+5"}, 400),
        (b"12345", {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}, 200),  # chunked
        (b"x" * 1025, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}, 413),
        (b"x" * 1025, {}, 413),
    ],
)
def test_the_body_is_read_as_the_server_frames_it(body: bytes, changes: Any, status: int) -> None:
    """Half a body and one over the limit are refused before any claim."""
    shop = Shop(echoing)
    app = guarded(shop, max_request_bytes=1024)
    answer = asked(app, environ(body, **changes))
    assert answer.status == status
    assert (answer.body == body, shop.executed) == (status == 200, int(status == 200))


def test_without_a_length_there_is_no_body() -> None:
    """A server that does not end the input would let ``read`` wait for ever (PEP 3333)."""

    class Endless:
        def read(self, *_: Any) -> bytes:
            raise AssertionError("nobody may read")

    app = guarded(Shop(echoing))
    assert asked(app, environ(CONTENT_LENGTH="", **{"wsgi.input": Endless()})).body == b""


def test_what_is_not_keyed_is_not_touched() -> None:
    """The application gets the server's own objects."""
    seen: list[Any] = []
    made = environ(REQUEST_METHOD="GET")
    start = object()
    guarded(lambda *parts: seen.append(parts) or [])(made, start)  # type: ignore[arg-type, func-returns-value]
    assert seen == [(made, start)]


def test_nobody_has_no_scope() -> None:
    """401, and nothing is executed."""
    shop = Shop(lazily)
    assert asked(guarded(shop), environ(HTTP_X_USER="")).status == 401
    assert shop.executed == 0


def test_another_query_is_another_request() -> None:
    """Path and query are part of the request that a key stands for."""
    app = guarded(Shop(lazily))
    asked(app)
    for changes in ({"QUERY_STRING": "a=c"}, {"PATH_INFO": "/refunds"}, {"REQUEST_METHOD": "PUT"}):
        assert slug(asked(app, environ(**changes))) == "key-reused"
