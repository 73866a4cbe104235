"""The Redis store both ways: blocking, and in fibers as the sidecar has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.stores import fiber_store

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture(params=["blocking", "fibers"])
def each_way_to_call_redis(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the module's ``RedisIdempotencyStore`` the one of each way, and say which."""
    monkeypatch.setattr(request.module, "IN_FIBERS", request.param == "fibers", raising=False)
    if request.param == "fibers":
        monkeypatch.setattr(request.module, "RedisIdempotencyStore", _in_fibers)


def _in_fibers(client: Redis, **given: Any) -> Any:
    pool = client.connection_pool.connection_kwargs
    user = f"{pool['username']}:{pool['password']}@" if pool.get("username") else ""
    return fiber_store(f"redis://{user}{pool['host']}:{pool['port']}", client, **given)
