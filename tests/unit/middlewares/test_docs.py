"""The examples of docs/middlewares.md are run as they stand there, in order, and do what the text says."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.support.aws import REPOSITORY
from tests.support.events import Context
from tests.support.middlewares.direct import KEY
from tests.unit.middlewares.test_consumers import Task, failed, record
from tests.unit.middlewares.test_django import request
from tests.unit.middlewares.test_lambda_handler import first

ANN = {"Authorization": "Bearer ann-s-token", "Idempotency-Key": KEY}


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """Run every Python block in one module and return its names."""
    text = (REPOSITORY / "docs/middlewares.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    names: dict[str, Any] = {"__name__": "middlewares_examples"}
    for block in blocks:
        exec(compile(block, "docs/middlewares.md", "exec"), names)  # noqa: S102
    return names


def test_fastapi(examples: dict[str, Any]) -> None:
    """The first answer, its replay, and nobody."""

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(examples["fastapi_app"]), base_url="http://shop"
        ) as client:
            anonymous = {"Idempotency-Key": KEY}
            return [await client.post("/orders", json={"a": 1}, headers=headers) for headers in (ANN, ANN, anonymous)]

    first_answer, again, refused = asyncio.run(ask())
    assert [answer.headers["idempotency-replayed"] for answer in (first_answer, again)] == ["false", "true"]
    assert (
        (first_answer.status_code, first_answer.content) == (again.status_code, again.content) == (201, b'{"order":1}')
    )
    assert refused.status_code == 401


def test_flask(examples: dict[str, Any]) -> None:
    """The same."""
    client = examples["flask_app"].test_client()
    headers = {**ANN, "Idempotency-Key": KEY + "-flask"}
    answers = [client.post("/flask-orders", json={"a": 1}, headers=headers) for _ in range(2)]
    assert [answer.headers["Idempotency-Replayed"] for answer in answers] == ["false", "true"]
    assert answers[0].json == answers[1].json
    assert examples["shipped"].count("flask") == 1


def test_django(examples: dict[str, Any]) -> None:
    """The middleware in a handler; an anonymous user has no primary key."""
    views: list[Any] = []

    def view(made: Any) -> Any:
        from django.http import HttpResponse

        views.append(made)
        return HttpResponse(b"ok")

    handler = examples["middleware"](view)
    headers = {"idempotency-key": KEY + "-django"}
    made = [request(**headers) for _ in range(3)]
    for one, pk in zip(made, (7, 7, None), strict=True):
        one.user = SimpleNamespace(pk=pk)
    assert [handler(one).status_code for one in made] == [200, 200, 401]
    assert len(views) == 1


def test_lambda(examples: dict[str, Any]) -> None:
    """One execution."""
    caller = {"authorizer": {"claims": {"sub": "ann"}}}
    headers = {"Idempotency-Key": [KEY + "-lambda"]}
    for _ in range(2):
        event = first(requestContext=caller, headers={}, multiValueHeaders=headers)
        assert examples["handler"](event, Context())["statusCode"] == 201
    assert examples["shipped"].count("lambda") == 1


def test_consumers(examples: dict[str, Any]) -> None:
    """A batch and a task."""
    batch = [record("1", "order-1", "one"), record("2", "order-1", "one")]
    assert failed(examples["sqs_lambda"]({"Records": batch}, None)) == []
    assert examples["shipped"].count("one") == 1
    assert [examples["send_invoice"](Task("t1"), "shop", "17") for _ in range(2)] == ["17", "17"]
    assert examples["shipped"].count("17") == 1
