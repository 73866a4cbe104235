"""Serves the order service in one framework: ``python -m tests.support.middlewares.server KIND PORT STORE LOG``.

``STORE`` is JSON as in the sidecar's configuration, and ``LOG`` the file of executions, or "-" for memory.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from payonce.middlewares.contract import Contract
from payonce.proxy.config_process import Store
from payonce.wiring.proxy import make_store
from tests.support.middlewares import applications
from tests.support.middlewares.orders import Orders
from tests.support.proxy import TENANT, function_answer

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
ASGI = ("fastapi", "starlette", "django asgi")
WSGI = ("flask", "django wsgi")
LAMBDA = ("lambda 1.0", "lambda 2.0", "powertools")
KINDS = (*ASGI, *WSGI, *LAMBDA)
TIMEOUT_SECONDS = 20


def main(kind: str, port: int, store: str, log: str) -> None:
    """Serve until the process is ended."""
    logging.disable()  # Django tells of each 4xx
    contract = Contract(
        store=make_store(Store(**json.loads(store))), timeout_seconds=TIMEOUT_SECONDS, required=True, operation="orders"
    )
    orders = Orders(None if log == "-" else Path(log))
    if kind in ASGI:
        _serve_asgi(_asgi(kind, contract, orders), port)
    elif kind in WSGI:
        _serve_wsgi(_wsgi(kind, contract, orders), port)
    else:
        make = applications.powertools_handler if kind == "powertools" else applications.lambda_handler
        handler = make(contract, orders)
        _Server((HOST, port), _front(handler, second=kind == "lambda 2.0")).serve_forever()


def _asgi(kind: str, contract: Contract, orders: Orders) -> Any:
    if kind == "django asgi":
        from tests.support.middlewares.django_service import application

        return application(contract, orders, is_async=True)
    return (applications.fastapi_app if kind == "fastapi" else applications.starlette_app)(contract, orders)


def _wsgi(kind: str, contract: Contract, orders: Orders) -> Any:
    if kind == "django wsgi":
        from tests.support.middlewares.django_service import application

        return application(contract, orders, is_async=False)
    return applications.flask_app(contract, orders)


def _serve_asgi(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, host=HOST, port=port, log_level="error", lifespan="off" if "ASGIHandler" in repr(app) else "on")


def _serve_wsgi(app: Any, port: int) -> None:
    make_server(HOST, port, app, server_class=_ThreadingWsgi, handler_class=_Silent).serve_forever()


class _ThreadingWsgi(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that clients have cut."""


class _Whole:
    """A stream that ends within no line. To Python's ``http.server`` a head that is cut off is a whole request."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readline(self, *limit: int) -> bytes:
        line: bytes = self._stream.readline(*limit)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection was cut within the head")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Silent(WSGIRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.rfile = _Whole(self.rfile)  # type: ignore[assignment]

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that clients have cut."""


def _front(handler: Callable[[dict[str, Any], Any], Any], *, second: bool) -> type[BaseHTTPRequestHandler]:
    """Return what API Gateway is to a function: it makes events of requests, and answers of what is returned."""

    class Front(BaseHTTPRequestHandler):
        def setup(self) -> None:
            super().setup()
            self.rfile = _Whole(self.rfile)  # type: ignore[assignment]

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            """Ask the function."""
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                return  # API Gateway calls no function for half a request
            made = (_second_event if second else _first_event)(self, body)
            answer = function_answer(handler(made, applications.context()))
            self.send_response(answer.status)
            for name, value in answer.lines:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST

    return Front


def _caller(request: BaseHTTPRequestHandler) -> dict[str, Any]:
    return {"authorizer": {"tenant": request.headers.get(TENANT)}, "identity": {"sourceIp": "192.0.2.7"}}


def _first_event(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    url = urlsplit(request.path)
    return {
        "httpMethod": request.command,
        "path": unquote(url.path),
        "headers": dict(request.headers.items()),
        "multiValueHeaders": {name: request.headers.get_all(name) for name in request.headers},
        "multiValueQueryStringParameters": parse_qs(url.query) or None,
        "queryStringParameters": {name: values[-1] for name, values in parse_qs(url.query).items()} or None,
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {**_caller(request), "stage": "prod", "requestId": "request-1"},
    }


def _second_event(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    url = urlsplit(request.path)
    return {
        "version": "2.0",
        "rawPath": unquote(url.path),
        "rawQueryString": url.query,
        "headers": {name.lower(): ",".join(request.headers.get_all(name) or ()) for name in request.headers},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {**_caller(request), "http": {"method": request.command, "path": url.path}},
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
