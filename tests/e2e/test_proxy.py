"""The idempotency proxy as it is deployed, in front of a service that knows nothing of payonce: the receiver."""

from __future__ import annotations

import json
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Answer, Client

if TYPE_CHECKING:
    from local.stack import Stack

KEYS, RETRIES, THREADS = 8, 8, 16
# The local cloud runs a few environments at once; what it throttles is asked again with the same key.
RETRIED = {429, 500, 502, 503, 504}


class Caller(Client):
    """A client of the proxy."""

    def __init__(self, stack: Stack, api_key: str) -> None:
        super().__init__(stack, api_key)
        self.url = f"{stack.endpoint_url}/_aws/execute-api/{stack.outputs['ProxyApiId']}/{stack.outputs['StageName']}"

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Send a request until the local cloud has room for it."""
        for _ in range(120):
            answer = self.call(method, f"/proxy{path}", body, key=key)
            if answer.status not in RETRIED and answer.status != 409:
                break
            time.sleep(random.uniform(0.2, 0.6))
        return answer


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Caller:
    """A merchant with all scopes."""
    return Caller(stack, stack.create_merchant("Proxy")[1])


def test_retries_in_any_order_execute_once_per_key(caller: Caller, stack: Stack) -> None:
    """Fails (an execution for each request) when requests go to the upstream directly."""
    path = f"/orders-{uuid.uuid4().hex}"
    requests = [(f"{uuid.uuid4()}", number) for number in range(KEYS)] * RETRIES
    random.Random(7).shuffle(requests)

    def go(request: tuple[str, int]) -> tuple[str, Answer]:
        key, number = request
        return key, caller.ask("POST", path, {"order": number}, key=key)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(go, requests))
    assert {answer.status for _, answer in answers} == {200}
    executed = [json.loads(one.body)["order"] for one in stack.receiver.received(path)]
    assert sorted(executed) == list(range(KEYS))
    for key in {key for key, _ in answers}:
        own = [answer for found, answer in answers if found == key]
        assert len({answer.body for answer in own}) == 1
        assert [answer.headers["idempotency-replayed"] for answer in own].count("false") == 1


def test_the_contract_is_the_apis(caller: Caller, stack: Stack) -> None:
    path, key = f"/orders-{uuid.uuid4().hex}", str(uuid.uuid4())
    assert caller.ask("POST", path, {"order": 1}).status == 400
    assert stack.receiver.received(path) == []
    assert caller.ask("POST", path, {"order": 1}, key=key).status == 200
    assert caller.ask("POST", path, {"order": 2}, key=key).status == 422
    assert caller.ask("GET", path).status == 200
    assert len(stack.receiver.received(path)) == 1


def test_two_merchants_with_the_same_key_do_not_meet(caller: Caller, stack: Stack) -> None:
    other = Caller(stack, stack.create_merchant("Another")[1])
    path, key = f"/orders-{uuid.uuid4().hex}", str(uuid.uuid4())
    assert [one.ask("POST", path, {"order": 1}, key=key).status for one in (caller, other)] == [200, 200]
    assert len(stack.receiver.received(path)) == 2


def test_a_key_without_the_scope_gets_nothing(stack: Stack) -> None:
    caller = Caller(stack, stack.create_merchant("Reader", scopes=["payments:read"])[1])
    path = f"/orders-{uuid.uuid4().hex}"
    assert caller.ask("POST", path, {"order": 1}, key=str(uuid.uuid4())).status == 403
    assert stack.receiver.received(path) == []
