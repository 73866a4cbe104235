"""The platform's credentials at its gateways: read on first use, and again when a gateway refuses them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable
from payonce.merchants.credential_cache import REREAD_PAUSE_SECONDS
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Clock


class PlatformKeys:
    """Thread-safe. ``first`` returns the credentials of the process's start, ``read`` those that are stored now."""

    def __init__(
        self, first: Callable[[], Mapping[str, str]], read: Callable[[], Mapping[str, str]], clock: Clock
    ) -> None:
        self._first = first
        self._read = read
        self._clock = clock
        self._newer: Mapping[str, str] | None = None
        self._read_at_ms: int | None = None
        self._lock = threading.Lock()
        self.version = 1

    def secrets(self) -> Mapping[str, str]:
        """Return the credentials by name. Raises ``GatewayUnavailable``."""
        return self._first() if self._newer is None else self._newer

    def renewed(self, version: int) -> bool:
        """Return whether there are others than those of ``version``, which a gateway has refused.

        They are read at most every ``REREAD_PAUSE_SECONDS``, so that a burst of refusals reads them once.
        """
        with self._lock:
            if self.version != version:
                return True
            now_ms = self._clock.now_ms()
            # A clock that was set back must not keep anything for longer.
            just_read = self._read_at_ms is not None and 0 <= now_ms - self._read_at_ms < REREAD_PAUSE_SECONDS * 1000
            if just_read:
                return False
            self._read_at_ms = now_ms
            try:
                found = self._read()
            except GatewayUnavailable:
                get_logger().warning("credentials not read again", extra={"error": "GatewayUnavailable"})
                return False
            changed = dict(found) != dict(self.secrets())
            get_logger().warning("credentials refused", extra={"version": self.version, "renewed": changed})
            if changed:
                self._newer = found
                self.version += 1
            return changed
