"""A merchant's operations on its endpoints: create, change, delete, rotate the secret, request a test event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from payonce.domain.endpoint import (
    DEFAULT_KEY_OVERLAP_SECONDS,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointStatus,
    KeyKind,
)
from payonce.domain.errors import EndpointStateConflict, MisconfiguredError
from payonce.domain.ids import event_id
from payonce.domain.webhooks import MOST_LANES
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft
from payonce.idempotency.sealed_responses import seal_response
from payonce.webhooks.commit_work import EndpointWork, ManagementWork, Services, endpoint_path
from payonce.webhooks.endpoints import WebhookEndpointView, change_writes, create_writes, delete_writes, endpoint_view
from payonce.webhooks.gate import forget_failures_write
from payonce.webhooks.keys import KeyMaker, NewKey, ShownKey, key_context
from payonce.webhooks.messages import wake
from payonce.webhooks.quota import give_back_write, take_write
from payonce.webhooks.replay_items import held_replay, insert_replay_write

if TYPE_CHECKING:
    from payonce.idempotency.records import StoredResponse
    from payonce.ports import QueueMessage


class NewWebhookEndpointView(WebhookEndpointView, ShownKey):
    """An endpoint with its new key."""


class DeletedWebhookEndpointView(TypedDict):
    """What is left to say of a deleted endpoint."""

    id: str
    object: Literal["webhook_endpoint"]
    deleted: Literal[True]


class TestEventView(TypedDict):
    """Where a test event is found."""

    object: Literal["test_event"]
    event_id: str
    endpoint_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """A merchant's request to create an endpoint."""

    url: str
    event_types: tuple[str, ...]
    description: str
    key_kind: KeyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPatch:
    """A merchant's request to change an endpoint. ``None`` keeps a member unchanged."""

    url: str | None = None
    event_types: tuple[str, ...] | None = None
    description: str | None = None
    status: EndpointStatus | None = None

    def applied(self, before: Endpoint, *, at_ms: int) -> tuple[Endpoint, EndpointChange] | None:
        """Return the changed endpoint and the kind of change, or ``None`` when nothing differs."""
        wanted = {"url": self.url, "event_types": self.event_types, "description": self.description}
        changes: dict[str, Any] = {
            name: value for name, value in wanted.items() if value not in (None, getattr(before, name))
        }
        change = EndpointChange.UPDATED
        if self.status not in (None, before.status):
            disabled = self.status is EndpointStatus.DISABLED
            change = EndpointChange.DISABLED if disabled else EndpointChange.ENABLED
            changes["status"] = self.status
            changes["disabled_reason"] = DisabledReason.MERCHANT if disabled else None
            changes["disabled_at_ms"] = at_ms if disabled else None
        return (before.changed(at_ms=at_ms, **changes), change) if changes else None


