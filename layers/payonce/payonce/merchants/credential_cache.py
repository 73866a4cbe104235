"""Merchants' accounts at gateways, read at run time and kept in memory for a short time, so that a change needs no
deployment and a payment no round trip.

A merchant without an account of its own costs as little: that there is none is kept as long.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from payonce.merchants.gateway_accounts import read_accounts

if TYPE_CHECKING:
    from payonce.merchants.gateway_accounts import MerchantAccounts
    from payonce.ports import Clock, Database

# A change is in force everywhere after this time. Each process reads once in it for each merchant that it serves.
CREDENTIALS_LIFE_SECONDS = 60
# Credentials that a gateway refuses are read again at once, but not for each of a burst of refusals.
REREAD_PAUSE_SECONDS = 5
MAX_CACHED_ACCOUNTS = 1_000  # merchants that one process serves in a minute; about 1 KB each


class CredentialCache:
    """Reads what ``read_accounts`` reads, at most ``CREDENTIALS_LIFE_SECONDS`` old. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[int, MerchantAccounts]] = OrderedDict()
        self._lock = threading.Lock()

    def accounts(self, merchant_id: str, gateway: str, *, past_the_cache: bool = False) -> MerchantAccounts:
        """Return the merchant's accounts at the gateway. Raises ``StoreUnavailable``.

        ``past_the_cache``: what is in memory was refused, so that it is read again unless that was done just now.
        """
        name = (merchant_id, gateway)
        life_seconds = REREAD_PAUSE_SECONDS if past_the_cache else CREDENTIALS_LIFE_SECONDS
        now_ms = self._clock.now_ms()
        with self._lock:
            kept = self._kept.get(name)
            # A clock that was set back must not keep anything for longer.
            if kept is not None and 0 <= now_ms - kept[0] < life_seconds * 1000:
                self._kept.move_to_end(name)
                return kept[1]
        found = read_accounts(self._database, merchant_id, gateway)
        with self._lock:
            self._kept[name] = (now_ms, found)
            self._kept.move_to_end(name)
            while len(self._kept) > MAX_CACHED_ACCOUNTS:
                self._kept.popitem(last=False)
        return found
