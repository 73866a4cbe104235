"""A client on virtual time, whose answers are written by the test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from payonce.client import AsyncClient, Client
from payonce.client.attempts import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://api.example.com/v1"
API_KEY = "po_secret_0123456789abcdef"
NOW = 1_800_000_000.0
PAYMENT = {"object": "payment", "id": "pay_1", "status": "captured", "a_later_member": {"x": 1}}
IN_DOUBT = {**PAYMENT, "status": "in_doubt"}

type Step = httpx.Response | Exception


def answer(status: int, document: Any, **headers: str) -> httpx.Response:
    """Return an answer; ``headers`` are written with underscores."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=document, headers=spelled)


def created(*, replayed: bool = False, **headers: str) -> httpx.Response:
    """Return the answer to a payment that was executed."""
    return answer(201, PAYMENT, Idempotency_Replayed=str(replayed).lower(), Location="/payments/pay_1", **headers)


def problem(
    slug: str, status: int, *, retryable: bool, headers: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    """Return a problem document as the API writes it."""
    document = {"type": f"urn:payonce:problem:{slug}", "title": slug, "status": status, "detail": f"The {slug}."}
    return httpx.Response(status, json={**document, "retryable": retryable, **more}, headers=headers or {})


@dataclass
class Stage:
    """Answers in their order, the last one for ever, and what was sent. Time passes in sleeps and ``takes_seconds``."""

    steps: list[Step]
    now: float = 0.0
    takes_seconds: float = 0.0
    random: float = 0.5
    sent: list[httpx.Request] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    on_send: Callable[[], None] = lambda: None

    def client(self, **settings: Any) -> Client:
        """Return a client whose connections are ours, so that what failed to connect was certainly not sent."""
        http = settings.pop("http", None)
        transport = httpx.Client(transport=httpx.MockTransport(self.handle))
        client = Client(URL, API_KEY, http=transport, timing=self.timing(), sleep=self.sleep, **settings)
        client._settings = replace(client._settings, own_http=http is None)
        return client

    def async_client(self, **settings: Any) -> AsyncClient:
        """Return the same for asyncio."""

        async def sleep(seconds: float) -> None:
            self.sleep(seconds)

        transport = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        client = AsyncClient(URL, API_KEY, http=transport, timing=self.timing(), sleep=sleep, **settings)
        client._settings = replace(client._settings, own_http=True)
        return client

    def timing(self) -> Timing:
        return Timing(lambda: self.now, lambda: NOW + self.now, lambda: self.random)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        self.on_send()
        self.now += self.takes_seconds
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)

    def sent_keys(self) -> list[str]:
        """Return the idempotency key of every request."""
        return [request.headers["X-Idempotency-Key"] for request in self.sent]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.sent]


def pay(client: Client, **options: Any) -> Any:
    """Create the payment of these tests."""
    return client.create_payment(amount_minor=1050, currency="EUR", payment_method="pm_visa", **options)
