"""WSGI middleware (PEP 3333): Flask, Bottle, Pyramid, and every other application that is a WSGI callable.

The application is called in the request's own thread, and its body is read to its end before the client gets any of it.
"""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.errors import BodyMalformed, PayonceError
from payonce.middlewares.answer import Answer, Collected, check_complete
from payonce.middlewares.guard import AppFailed, Guard
from payonce.middlewares.scopes import scope_text
from payonce.proxy.messages import ProxyRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from payonce.middlewares.contract import Contract
    from payonce.proxy.messages import Lines, ProxyResponse

    type Environ = dict[str, Any]
    type Start = Callable[..., Any]
    type App = Callable[[Environ, Start], Iterable[bytes]]
    type Identity = str | int | None

READ_BYTES = 64 * 1024


class WsgiIdempotency:
    """The middleware: ``app.wsgi_app = WsgiIdempotency(app.wsgi_app, contract=..., scope=...)``.

    ``scope`` returns whose request it is, from the environ: see ``AsgiIdempotency``.
    """

    def __init__(self, app: App, *, contract: Contract, scope: Callable[[Environ], Identity]) -> None:
        self._app = app
        self._scope = scope
        self._guard = Guard(contract)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serve one request. All but keyed requests is passed on untouched."""
        lines = _lines(environ)
        if not self._guard.contract.takes(environ["REQUEST_METHOD"], _path(environ), {name for name, _ in lines}):
            return self._app(environ, start_response)
        try:
            owner = scope_text(self._scope(environ))
            request = self._request(environ, lines)
        except PayonceError as error:
            return _sent(self._guard.problem(error), start_response, lambda: None)
        application = _Application(self._app, environ, request.body, self._guard.contract.largest_answer_bytes)
        try:
            response = self._guard.serve(request, owner, application.answer)
        except AppFailed as failed:
            application.close()
            raise failed.error from failed.error.__cause__
        except BaseException:
            application.close()
            raise
        return _sent(response, start_response, application.close)

    def _request(self, environ: Environ, lines: Lines) -> ProxyRequest:
        query = environ.get("QUERY_STRING", "")
        return ProxyRequest(
            method=environ["REQUEST_METHOD"],
            target=_path(environ) + (f"?{query}" if query else ""),
            lines=lines,
            body=self._body(environ),
        )

    def _body(self, environ: Environ) -> bytes:
        """Return the body. Without a length there is none, unless the server says that it ends the input (chunked)."""
        declared = str(environ.get("CONTENT_LENGTH") or "")
        if declared and not (declared.isascii() and declared.isdigit()):
            raise BodyMalformed("Content-Length must be one number.")
        self._guard.check_length(int(declared or "0"))
        source = environ["wsgi.input"]
        if declared:
            body = _read(source, int(declared))
            if len(body) < int(declared):
                raise BodyMalformed("The body ended before its length.")
            return body
        if not environ.get("wsgi.input_terminated"):
            return b""
        body = _read(source, self._guard.contract.max_request_bytes + 1)
        self._guard.check_length(len(body))
        return body


def _read(source: Any, length: int) -> bytes:
    """Return ``length`` bytes, or all that there are: a server may give less at a time."""
    body = bytearray()
    while len(body) < length and (piece := source.read(min(READ_BYTES, length - len(body)))):
        body += piece
    return bytes(body)


class _Application:
    """One run of the application: it gets the body that was read, and its answer is collected."""

    def __init__(self, app: App, environ: Environ, body: bytes, limit_bytes: int) -> None:
        self._app = app
        self._environ = environ
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        self._collected = Collected(limit_bytes)
        self._status = ""
        self._lines: Lines = ()
        self._iterable: Iterable[bytes] = ()

    def answer(self) -> Answer:
        """Return the complete answer. Raises what the application raises."""
        self._iterable = self._app(self._environ, self._start)
        for piece in self._iterable:
            self._collected.add(piece)
        if not self._status:
            raise RuntimeError("The application returned without calling start_response.")
        status = int(self._status.split(" ", 1)[0])
        check_complete(status, self._lines, self._collected.length)
        return Answer(status, self._lines, self._collected.body())

    def close(self) -> None:
        """Close what the application returned (PEP 3333), which runs what it does after the answer."""
        close = getattr(self._iterable, "close", None)
        self._iterable = ()
        if close is not None:
            close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None and self._collected.length:  # as a server does that has sent the headers
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._lines = status, tuple(headers)
        return self._collected.add


class _Body:
    """The body for the server, which closes it when the client has it."""

    def __init__(self, body: bytes, close: Callable[[], None]) -> None:
        self._body = body
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._body,) if self._body else ())

    def __len__(self) -> int:
        return 1 if self._body else 0


def _sent(response: ProxyResponse, start_response: Start, close: Callable[[], None]) -> Iterable[bytes]:
    bodiless = response.status in {204, 304}
    lines = list(response.lines)
    if not bodiless:
        lines.append(("Content-Length", str(len(response.body))))
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    start_response(f"{response.status} {phrase}", lines)
    return _Body(b"" if bodiless else response.body, close)


def _path(environ: Environ) -> str:
    """Return the path in the form that it is sent in. Servers give it decoded, as octets in latin-1."""
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return quote(path.encode("latin-1"), safe="/!$&'()*+,;=:@-._~") or "/"


def _lines(environ: Environ) -> Lines:
    """Return the header lines, with lower-case names."""
    named = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    named += [(name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)]
    return tuple((name.replace("_", "-").lower(), str(value)) for name, value in named)
