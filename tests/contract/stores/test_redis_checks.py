"""The start-up check: a server that would forget claims is refused, and says what to set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.redis_servers import running_redis
from payonce.domain.errors import MisconfiguredError, StoreUnavailable
from payonce.stores.redis_calls import check_redis, redis_client
from payonce.stores.redis_checks import MAX_CLOCK_DIFFERENCE_MS, Durability
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

EVICTING = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random"]


@pytest.fixture(scope="module")
def client() -> Iterator[Redis]:
    """A client of a server that passes; every test puts back what it changes."""
    with running_redis() as [server], redis_client(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def reset(client: Redis) -> Iterator[None]:
    yield
    for name, value in {"maxmemory-policy": "noeviction", "appendfsync": "always", "appendonly": "yes"}.items():
        client.config_set(name, value)


def test_a_server_with_the_documented_settings_passes(client: Redis) -> None:
    check_redis(client, RealClock())


@pytest.mark.parametrize("policy", [*EVICTING, "volatile-ttl"])
def test_an_evicting_server_is_refused(client: Redis, policy: str) -> None:
    """A volatile policy evicts completed records. Fails for each policy that is let through."""
    client.config_set("maxmemory-policy", policy)
    with pytest.raises(MisconfiguredError, match=f"maxmemory-policy is {policy}.*noeviction"):
        check_redis(client, RealClock(), at_least=Durability.NONE)


@pytest.mark.parametrize(
    ("settings", "durability"),
    [
        ({"appendonly": "no"}, Durability.NONE),
        ({"appendfsync": "no"}, Durability.NONE),
        ({"appendfsync": "everysec"}, Durability.EVERY_SECOND),
        ({}, Durability.ALWAYS),
    ],
)
def test_less_durability_than_asked_for_is_refused(
    client: Redis, settings: dict[str, str], durability: Durability
) -> None:
    """Fails when a server's durability is taken for more, or for less, than it is."""
    for name, value in settings.items():
        client.config_set(name, value)
    for asked in Durability:
        if asked <= durability:
            check_redis(client, RealClock(), at_least=asked)
        else:
            with pytest.raises(MisconfiguredError, match=f"durability is {durability.name}, {asked.name} is asked"):
                check_redis(client, RealClock(), at_least=asked)


def test_a_server_that_does_not_tell_its_settings_counts_as_the_default(client: Redis) -> None:
    """Managed services forbid CONFIG. Fails when that is taken for the best, or for an outage."""
    client.acl_setuser("managed", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    pool = client.connection_pool.connection_kwargs
    with redis_client(f"redis://managed:any@{pool['host']}:{pool['port']}") as managed:
        check_redis(managed, RealClock(), at_least=Durability.EVERY_SECOND)
        with pytest.raises(MisconfiguredError, match="EVERY_SECOND"):
            check_redis(managed, RealClock())


def test_a_replica_is_refused(client: Redis) -> None:
    client.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(MisconfiguredError, match="primary"):
            check_redis(client, RealClock())
    finally:
        client.replicaof("NO", "ONE")


@pytest.mark.parametrize("sign", [-1, 1])
def test_clocks_that_differ_are_refused(client: Redis, sign: int) -> None:
    """Fails (records purged early, or late) when the server's clock is not looked at."""
    check_redis(client, RealClock(sign * (MAX_CLOCK_DIFFERENCE_MS - 5_000)))
    with pytest.raises(MisconfiguredError, match="clock"):
        check_redis(client, RealClock(sign * (MAX_CLOCK_DIFFERENCE_MS + 5_000)))


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with running_redis() as [server], redis_client(server.url) as client:
        server.kill()
        with pytest.raises(StoreUnavailable):
            check_redis(client, RealClock())
