"""A shop that sends requests to the stage's API, with ids and texts as long as real ones."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.ids import UlidSource

if TYPE_CHECKING:
    from benchmarks.units.stage import Stage

PAYMENTS, PAYMENT = "/payments", "/payments/{payment_id}"


@dataclass
class Shop:
    """The client of every case."""

    stage: Stage

    def __post_init__(self) -> None:
        self.ids = UlidSource(lambda: time.time_ns() // 1_000_000, os.urandom)

    def subscribe(self, merchant: str) -> None:
        body = {"url": self.stage.receiver.url, "event_types": ["*"]}
        status, answer = self.stage.call(
            "POST", "/webhook_endpoints", body, key=str(uuid.uuid4()), merchant_id=merchant
        )
        assert status == 201, answer
        self.stage.drain()

    def pay(
        self, merchant: str, *, expected: int = 201, key: str | None = None, body: Any = None, **options: Any
    ) -> dict[str, Any]:
        headers = options.pop("headers", None)
        status, answer = self.stage.call(
            "POST",
            PAYMENTS,
            body or body_of(**options),
            key=key or str(uuid.uuid4()),
            merchant_id=merchant,
            key_id=self.ids.new("key"),
            headers=headers,
        )
        assert status == expected, (status, answer)
        return {**answer, "merchant_id": merchant}

    def shown(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Return the payment as the API shows it now; this read is the benchmark's own and is not metered."""
        identity = payment.get("payment", {}).get("id") or payment.get("payment_id") or payment["id"]
        counted, merchant = len(self.stage.meter.requests), payment["merchant_id"]
        _, answer = self.stage.call("GET", PAYMENT, None, key=None, merchant_id=merchant, path={"payment_id": identity})
        del self.stage.meter.requests[counted:]
        return {**answer, "merchant_id": merchant}

    def follow(self, merchant: str, payment: dict[str, Any], what: str) -> None:
        path = {"payment_id": payment["id"]}
        status, answer = self.stage.call(
            "POST", f"{PAYMENT}/{what}", {}, key=str(uuid.uuid4()), merchant_id=merchant, path=path
        )
        assert status in {200, 201}, answer


REFERENCE = "Order 2026-118274: two seats, Thursday evening"


def body_of(**changes: Any) -> dict[str, Any]:
    """Return a shop's payment: a token of the gateway, the order's text, and five entries of metadata."""
    return {
        "amount_minor": 12_990,
        "currency": "EUR",
        "payment_method": "pm_1QK7v2Lkdiwhu7ixPz3mTn4a",
        "reference": REFERENCE,
        "metadata": {
            "order_id": str(uuid.uuid4()),
            "customer_id": "cus_R4b7dQzX9fWm2K",
            "channel": "web",
            "basket_items": "2",
            "invoice": "INV-2026-004417",
        },
        **changes,
    }
