"""Runs the bank in its own process, for tests and the demo."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from local.own_process import running_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BankHandle:
    """The admin client of a running bank."""

    url: str

    def base_url(self, bank: str) -> str:
        """Return the base URL of ``bank`` for a gateway adapter."""
        return f"{self.url}/banks/{bank}"

    def books(self, **filters: str) -> list[dict[str, Any]]:
        """Return the booked operations."""
        rows: list[dict[str, Any]] = self._call("GET", f"/books?{urlencode(filters)}")["operations"]
        return rows

    def charges(self, **filters: str) -> list[dict[str, Any]]:
        """Return the booked payments that succeeded."""
        return self.books(kind="payment", status="succeeded", **filters)

    def configure(self, bank: str, **settings: Any) -> None:
        """Change a bank's settings."""
        self._call("PUT", f"/banks/{bank}/settings", settings)

    def scenario(self, bank: str, mode: str, **values: Any) -> None:
        """Set a bank's scenario, so that it misbehaves."""
        self._call("PUT", f"/banks/{bank}/scenario", {"mode": mode, **values})

    def behave(self, bank: str) -> None:
        """Clear a bank's scenario."""
        self._call("DELETE", f"/banks/{bank}/scenario")

    @contextmanager
    def misbehaving(self, bank: str, mode: str, **values: Any) -> Iterator[None]:
        """Make a bank misbehave within the context only, so that a failed test does not affect the next."""
        self.scenario(bank, mode, **values)
        try:
            yield
        finally:
            self.behave(bank)

    def report(self, bank: str, *, from_ms: int | None = None, to_ms: int | None = None) -> bytes:
        """Return the bank's report of the movements of a period, as a file in payonce's gateway CSV."""
        return self._fetch("GET", f"/banks/{bank}/report?{_query(from_ms, to_ms)}")

    def settle(self, bank: str, as_of_ms: int) -> list[dict[str, Any]]:
        """Let the bank pay out unsettled movements; return the payouts: payout_id, currency and amount_minor."""
        answer = self._call("POST", f"/banks/{bank}/settlements", {"as_of_ms": as_of_ms})
        payouts: list[dict[str, Any]] = answer["payouts"]
        return payouts

    def statement(
        self, bank: str, *, account: str | None = None, from_ms: int | None = None, to_ms: int | None = None
    ) -> bytes:
        """Return the statements of a period as a camt.053 file, for one account or for all accounts of ``bank``.

        Raises ``HTTPError`` (404) if there is none.
        """
        return self._fetch("GET", f"/banks/{bank}/statement?{_query(from_ms, to_ms, account)}")

    def fault(self, bank: str, fault: str, **values: Any) -> dict[str, Any]:
        """Commit a fault (``faults.FAULTS``) and return the ids it created. Raises ``HTTPError`` if refused."""
        return self._call("PUT", f"/banks/{bank}/fault", {"fault": fault, **values})

    def advance(self, bank: str, *, days: float = 0, seconds: float = 0) -> int:
        """Move the bank's clock forward; what is due has happened when it returns. Return the bank's time (ms)."""
        advance_ms = round(days * 86_400_000 + seconds * 1_000)
        now_ms: int = self._call("PUT", f"/banks/{bank}/clock", {"advance_ms": advance_ms})["now_ms"]
        return now_ms

    def dashboard(self, bank: str, action: str, **values: Any) -> dict[str, Any]:
        """Act in the bank's dashboard (README.md). Raises ``HTTPError`` if refused."""
        return self._call("POST", f"/banks/{bank}/dashboard/{action}", values)

    def charge(self, bank: str, charge_id: str) -> dict[str, Any]:
        """Return a charge in its present state. Raises ``HTTPError`` (404) if there is none."""
        return self._call("GET", f"/banks/{bank}/charges/{charge_id}")

    def send_events(self, bank: str, url: str | None, secret: str | None = None) -> str:
        """Let the bank record its events from now on and send them to ``url``. Return the secret that signs them."""
        endpoint: dict[str, str] = self._call("PUT", f"/banks/{bank}/events", {"url": url, "secret": secret})
        return endpoint["secret"]

    def event_fault(self, bank: str, mode: str, **values: Any) -> None:
        """Let the bank's events have a fault (README.md)."""
        self._call("PUT", f"/banks/{bank}/events/faults", {"mode": mode, **values})

    def send_event_again(self, bank: str, event_id: str, mode: str | None = None) -> None:
        """Send one event again, or only what ``mode`` (forged, stale, unknown, huge) makes of it."""
        self._call("POST", f"/banks/{bank}/events/{event_id}/deliveries", {"mode": mode})

    def events(self, bank: str) -> list[dict[str, Any]]:
        """Return the bank's events with their deliveries, oldest first."""
        rows: list[dict[str, Any]] = self._call("GET", f"/banks/{bank}/events")["events"]
        return rows

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._fetch(method, path, body))
        return document

    def _fetch(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data=data, method=method)
        with urlopen(request, timeout=10) as answer:
            raw: bytes = answer.read()
        return raw


def _query(from_ms: int | None, to_ms: int | None, account: str | None = None) -> str:
    given = {"from": from_ms, "to": to_ms, "account": account}
    return urlencode({name: value for name, value in given.items() if value is not None})


@contextmanager
def running_bank(folder: Path, port: int = 0) -> Iterator[BankHandle]:
    """Run a bank with its books in ``folder`` and yield its client; stop it at the end in any case."""
    books = str(folder / "books.sqlite")
    with running_module("local.sandbox_bank", "--port", str(port), "--books", books) as url:
        yield BankHandle(url)
