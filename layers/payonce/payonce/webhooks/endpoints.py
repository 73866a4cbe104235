"""The stored form of endpoints, and their changes: item, gate and event in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from payonce.domain.endpoint import (
    MAX_ENDPOINTS_PER_MERCHANT,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointKey,
    EndpointStatus,
    KeyKind,
)
from payonce.domain.events import build_event
from payonce.outbox import event_write
from payonce.ports import Adjust, Delete, Insert, Table
from payonce.webhooks.gate import GATE_PREFIX, gate_from, gate_key, new_gate_item

if TYPE_CHECKING:
    from payonce.ports import Database, Item, Key, Write
    from payonce.webhooks.gate import Gate

ENDPOINT_PREFIX = "ENDPOINT#"


class WebhookKeyView(TypedDict):
    """A signing key as merchants see it. No secret is in it."""

    id: str
    kind: KeyKind
    public_key: str | None
    created_at_ms: int
    expires_at_ms: int | None


class WebhookEndpointView(TypedDict):
    """An endpoint as merchants see it."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    description: str
    event_types: list[str]
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at_ms: int | None
    keys: list[WebhookKeyView]
    created_at_ms: int
    updated_at_ms: int
    version: int


def endpoint_key(merchant_id: str, endpoint_id: str) -> Key:
    """Return the key of the endpoint item. The merchant is its partition, which keeps merchants apart."""
    return {"pk": merchant_id, "sk": ENDPOINT_PREFIX + endpoint_id}


def load_endpoint(database: Database, merchant_id: str, endpoint_id: str) -> Endpoint | None:
    """Return the endpoint as it is stored now, or ``None``."""
    item = database.get(Table.ENDPOINTS, endpoint_key(merchant_id, endpoint_id))
    return None if item is None else endpoint_from(item)


def load_endpoint_and_gate(
    database: Database, merchant_id: str, endpoint_id: str
) -> tuple[Endpoint | None, Gate | None]:
    """Return the endpoint and its gate as they are stored now, in one round trip; ``None`` when it was deleted."""
    keys = [endpoint_key(merchant_id, endpoint_id), gate_key(merchant_id, endpoint_id)]
    found = {item["sk"]: item for item in database.get_many(Table.ENDPOINTS, keys)}
    endpoint, gate = (found.get(key["sk"]) for key in keys)
    return None if endpoint is None else endpoint_from(endpoint), None if gate is None else gate_from(gate)


def load_endpoints(database: Database, merchant_id: str) -> list[Endpoint]:
    """Return all endpoints of a merchant, oldest first, in one round trip: their number is bounded."""
    page = database.query(
        Table.ENDPOINTS,
        partition=("pk", merchant_id),
        sort_prefix=("sk", ENDPOINT_PREFIX),
        limit=MAX_ENDPOINTS_PER_MERCHANT,
    )
    return [endpoint_from(item) for item in page.items]


def load_endpoints_and_gates(database: Database, merchant_id: str) -> list[tuple[Endpoint, Gate]]:
    """Return all endpoints of a merchant with their gates, in one round trip: both are items of its partition."""
    page = database.query(Table.ENDPOINTS, partition=("pk", merchant_id), limit=2 * MAX_ENDPOINTS_PER_MERCHANT + 1)
    gates = {item["sk"]: gate_from(item) for item in page.items if item["sk"].startswith(GATE_PREFIX)}
    endpoints = [endpoint_from(item) for item in page.items if item["sk"].startswith(ENDPOINT_PREFIX)]
    # One without a gate was deleted while this was read.
    return [
        (endpoint, gate)
        for endpoint in endpoints
        if (gate := gates.get(gate_key(merchant_id, endpoint.endpoint_id)["sk"])) is not None
    ]


def create_writes(endpoint: Endpoint) -> list[Write]:
    """Return the writes that create an endpoint with its gate and its first event."""
    return [
        Insert(Table.ENDPOINTS, endpoint_item(endpoint)),
        Insert(Table.ENDPOINTS, new_gate_item(endpoint.merchant_id, endpoint.endpoint_id)),
        event_write(_event(EndpointChange.CREATED, endpoint)),
    ]


