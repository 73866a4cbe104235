"""The one connection of fibers to Redis: how it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from local.redis_servers import running_redis
from payonce.stores.redis_pipeline import FiberRedisCalls
from tests.support.fiber_loop import fiber_loop
from tests.support.redis_faults import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

GIVE_UP_SECONDS = 10


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_closed_connection_ends_once_what_is_under_way_is_answered() -> None:
    """Fails when a shutdown cuts off a call that Redis may be executing, or leaves the connection behind."""
    with running_redis() as [redis], fiber_loop() as loop, client_of(redis.url) as client:
        calls = FiberRedisCalls(redis.url, client)

        def others() -> list[str]:
            return [each["cmd"] for each in client.client_list() if each["cmd"] != "client|list"]

        with ThreadPoolExecutor(1) as waiting:
            answer = waiting.submit(loop.call, lambda: calls.read("BLPOP", "given", GIVE_UP_SECONDS))
            until(lambda: others() == ["blpop"])
            loop.call(calls.close)
            client.rpush("given", "one")
            assert list(answer.result(GIVE_UP_SECONDS)) == [b"given", b"one"]
        until(lambda: others() == [])
