"""The order service in Django: its settings, its views of both kinds, and the middleware that ``MIDDLEWARE`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import re_path

from payonce.middlewares.django import DjangoIdempotency, django_idempotency
from tests.support.proxy import TENANT

if TYPE_CHECKING:
    from payonce.middlewares.contract import Contract
    from tests.support.middlewares.orders import Orders, Reply

_made: dict[str, Any] = {}


def middleware(get_response: Any) -> DjangoIdempotency:
    """Return the middleware. Django asks for it by this name."""
    made: DjangoIdempotency = _made["middleware"](get_response)
    return made


middleware.sync_capable = True  # type: ignore[attr-defined]
middleware.async_capable = True  # type: ignore[attr-defined]


def synchronous(request: Any) -> Any:
    """Answer a request. Only the answers of /orders and /large are streamed."""
    orders: Orders = _made["orders"]
    if request.method in {"GET", "HEAD"}:
        return _response(orders.read(request.path))
    reply = orders.execute(request.path, request.META.get("QUERY_STRING", ""), request.body)
    return _response(reply, is_streamed=reply.status == 201)


async def asynchronous(request: Any) -> Any:
    """Answer a request, as a coroutine."""
    orders: Orders = _made["orders"]
    if request.method in {"GET", "HEAD"}:
        return _response(orders.read(request.path))
    reply = await orders.execute_async(request.path, request.META.get("QUERY_STRING", ""), request.body)
    return _response(reply, is_streamed=True, is_async=True)


def _response(reply: Reply, *, is_streamed: bool = False, is_async: bool = False) -> Any:
    if is_streamed and reply.body:
        pieces = [reply.body[at : at + 100] for at in range(0, len(reply.body), 100)]

        async def streamed() -> Any:
            for piece in pieces:
                yield piece

        response: Any = StreamingHttpResponse(streamed() if is_async else pieces, status=reply.status)
    else:
        response = HttpResponse(reply.body, status=reply.status)
    del response["Content-Type"]
    for name, value in reply.lines:
        if name == "Set-Cookie":
            cookie, _, _ = value.partition(";")
            response.set_cookie(*cookie.split("="))
        else:
            response[name] = value
    return response


def application(contract: Contract, orders: Orders, *, is_async: bool) -> Any:
    """Return Django's application for a server. Once per process: Django has one configuration."""
    _made["orders"] = orders
    _made["middleware"] = django_idempotency(contract, scope=lambda request: request.headers.get(TENANT))
    settings.configure(
        DEBUG=False,
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=f"{__name__}_{'a' if is_async else ''}sync",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.middleware"],
        LOGGING_CONFIG=None,
    )
    import sys
    from types import ModuleType

    urls = ModuleType(settings.ROOT_URLCONF)
    urls.urlpatterns = [re_path("", asynchronous if is_async else synchronous)]  # type: ignore[attr-defined]
    sys.modules[settings.ROOT_URLCONF] = urls
    django.setup()
    if is_async:
        from django.core.asgi import get_asgi_application

        return get_asgi_application()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
