"""What the fake Mollie posts to a payment's ``webhookUrl``: its id, and nothing of what has happened.

https://docs.mollie.com/reference/webhooks: ``id=tr_…`` as a form, without a signature, to be asked about. Mandates and
customers have no such webhook.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

type Row = dict[str, Any]

TOLD = frozenset({"paid", "authorized", "failed", "canceled", "expired"})
ATTEMPTS = 10
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass
class Webhooks:
    """What is to be posted, oldest first, and how the delivery misbehaves.

    ``held`` keeps all back until it is false; ``reversed_order`` sends the newest first; each is sent ``1 +
    duplicates`` times; with ``lost`` nothing arrives. An address that is not of this machine gets nothing.
    """

    held: bool = False
    reversed_order: bool = False
    duplicates: int = 0
    lost: bool = False
    queue: list[tuple[str, str, int]] = field(default_factory=list)
    _noted: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def note(self, payments: Iterable[Row]) -> None:
        """Queue a call for each payment that has changed since it was last noted, however often it has."""
        for row in payments:
            url, now = row.get("webhookUrl"), _state(row)
            if now == self._noted.get(row["id"]) or row["status"] not in TOLD:
                continue
            self._noted[row["id"]] = now
            if url and urlsplit(url).hostname in _LOOPBACK:
                self.queue.append((row["id"], url, 0))

    def deliver(self) -> int:
        """Send what is queued, and return how many calls were made. What is not accepted is queued again."""
        if self.held:
            return 0
        waiting, self.queue = self.queue, []
        calls = 0
        for identity, url, attempts in reversed(waiting) if self.reversed_order else waiting:
            if self.lost:
                continue
            accepted = [post(url, identity) for _ in range(1 + self.duplicates)]
            calls += len(accepted)
            if not any(accepted) and attempts + 1 < ATTEMPTS:
                self.queue.append((identity, url, attempts + 1))
        return calls


def _state(row: Row) -> tuple[Any, ...]:
    operations = (*row["refunds"], *row["chargebacks"], *row["captures"])
    return (row["status"], *((one["id"], one.get("status")) for one in operations))


def post(url: str, identity: str) -> bool:
    """Make one call. Return whether it was accepted with a 2xx."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=15)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Mollie HTTP client/1.0"}
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, urlencode({"id": identity}), headers)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
