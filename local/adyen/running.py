"""Runs the fake in its own process, for tests and the demo, and speaks to its admin routes."""

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

API_VERSION = 72
COMPANY = "Shop"
API_KEY = f"fake_key_of_{COMPANY}"
MERCHANT_ACCOUNT = f"{COMPANY}ECOM"
ADMIN_TIMEOUT_SECONDS = 60  # advancing the clock sends what is due meanwhile


@dataclass(frozen=True, slots=True)
class AdyenHandle:
    """The admin client of a running fake."""

    url: str

    @property
    def api_url(self) -> str:
        """Return the ``baseUrl`` for the official library's services."""
        return f"{self.url}/v{API_VERSION}"

    def books(self, **filters: str) -> list[dict[str, Any]]:
        """Return the operations: ``kind``, ``reference``, ``psp_reference``, ``status``, ``amount_minor``."""
        return self._rows("books", filters)

    def charges(self, **filters: str) -> list[dict[str, Any]]:
        """Return the payments that were executed, that is authorised; two of one reference are a double charge."""
        return self.books(kind="payment", status="succeeded", **filters)

    def payments(self, **filters: str) -> list[dict[str, Any]]:
        """Return the payments with their state and what was captured, refunded and released of each."""
        return self._rows("payments", filters)

    def disputes(self, **filters: str) -> list[dict[str, Any]]:
        """Return the disputes."""
        return self._rows("disputes", filters)

    def notifications(self, **filters: str) -> list[dict[str, Any]]:
        """Return the notifications, sent or not, with their ``item``, ``state`` and ``attempts``."""
        return self._rows("notifications", filters)

    def token_notifications(self, **filters: str) -> list[dict[str, Any]]:
        """Return the notifications about stored methods, as ``notifications``."""
        return self._rows("token_notifications", filters)

    def configure(self, **settings: Any) -> None:
        """Change the account's settings (``behaviour.Settings``)."""
        self._call("PUT", "settings", settings)

    def subscribe(self, url: str, **settings: Any) -> None:
        """Send notifications to ``url`` (``delivery.Subscription``)."""
        self._call("PUT", "subscription", {"url": url, **settings})

    def scenario(self, mode: str, **values: Any) -> None:
        """Let the fake misbehave."""
        self._call("PUT", "scenario", {"mode": mode, **values})

    def behave(self) -> None:
        """End the scenario."""
        self._call("DELETE", "scenario")

    @contextmanager
    def misbehaving(self, mode: str, **values: Any) -> Iterator[None]:
        """Let the fake misbehave within the context only."""
        self.scenario(mode, **values)
        try:
            yield
        finally:
            self.behave()

    def advance(self, seconds: float = 0) -> dict[str, Any]:
        """Advance the clock, and do and send all that is due by then before returning."""
        return self._call("POST", "clock", {"seconds": seconds})

    def send_again(self, notification_id: int) -> None:
        """Send a notification once more."""
        self._call("POST", "notifications", {"id": notification_id})

    def dispute(self, event: str, **values: Any) -> dict[str, Any]:
        """Let an event of a dispute happen (``back_office.dispute``)."""
        return self._call("POST", "disputes", {"event": event, **values})

    def act(self, action: str, **values: Any) -> dict[str, Any]:
        """Act in the Customer Area (``back_office.act``)."""
        return self._call("POST", "actions", {"action": action, **values})

    def _rows(self, name: str, filters: dict[str, str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._call("GET", f"{name}?{urlencode(filters)}")["rows"]
        return rows

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/admin/{path}", data=data, method=method)
        with urlopen(request, timeout=ADMIN_TIMEOUT_SECONDS) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


@contextmanager
def running_adyen(folder: Path, port: int = 0) -> Iterator[AdyenHandle]:
    """Run a fake with its books in ``folder`` and yield its client; stop it at the end in any case."""
    books = str(folder / "adyen.sqlite")
    with running_module("local.adyen", "--port", str(port), "--books", books) as url:
        yield AdyenHandle(url)
