"""Settings that a Redis server needs before it may keep claims; checked at start-up and continuously afterwards."""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import StoreUnavailable
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.ports import Clock

# The server's clock controls purging, ours the leases. Purge times are days away, so a minute does no harm.
MAX_CLOCK_DIFFERENCE_MS = 60_000


class Durability(IntEnum):
    """What an acknowledged claim survives on the server that acknowledged it. Replicas are not part of the promise."""

    NONE = 0  # a restart forgets every claim
    EVERY_SECOND = 1  # survives the process's death; a power cut loses the last second or two (appendfsync everysec)
    ALWAYS = 2  # survives a power cut (appendfsync always)


class ServerMistrusted(StoreUnavailable):
    """The server's settings are unacceptable. No claim was made."""


class ServerCheck:
    """The requirements on a server: a primary, without eviction, ``at_least`` so durable, and with our clock's time.

    Logs when its verdict changes, and when the server has evicted keys. Thread-safe.
    """

    # All are read-only and take one round trip. CONFIG takes one pattern: Redis below 7 has no list of names.
    questions = (("INFO",), ("TIME",), ("CONFIG GET", "*append*"))

    def __init__(self, clock: Clock, at_least: Durability) -> None:
        self._clock = clock
        self._at_least = at_least
        self._mutex = threading.Lock()
        self._verdict = ""
        self._evicted = 0

    def judge(self, answers: Sequence[Any]) -> None:
        """Return if the answers to ``questions`` are those of a server that may keep claims.

        Raises ``ServerMistrusted`` with what is wrong. The caller executes nothing, and may retry once it is fixed.
        """
        wrong = self.what_is_wrong(answers)
        self._log(wrong, answers[0])
        if wrong:
            raise ServerMistrusted(f"{wrong} Nothing was executed.")

    def what_is_wrong(self, answers: Sequence[Any]) -> str:
        """Return in sentences what is wrong with the server and what to change, or ""."""
        info, now, settings = answers
        for name, answer in (("INFO", info), ("TIME", now)):
            if isinstance(answer, Exception):
                return f"The Redis server refuses {name} ({type(answer).__name__}): allow it to payonce's user."
        if info.get("role") != "master":
            return f"The Redis server is a {info.get('role')}: claims must be written to, and read from, the primary."
        if info.get("cluster_enabled"):
            return "The Redis server runs in cluster mode. Use a primary with cluster-enabled no."
        policy = info.get("maxmemory_policy")
        if policy != "noeviction":
            return (
                f"The Redis server's maxmemory-policy is {policy}: it would evict records, and a retry would be "
                "executed again. Set maxmemory-policy noeviction."
            )
        return self._weaker(info, settings) or self._other_time(now)

    def _weaker(self, info: Mapping[str, Any], settings: Any) -> str:
        durability = _durability(info, settings)
        if durability >= self._at_least:
            return ""
        return (
            f"The Redis server's durability is {durability.name}, {self._at_least.name} is asked for. Set appendonly "
            "yes, appendfsync always and no-appendfsync-on-rewrite no, or ask for less (docs/stores.md says what that "
            "loses)."
        )

    def _other_time(self, now: tuple[int, int]) -> str:
        difference_ms = abs(now[0] * 1000 + now[1] // 1000 - self._clock.now_ms())
        if difference_ms <= MAX_CLOCK_DIFFERENCE_MS:
            return ""
        return (
            f"The Redis server's clock differs from ours by {difference_ms} ms, at most {MAX_CLOCK_DIFFERENCE_MS} are "
            "taken: it would purge records at the wrong time. Synchronise both clocks."
        )

    def _log(self, wrong: str, info: Any) -> None:
        evicted = 0 if isinstance(info, Exception) else int(info.get("evicted_keys", 0))
        with self._mutex:
            changed, self._verdict = wrong != self._verdict, wrong
            more, self._evicted = evicted > self._evicted, evicted
        if changed and wrong:
            get_logger().error("Redis server not trusted: no claims are taken", extra={"problem": wrong})
        elif changed:
            get_logger().warning("Redis server trusted again: claims are taken")
        if more:
            get_logger().error(
                "Redis server has evicted keys: a retry of an evicted record's request is executed again",
                extra={"evicted_keys": evicted},
            )


def _durability(info: Mapping[str, Any], settings: Any) -> Durability:
    if not info.get("aof_enabled"):
        return Durability.NONE
    if isinstance(settings, Exception) or "appendfsync" not in settings:
        return Durability.EVERY_SECOND  # managed services hide the setting; every second is the default
    if settings.get("no-appendfsync-on-rewrite", "no") != "no":
        return Durability.NONE  # during a rewrite of the file nothing is synced, for half a minute or more
    return {"always": Durability.ALWAYS, "everysec": Durability.EVERY_SECOND}.get(
        settings["appendfsync"], Durability.NONE
    )
