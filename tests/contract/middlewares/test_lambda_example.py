"""docs/examples/lambda_service.py: once, again, by nobody, and after an answer of the bank's was lost."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from moto import mock_aws

from payonce.ports import Table
from tests.support.aws import create_tables, dynamodb_client
from tests.support.events import Context
from tests.support.middlewares.killing import EXAMPLES, running_bank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ORDER = '{"order": "4711", "amount_minor": 1000}'
PATIENCE_SECONDS = 30


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, with its table and its bank."""
    with mock_aws(), running_bank() as bank_url:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv("BANK_URL", bank_url)
        monkeypatch.setenv("RECORDS_TABLE", create_tables(dynamodb_client())[Table.IDEMPOTENCY])
        spec = importlib.util.spec_from_file_location("lambda_service", EXAMPLES / "lambda_service.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def ask(service: ModuleType, user: str | None = "ann") -> dict[str, Any]:
    """Place the order as API Gateway would, and return what the function returns."""
    event = {
        "httpMethod": "POST",
        "path": "/orders",
        "headers": {"Idempotency-Key": "key-of-the-order-4711"},
        "body": ORDER,
        "isBase64Encoded": False,
        "requestContext": {"authorizer": {"claims": {"sub": user}}} if user else {},
    }
    returned: dict[str, Any] = service.handler(event, Context())
    return returned


def charges(service: ModuleType) -> list[dict[str, Any]]:
    """Return what the bank has executed."""
    found: list[dict[str, Any]] = httpx.get(f"{service.BANK_URL}/charges").json()
    return found


def test_once(service: ModuleType) -> None:
    """A retry gets the first answer, another user's key is another one, and nobody gets nothing."""
    first, again = ask(service), ask(service)
    assert (first["statusCode"], first["body"]) == (again["statusCode"], again["body"])
    assert first["statusCode"] == 201
    assert ask(service, None)["statusCode"] == 401
    assert len(charges(service)) == 1
    assert ask(service, "bob")["body"] != first["body"]


def test_a_lost_answer(service: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bank has charged and its answer is lost: the bank is asked, and its charge is the answer."""
    post = httpx.post

    def losing(*arguments: Any, **named: Any) -> httpx.Response:
        post(*arguments, **named)
        raise httpx.ReadTimeout("lost")

    with monkeypatch.context() as lost:
        lost.setattr(httpx, "post", losing)
        with pytest.raises(httpx.ReadTimeout):
            ask(service)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (answer := ask(service))["statusCode"] != 201:
        assert answer["statusCode"] == 409
        assert time.monotonic() < give_up, answer["body"]
        time.sleep(0.5)
    [charge] = charges(service)
    assert httpx.Response(201, content=answer["body"]).json() == charge
