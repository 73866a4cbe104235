"""The names under which a store keeps its data in Redis."""

from __future__ import annotations

import re

from payonce.domain.errors import MisconfiguredError
from payonce.idempotency.record_items import shard_of

DEFAULT_PREFIX = "payonce"
_PREFIX = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")  # no braces: the shard alone determines the cluster's slot


class RedisKeys:
    """The keys with one ``prefix``. All keys of a record have its shard as hash tag, so they are in one slot.

    Raises ``MisconfiguredError`` for a prefix that would break this.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise MisconfiguredError(f"The prefix {prefix!r} must be 1 to 64 letters, digits or any of _ . : -")
        self._prefix = prefix

    def record(self, record_id: str) -> str:
        """Return the key of a record."""
        return self._key(shard_of(record_id), f"record:{record_id}")

    def open(self, shard: int) -> str:
        """Return the key of a shard's index of open leases."""
        return self._key(shard, "open")

    def audit(self, shard: int) -> str:
        """Return the key of a shard's audit stream."""
        return self._key(shard, "audit")

    def _key(self, shard: int, name: str) -> str:
        return f"{self._prefix}{{{shard}}}:{name}"
