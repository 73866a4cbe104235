"""The Redis store both ways: blocking, and in fibers as the sidecar has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.stores.redis_idempotency import RedisIdempotencyStore
from tests.support.stores import fiber_store

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture(params=["blocking", "fibers"])
def each_way_to_call_redis(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the module's ``RedisIdempotencyStore`` the one of each way."""
    if request.param == "fibers":
        monkeypatch.setattr(request.module, "RedisIdempotencyStore", _in_fibers)


def _in_fibers(client: Redis, **given: Any) -> Any:
    RedisIdempotencyStore(client, **given)  # what it refuses about a client is refused here, too
    address = client.connection_pool.connection_kwargs
    return fiber_store(f"redis://{address['host']}:{address['port']}", **given)