class CreateEndpoint(ManagementWork):
    """The work of ``POST /webhook_endpoints``. ``prepare`` generates the secret once, and all drafts use it."""

    kind = "webhook_endpoint.create"

    def __init__(self, new: NewEndpoint, *, merchant_id: str, keys: KeyMaker, services: Services) -> None:
        super().__init__(services, merchant_id, endpoint_id=services.ids.new("we"), key_id=services.ids.new("whk"))
        self._new = new
        self._keys = keys
        self._key: NewKey | None = None

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return endpoint_path(self._identities["endpoint_id"])

    def prepare(self) -> None:
        """See ``ManagementWork``."""
        self._key = self._keys.new(self._new.key_kind, key_context(self._merchant_id, **self._identities))

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        key = _prepared(self._key)
        endpoint = Endpoint(
            merchant_id=self._merchant_id,
            endpoint_id=self._identities["endpoint_id"],
            url=self._new.url,
            event_types=self._new.event_types,
            description=self._new.description,
            keys=(key.stored(self._identities["key_id"], created_at_ms=now_ms),),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        writes = [take_write(self._services.database, self._merchant_id), *create_writes(endpoint)]
        return Draft(_with_key(self._keys, endpoint, key, record_id), writes)


class RotateSecret(EndpointWork):
    """The work of ``POST /webhook_endpoints/{id}/secret_rotations``. ``key_kind`` defaults to the newest key's."""

    kind = "webhook_endpoint.rotate_secret"

    def __init__(
        self,
        endpoint_id: str,
        *,
        merchant_id: str,
        keys: KeyMaker,
        services: Services,
        overlap_seconds: int = DEFAULT_KEY_OVERLAP_SECONDS,
        key_kind: KeyKind | None = None,
    ) -> None:
        super().__init__(services, merchant_id, endpoint_id, key_id=services.ids.new("whk"))
        self._keys = keys
        self._overlap_ms = overlap_seconds * 1000
        self._key_kind = key_kind
        self._key: NewKey | None = None

    def prepare(self) -> None:
        """See ``ManagementWork``. Reads the endpoint for the newest key's kind, which is the default."""
        kind = self._key_kind or self.load().keys[0].kind
        context = key_context(self._merchant_id, self._endpoint_id, self._identities["key_id"])
        self._key = self._keys.new(kind, context)

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        before, key = self.load(), _prepared(self._key)
        new = key.stored(self._identities["key_id"], created_at_ms=now_ms)
        after = before.rotated(new, overlap_ms=self._overlap_ms, at_ms=now_ms)
        return Draft(
            _with_key(self._keys, after, key, record_id),
            change_writes(before, after, EndpointChange.KEY_ROTATED),
        )


class UpdateEndpoint(EndpointWork):
    """The work of ``PATCH /webhook_endpoints/{id}``. Enabling an endpoint sends what was held while it was disabled."""

    kind = "webhook_endpoint.update"

    def __init__(self, endpoint_id: str, patch: EndpointPatch, *, merchant_id: str, services: Services) -> None:
        super().__init__(services, merchant_id, endpoint_id, replay_id=services.ids.new("rpl"))
        self._patch = patch

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        before = self.load()
        applied = self._patch.applied(before, at_ms=now_ms)
        if applied is None:
            return Draft(_endpoint_response(200, before), ())
        after, change = applied
        writes = change_writes(before, after, change)
        if change is EndpointChange.ENABLED:
            replay = held_replay(before, self._identities["replay_id"], now_ms=now_ms)
            writes.append(insert_replay_write(replay))
            writes.append(forget_failures_write(self._merchant_id, self._endpoint_id))
        return Draft(_endpoint_response(200, after), writes)


class DeleteEndpoint(EndpointWork):
    """The work of ``DELETE /webhook_endpoints/{id}``."""

    kind = "webhook_endpoint.delete"

    @property
    def messages(self) -> list[QueueMessage]:
        """The messages to send after the commit: whoever is woken finds no endpoint, and cancels what was pending."""
        return [wake(self._merchant_id, self._endpoint_id, lane) for lane in range(MOST_LANES)]

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        before = self.load()
        view: DeletedWebhookEndpointView = {"id": before.endpoint_id, "object": "webhook_endpoint", "deleted": True}
        return Draft(
            json_response(200, view, location=self.resource()),
            [*delete_writes(before, at_ms=now_ms), give_back_write(self._merchant_id)],
        )


class TestEndpoint(EndpointWork):
    """The work of ``POST /webhook_endpoints/{id}/test_events``: an event for this endpoint alone."""

    __test__ = False  # not a test class, whatever its name
    kind = "webhook_endpoint.test"

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``. A test increments the endpoint's version like a change, so sequences have no gap."""
        before = self.load()
        require_enabled(before, "A test event would only be held.")
        after = before.changed(at_ms=now_ms)
        identity = event_id(self._endpoint_id, after.version)
        view: TestEventView = {"object": "test_event", "event_id": identity, "endpoint_id": self._endpoint_id}
        return Draft(
            json_response(201, view, location=f"/events/{identity}"),
            change_writes(before, after, EndpointChange.TESTED),
        )


def require_enabled(endpoint: Endpoint, why: str) -> None:
    """Raise ``EndpointStateConflict`` unless the endpoint is enabled."""
    if endpoint.status is not EndpointStatus.ENABLED:
        raise EndpointStateConflict(
            f"The endpoint is disabled. {why} Enable it first, with PATCH and status enabled.",
            resource=endpoint_path(endpoint.endpoint_id),
        )


def _prepared(key: NewKey | None) -> NewKey:
    if key is None:  # pragma: no cover - the engine starts before it asks for a draft
        raise MisconfiguredError("a draft without its key")
    return key


def _endpoint_response(status: int, endpoint: Endpoint) -> StoredResponse:
    return json_response(status, endpoint_view(endpoint), location=endpoint_path(endpoint.endpoint_id))


def _with_key(keys: KeyMaker, endpoint: Endpoint, key: NewKey, record_id: str) -> StoredResponse:
    """Return the response that shows the new key; it is sealed at rest when the merchant's part is a secret."""
    view: NewWebhookEndpointView = {**endpoint_view(endpoint), **key.shown()}
    response = json_response(201, view, location=endpoint_path(endpoint.endpoint_id))
    return response if key.secret is None else seal_response(keys.cipher, response, record_id)
