"""Webhook endpoints, deliveries and events for tests, and a look into whole tables."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.events import build_event
from payonce.domain.ids import content_id
from payonce.domain.payment import Change
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import event_item, event_write, opened
from payonce.packing import unpack
from payonce.ports import Table
from payonce.webhooks.deliveries import Delivery, attempt_entry, delivery_from, key_of, new_delivery
from payonce.webhooks.delivery_writes import attempt_write, insert_write, lease_write
from tests.support.events import call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.delivery import Exchanged
    from payonce.ports import Database, Item
    from payonce.stores.memory import MemoryDatabase
    from payonce.wiring.application import Application

URL = "https://hooks.example.com/payonce"
MERCHANT = "mer_1"
CREATED_AT_MS = 1_795_526_278_524


def stored_endpoint(merchant_id: str, endpoint_id: str) -> Endpoint:
    """Return an enabled endpoint for all events, as it would be stored. Its key is sealed by nobody."""
    key = EndpointKey(key_id=an_id("whk", 1), kind=KeyKind.HMAC_SHA256, sealed=b"sealed", created_at_ms=CREATED_AT_MS)
    return Endpoint(
        merchant_id=merchant_id,
        endpoint_id=endpoint_id,
        url=URL,
        event_types=("*",),
        keys=(key,),
        created_at_ms=CREATED_AT_MS,
        updated_at_ms=CREATED_AT_MS,
    )


def document(answer: dict[str, Any]) -> Any:
    """Return the document of a proxy response."""
    return json.loads(answer["body"])


def new_endpoint(application: Application, key: str = "create-endpoint-1", **options: Any) -> dict[str, Any]:
    """Create an endpoint through the API and return its document. ``merchant_id`` apart, options are its body."""
    merchant_id = options.pop("merchant_id", MERCHANT)
    answer = call(
        application, "create_webhook_endpoint", {"url": URL, **options}, key=key.ljust(16, "-"), merchant_id=merchant_id
    )
    assert answer["statusCode"] == 201, answer["body"]
    view: dict[str, Any] = document(answer)
    return view


def store_event(
    database: Database,
    number: int,
    *,
    created_at_ms: int,
    change: Any = Change.CHARGED,
    merchant_id: str = MERCHANT,
    only_endpoint_id: str | None = None,
    data: dict[str, Any] | None = None,
) -> Item:
    """Store an event of the merchant's payment ``number`` and return its item."""
    own = 0 if merchant_id == MERCHANT else zlib.crc32(merchant_id.encode()) * 1000
    event = build_event(
        change,
        merchant_id=merchant_id,
        resource_id=f"pay_{own + number:026d}",
        version=1,
        created_at_ms=created_at_ms,
        data=data or {"number": number},
        only_endpoint_id=only_endpoint_id,
    )
    database.write([event_write(event)])
    return opened(event_item(event))


def store_delivery(
    database: Database, event: Item, endpoint_id: str, status: DeliveryStatus, *, now_ms: int, attempt_count: int = 0
) -> Delivery:
    """Store a delivery of ``event`` and return it."""
    delivery = replace(
        new_delivery(event, endpoint_id, status, now_ms=now_ms),
        attempt_count=attempt_count,
        round_attempts=attempt_count,
    )
    database.write([insert_write(delivery)])
    return load_delivery(database, delivery)


def load_delivery(database: Database, delivery: Delivery) -> Delivery:
    """Return the delivery as it is stored now."""
    item = database.get(Table.DELIVERIES, key_of(delivery))
    assert item is not None
    return delivery_from(item)


def attempt(database: Database, delivery: Delivery, exchanged: Exchanged, status: DeliveryStatus) -> Delivery:
    """Record an attempt, as a sender does, and return what is stored then."""
    database.write([lease_write(delivery, lease_expires_at_ms=1, lane_mark=0)])
    leased = load_delivery(database, delivery)
    now_ms = delivery.updated_at_ms
    due = now_ms + 5 if status is DeliveryStatus.PENDING else None
    entry = attempt_entry(exchanged, at_ms=now_ms)
    database.write([attempt_write(leased, entry, status, at_ms=now_ms, not_before_ms=due)])
    return load_delivery(database, delivery)


def items_of(database: MemoryDatabase, table: Table) -> list[Item]:
    """Return every item of a table."""
    return list(database._tables[table].values())


def events_of(database: MemoryDatabase, resource_id: str) -> list[Any]:
    """Return the bodies of a resource's events, in order."""
    items = [item for item in items_of(database, Table.OUTBOX) if item["pk"] == resource_id]
    return [json.loads(opened(item)["body"]) for item in sorted(items, key=lambda item: str(item["sk"]))]


def texts_in(value: Any) -> Iterator[str]:
    """Yield all text in ``value``, also what is packed or in base64 within bytes."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from texts_in(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts_in(member)
    elif isinstance(value, bytes):
        yield value.decode("latin-1")
        yield base64.b64encode(value).decode()
        try:
            yield unpack(value).decode("latin-1")
        except ValueError:
            return
    else:
        yield str(value)


def holds_secret(value: Any, secret: str) -> bool:
    """Return whether ``secret`` is in ``value``: as its text, without its prefix, or as its bytes."""
    bare = secret.removeprefix("whsec_")
    forms = (secret, bare, base64.b64decode(bare).decode("latin-1"))
    return any(form in text for text in texts_in(value) for form in forms)


def an_id(prefix: str, number: int) -> str:
    """Return an id that has the form of ours."""
    return f"{prefix}_{number:026d}" if prefix != "evt" else content_id("evt", str(number))
