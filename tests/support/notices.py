"""Gateways' events for tests: an application that takes them, and events signed as the gateways sign them."""

from __future__ import annotations

import base64
import hmac
import json
import os
from typing import TYPE_CHECKING, Any

from stripe import WebhookSignature

from payonce.entrypoints.gateway_events import accept_event
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.settings import load_settings
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Database, Gateway

GATEWAYS = json.dumps(
    [
        {"name": "stripe", "kind": "stripe"},
        {"name": "stripe_us", "kind": "stripe"},
        {"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9"},
    ]
)
STRIPE_SECRET, OLD_STRIPE_SECRET, US_SECRET = "whsec_present", "whsec_former", "whsec_of_the_other_account"
BANK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"  # of Adyen's library's own tests
SECRETS: Mapping[str, Any] = {
    "stripe_events_secret": [STRIPE_SECRET, OLD_STRIPE_SECRET],
    "stripe_us_events_secret": US_SECRET,
    "bank_events_secret": BANK_SECRET,
    "adyen_events_secret": ADYEN_KEY,
}
CHARGE_ID = "pi_3Q"


def notice_application(
    *, clock: Clock | None = None, database: Database | None = None, gateway: Gateway | None = None
) -> NoticeApplication:
    """Return an application in memory that takes the events of two Stripe accounts and of a bank."""
    clock = clock or ManualClock()
    application = NoticeApplication(
        load_settings({"PAYONCE_GATEWAYS": GATEWAYS}),
        clock=clock,
        database=database or MemoryDatabase(),
        gateways={"bank": gateway or ScriptedGateway(clock)},
    )
    application.notice_queue = MemoryQueue()  # type: ignore[misc]
    application.read_event_secrets = lambda: SECRETS  # type: ignore[method-assign]
    return application


def stripe_event(
    kind: str = "payment_intent.succeeded", *, event_id: str = "evt_1", created: int = 1_800_000_000, **subject: Any
) -> bytes:
    """Return the body of a snapshot event about a payment intent, or about what ``subject`` says."""
    subject = {"id": CHARGE_ID, "object": "payment_intent", "metadata": {}, **subject}
    return json.dumps(
        {"id": event_id, "object": "event", "type": kind, "created": created, "data": {"object": subject}}, indent=2
    ).encode()


def stripe_headers(body: bytes, now_ms: int, *secrets: str) -> dict[str, str]:
    """Return the headers with which Stripe posts ``body``: by its own library, a signature for each secret."""
    at_seconds = now_ms // 1000
    signed = [
        WebhookSignature.generate_signature_header(body.decode(), secret, at_seconds).partition(",")[2]
        for secret in secrets or (STRIPE_SECRET,)
    ]
    return {"Stripe-Signature": ",".join([f"t={at_seconds}", *signed])}


def bank_event(
    kind: str = "payment.succeeded", *, event_id: str = "evt_1", created_at_ms: int = 1_800_000_000_000, **data: Any
) -> bytes:
    """Return the body of an event of the sandbox bank."""
    document = {"id": event_id, "type": kind, "created_at_ms": created_at_ms, "bank": "main", "data": data}
    return json.dumps(document).encode()


def bank_headers(body: bytes, now_ms: int, *, event_id: str = "evt_1", secret: str = BANK_SECRET) -> dict[str, str]:
    """Return the headers with which the bank posts ``body`` (https://www.standardwebhooks.com)."""
    at_seconds = now_ms // 1000
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{at_seconds}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": "v1," + base64.b64encode(hmac.digest(raw, signed, "sha256")).decode(),
    }


def posted(
    body: bytes, headers: Mapping[str, str], gateway: str = "stripe", *, as_text: bool = False
) -> dict[str, Any]:
    """Return the proxy event of a gateway's post: its body in base64, as an API of octets hands it on, or as text."""
    return {
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": {"gateway": gateway},
        "body": body.decode() if as_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not as_text,
        "requestContext": {"requestId": os.urandom(4).hex()},
    }


def post(application: NoticeApplication, body: bytes, headers: Mapping[str, str], gateway: str = "stripe") -> int:
    """Post an event, and return the status of the answer."""
    status: int = accept_event(application, posted(body, headers, gateway))["statusCode"]
    return status
