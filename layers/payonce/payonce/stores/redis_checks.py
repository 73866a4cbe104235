"""What a Redis server must be set to before it may keep claims, checked at start-up."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from redis import exceptions

from payonce.domain.errors import MisconfiguredError, StoreUnavailable

if TYPE_CHECKING:
    from redis import Redis

    from payonce.ports import Clock

# Purging goes by the server's clock, leases by ours. Purge times lie days away, so that a minute does no harm.
MAX_CLOCK_DIFFERENCE_MS = 60_000


class Durability(IntEnum):
    """What an acknowledged claim survives on the server that acknowledged it. No replica is part of the promise."""

    NONE = 0  # nothing: a restart forgets every claim
    EVERY_SECOND = 1  # the process's death; a power cut takes the last second or two (appendfsync everysec)
    ALWAYS = 2  # a power cut (appendfsync always)


def check_redis(client: Redis, clock: Clock, *, at_least: Durability = Durability.ALWAYS) -> None:
    """Return if the server can be trusted with claims.

    It must be a primary, evict nothing, keep what it acknowledges ``at_least`` so well, and agree about the time.
    Raises ``MisconfiguredError`` if not, and ``StoreUnavailable`` when it does not answer.
    """
    try:
        info: dict[str, Any] = client.info()
        seconds, microseconds = client.time()
        durability = _durability(client, info)
    except exceptions.RedisError as error:
        raise StoreUnavailable(f"The Redis server could not be checked ({type(error).__name__}).") from error
    _require(
        info.get("role") == "master",
        f"The Redis server is a {info.get('role')}: claims must be written to, and read from, the primary.",
    )
    _require(
        info.get("maxmemory_policy") == "noeviction",
        f"The Redis server's maxmemory-policy is {info.get('maxmemory_policy')}: it would evict records, and a retry "
        "would be executed again. Set maxmemory-policy noeviction.",
    )
    _require(
        durability >= at_least,
        f"The Redis server's durability is {durability.name}, {at_least.name} is asked for. Set appendonly yes and "
        "appendfsync always, or ask for less (docs/stores.md says what that loses).",
    )
    difference_ms = abs(seconds * 1000 + microseconds // 1000 - clock.now_ms())
    _require(
        difference_ms <= MAX_CLOCK_DIFFERENCE_MS,
        f"The Redis server's clock differs from ours by {difference_ms} ms, at most {MAX_CLOCK_DIFFERENCE_MS} are "
        "taken: it would purge records at the wrong time. Synchronise both clocks.",
    )


def _durability(client: Redis, info: dict[str, Any]) -> Durability:
    if not info.get("aof_enabled"):
        return Durability.NONE
    try:
        fsync = str(client.config_get("appendfsync").get("appendfsync"))
    except exceptions.ResponseError:
        return Durability.EVERY_SECOND  # managed services don't tell, and every second is the default
    return {"always": Durability.ALWAYS, "everysec": Durability.EVERY_SECOND}.get(fsync, Durability.NONE)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise MisconfiguredError(otherwise)
