"""The order service as an application of each framework, behind its middleware."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

from payonce.middlewares.asgi import AsgiIdempotency
from payonce.middlewares.lambda_handler import idempotent_handler
from payonce.middlewares.wsgi import WsgiIdempotency
from tests.support.events import Context
from tests.support.proxy import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.middlewares.contract import Contract
    from tests.support.middlewares.orders import Orders, Reply

    type Request = tuple[str, str, bytes | None, Mapping[str, str]]  # method, target, body, headers

TENANT_NAME = TENANT.lower().encode()


def tenant_of(scope: Mapping[str, Any]) -> str | None:
    """Return the tenant of an ASGI scope."""
    return next((value.decode() for name, value in scope["headers"] if name == TENANT_NAME), None)


def fastapi_app(contract: Contract, orders: Orders) -> Any:
    """Return the application in FastAPI, whose answers are streamed in pieces."""
    from starlette.responses import Response, StreamingResponse

    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def read(path: str) -> Response:
        return _starlette(Response, orders.read(f"/{path}"))

    @app.post("/{path:path}")
    async def execute(path: str, request: Request) -> Response:
        reply = await orders.execute_async(f"/{path}", request.url.query, await request.body())
        if reply.status == 204:
            return _starlette(Response, reply)
        pieces = [reply.body[at : at + 100] for at in range(0, len(reply.body), 100)]

        async def streamed() -> Any:
            for piece in pieces:
                yield piece

        return _starlette(StreamingResponse, reply, streamed())

    app.add_middleware(AsgiIdempotency, contract=contract, scope=tenant_of)
    return app


def starlette_app(contract: Contract, orders: Orders) -> Any:
    """Return the application in Starlette, with plain functions, which run in threads, and a ``BaseHTTPMiddleware``."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import Response
    from starlette.routing import Route

    async def serve(request: Request) -> Response:
        path = request.url.path
        if request.method in {"GET", "HEAD"}:
            return _starlette(Response, orders.read(path))
        body = await request.body()
        return _starlette(Response, await run_in_threadpool(orders.execute, path, request.url.query, body))

    async def around(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    return Starlette(
        routes=[Route("/{path:path}", serve, methods=["GET", "HEAD", "POST"])],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=around),
            Middleware(AsgiIdempotency, contract=contract, scope=tenant_of),
            Middleware(BaseHTTPMiddleware, dispatch=around),
        ],
    )


def _starlette(kind: Any, reply: Reply, content: Any = None) -> Any:
    response = kind(reply.body if content is None else content, status_code=reply.status)
    own = [(name, value) for name, value in response.raw_headers if name == b"content-length"]
    response.raw_headers = [(name.lower().encode(), value.encode()) for name, value in reply.lines] + own
    return response


def flask_app(contract: Contract, orders: Orders) -> Any:
    """Return the application in Flask, whose answers are streamed in pieces."""
    from flask import Flask, Response, request

    app = Flask(__name__)

    @app.route("/<path:path>", methods=["GET", "HEAD"])
    def read(path: str) -> Response:
        return _flask(orders.read(f"/{path}"))

    @app.route("/<path:path>", methods=["POST"])
    def execute(path: str) -> Response:
        query = request.query_string.decode()
        return _flask(orders.execute(f"/{path}", query, request.get_data()))

    def _flask(reply: Reply) -> Response:
        pieces = (reply.body[at : at + 100] for at in range(0, len(reply.body), 100))
        response = Response(pieces, status=reply.status)
        response.headers.clear()
        for name, value in reply.lines:
            response.headers.add(name, value)
        return response

    app.wsgi_app = WsgiIdempotency(  # type: ignore[method-assign]
        app.wsgi_app, contract=contract, scope=lambda environ: environ.get(f"HTTP_{TENANT.upper().replace('-', '_')}")
    )
    return app


def lambda_handler(contract: Contract, orders: Orders) -> Callable[[dict[str, Any], Any], Any]:
    """Return a handler of API Gateway's events in either format, which answers in the same."""

    @idempotent_handler(contract, scope=lambda event: event["requestContext"]["authorizer"].get("tenant"))
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        del context
        second = event.get("version") == "2.0"
        method = event["requestContext"]["http"]["method"] if second else event["httpMethod"]
        path = event["rawPath"] if second else event["path"]
        if method in {"GET", "HEAD"}:
            return _returned(orders.read(path), second=second)
        many = event.get("multiValueQueryStringParameters") or {}
        query = event["rawQueryString"] if second else "&".join(f"{n}={v}" for n, vs in many.items() for v in vs)
        return _returned(orders.execute(path, query, base64.b64decode(event.get("body") or "")), second=second)

    return handler


def powertools_handler(contract: Contract, orders: Orders) -> Callable[[dict[str, Any], Any], Any]:
    """Return a handler that Powertools' event handler resolves."""
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

    app = APIGatewayRestResolver()

    @app.route(".+", method=["GET", "HEAD"])
    def read() -> Any:
        return _powertools(orders.read(app.current_event.path))

    @app.post(".+")
    def execute() -> Any:
        many = app.current_event.get("multiValueQueryStringParameters") or {}
        query = "&".join(f"{name}={value}" for name, values in many.items() for value in values)
        body = base64.b64decode(app.current_event.get("body") or "")
        return _powertools(orders.execute(app.current_event.path, query, body))

    def _powertools(reply: Reply) -> Any:
        headers: dict[str, list[str]] = {}
        for name, value in reply.lines:
            headers.setdefault(name, []).append(value)
        # Powertools serializes a JSON body again unless it is a text, and takes octets for anything else.
        body = reply.body.decode() if headers.get("Content-Type") == ["application/json"] else reply.body
        return Response(status_code=reply.status, headers=headers, body=body)  # type: ignore[arg-type]

    @idempotent_handler(contract, scope=lambda event: event["requestContext"]["authorizer"].get("tenant"))
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return app.resolve(event, context)

    return handler


def _returned(reply: Reply, *, second: bool) -> dict[str, Any]:
    encoded = {"body": base64.b64encode(reply.body).decode(), "isBase64Encoded": True, "statusCode": reply.status}
    if second:
        headers = {name: value for name, value in reply.lines if name != "Set-Cookie"}
        return {
            **encoded,
            "headers": headers,
            "cookies": [value for name, value in reply.lines if name == "Set-Cookie"],
        }
    many: dict[str, list[str]] = {}
    for name, value in reply.lines:
        many.setdefault(name, []).append(value)
    return {**encoded, "multiValueHeaders": many}


@cache
def context() -> Context:
    """Return a Lambda context with time enough."""
    return Context()
