"""The sidecar's application without a server: what it does with bodies that come by and by."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from payonce import fibers
from payonce.proxy import asgi
from payonce.proxy.asgi import Sidecar
from payonce.proxy.messages import ProxyResponse
from payonce.proxy.metrics import Metrics
from tests.support.proxy import TENANT, configuration, service_of

if TYPE_CHECKING:
    from payonce.proxy.service import ProxyService

NOWHERE = "http://127.0.0.1:1"  # nothing of these requests may go on
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/orders",
    "query_string": b"",
    "headers": [(b"host", b"x"), (TENANT.lower().encode(), b"shop"), (b"idempotency-key", b"key-of-16-characters")],
}


class Client:
    """A client that sends parts of a body, and waits where there are no more."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)
        self.answer: dict[str, Any] = {}
        self.sent_all = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if not self._parts:
            self.sent_all.set()
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._parts.pop(0), "more_body": True}

    async def send(self, message: Any) -> None:
        self.answer.update(message)


@pytest.fixture
def service() -> ProxyService:
    limits = {"max_concurrency": 1, "max_queued": 0, "body_timeout_seconds": 60}
    return service_of({**configuration(NOWHERE), "server": limits})


def test_bodies_that_are_not_whole_may_not_fill_the_memory(
    service: ProxyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when what slow clients have sent is held without end: places for requests they take none."""
    monkeypatch.setattr(asgi, "MAX_UNFINISHED_BYTES", 1000)

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        sidecar = Sidecar(service, Metrics())
        slow, other, after = Client(b"x" * 900), Client(b"x" * 200), Client(b"x" * 900)
        waiting = asyncio.create_task(sidecar(SCOPE, slow.receive, slow.send))
        await slow.sent_all.wait()
        await sidecar(SCOPE, other.receive, other.send)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        again = asyncio.create_task(sidecar(SCOPE, after.receive, after.send))  # there is room again
        await after.sent_all.wait()
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        return slow.answer, other.answer

    slow, refused = asyncio.run(scenario())
    assert slow == {}
    assert refused["status"] == 503
    assert json.loads(refused["body"])["type"] == "urn:payonce:problem:overloaded"
    assert (b"connection", b"close") in refused["headers"]


@pytest.mark.parametrize(
    ("version", "line", "status"),
    [
        ("1.1", (b"content-length", b"99999999"), 413),
        ("1.0", (b"transfer-encoding", b"chunked"), 400),
        ("2.0", (b"x-a", b"1"), 400),
        ("1.1", (b"host", b"a@b"), 400),
        ("1.1", (b"host", b"a/b"), 400),
        ("1.1", (b"host", b"a b"), 400),
        ("1.1", (b"host", b"[::1"), 400),
        ("1.1", (b"host", b""), 400),
    ],
)
def test_a_head_that_will_not_do_is_answered_without_its_body(
    service: ProxyService, version: str, line: tuple[bytes, bytes], status: int
) -> None:
    """Fails when the body is waited for, or the request goes on."""

    async def scenario() -> dict[str, Any]:
        client = Client()
        scope = {**SCOPE, "http_version": version, "headers": [*SCOPE["headers"], line]}  # type: ignore[misc]
        await asyncio.wait_for(Sidecar(service, Metrics())(scope, client.receive, client.send), 10)
        return client.answer

    answer = asyncio.run(scenario())
    assert answer["status"] == status
    assert (b"connection", b"close") in answer["headers"]


def test_what_is_in_flight_ends_before_the_connections_do(service: ProxyService) -> None:
    """Fails when the store's connection is closed under a request that must still be recorded, or never."""
    steps: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()

        def handle(_: Any) -> ProxyResponse:
            fibers.wait(answered)
            steps.append("recorded")
            return ProxyResponse(200, (), b"")

        service.handle = handle  # type: ignore[method-assign]
        sidecar = Sidecar(service, Metrics(), at_end=lambda: steps.append("ended"))
        client = Client()
        whole = {"type": "http.request", "body": b"{}", "more_body": False}
        request = asyncio.create_task(sidecar(SCOPE, AsyncMock(return_value=whole), client.send))
        lifespan = AsyncMock(side_effect=[{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        await asyncio.sleep(0)
        ending = asyncio.create_task(sidecar({"type": "lifespan"}, lifespan, AsyncMock()))
        await asyncio.sleep(0.05)
        assert steps == []
        answered.set_result(None)
        await asyncio.gather(request, ending)

    asyncio.run(scenario())
    assert steps == ["recorded", "ended"]