def change_writes(before: Endpoint, after: Endpoint, change: EndpointChange) -> list[Write]:
    """Return the writes that replace ``before`` by ``after``, if it is unchanged, with the change's event."""
    key = endpoint_key(before.merchant_id, before.endpoint_id)
    changed = {name: value for name, value in endpoint_item(after).items() if name not in key}
    return [
        Adjust(table=Table.ENDPOINTS, key=key, require={"version": before.version}, set=changed),
        event_write(_event(change, after)),
    ]


def delete_writes(before: Endpoint, *, at_ms: int) -> list[Write]:
    """Return the writes that remove an endpoint and its gate. Its last event goes to the other endpoints."""
    return [
        Delete(
            table=Table.ENDPOINTS,
            key=endpoint_key(before.merchant_id, before.endpoint_id),
            require={"version": before.version},
        ),
        Delete(table=Table.ENDPOINTS, key=gate_key(before.merchant_id, before.endpoint_id), require={}),
        event_write(_event(EndpointChange.DELETED, before.changed(at_ms=at_ms))),
    ]


def endpoint_view(endpoint: Endpoint) -> WebhookEndpointView:
    """Return the endpoint as the API and its events show it. It contains no secret."""
    return {
        "id": endpoint.endpoint_id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": list(endpoint.event_types),
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at_ms": endpoint.disabled_at_ms,
        "keys": [
            {
                "id": key.key_id,
                "kind": key.kind,
                "public_key": key.public_key,
                "created_at_ms": key.created_at_ms,
                "expires_at_ms": key.expires_at_ms,
            }
            for key in endpoint.keys
        ],
        "created_at_ms": endpoint.created_at_ms,
        "updated_at_ms": endpoint.updated_at_ms,
        "version": endpoint.version,
    }


def _event(change: EndpointChange, endpoint: Endpoint) -> Any:
    return build_event(
        change,
        merchant_id=endpoint.merchant_id,
        resource_id=endpoint.endpoint_id,
        version=endpoint.version,
        created_at_ms=endpoint.updated_at_ms,
        data=endpoint_view(endpoint),
        only_endpoint_id=endpoint.endpoint_id if change is EndpointChange.TESTED else None,
    )


def endpoint_item(endpoint: Endpoint) -> Item:
    """Return the stored form of an endpoint."""
    return {
        **endpoint_key(endpoint.merchant_id, endpoint.endpoint_id),
        "merchant_id": endpoint.merchant_id,
        "endpoint_id": endpoint.endpoint_id,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "description": endpoint.description,
        "status": endpoint.status.value,
        "disabled_reason": endpoint.disabled_reason.value if endpoint.disabled_reason else None,
        "disabled_at_ms": endpoint.disabled_at_ms,
        "version": endpoint.version,
        "created_at_ms": endpoint.created_at_ms,
        "updated_at_ms": endpoint.updated_at_ms,
        "keys": [
            {
                "key_id": key.key_id,
                "kind": key.kind.value,
                "sealed": key.sealed,
                "public_key": key.public_key,
                "created_at_ms": key.created_at_ms,
                "expires_at_ms": key.expires_at_ms,
            }
            for key in endpoint.keys
        ],
    }


def endpoint_from(item: Item) -> Endpoint:
    """Return the endpoint of a stored item."""
    return Endpoint(
        merchant_id=item["merchant_id"],
        endpoint_id=item["endpoint_id"],
        url=item["url"],
        event_types=tuple(item["event_types"]),
        description=item["description"],
        status=EndpointStatus(item["status"]),
        disabled_reason=DisabledReason(item["disabled_reason"]) if item["disabled_reason"] else None,
        disabled_at_ms=item["disabled_at_ms"],
        version=item["version"],
        created_at_ms=item["created_at_ms"],
        updated_at_ms=item["updated_at_ms"],
        keys=tuple(
            EndpointKey(
                key_id=key["key_id"],
                kind=KeyKind(key["kind"]),
                sealed=key["sealed"],
                public_key=key["public_key"],
                created_at_ms=key["created_at_ms"],
                expires_at_ms=key["expires_at_ms"],
            )
            for key in item["keys"]
        ),
    )
