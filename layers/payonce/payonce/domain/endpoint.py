"""Webhook endpoints: where a merchant receives events, which events, and which keys sign them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any

from payonce.domain.errors import EndpointStateConflict
from payonce.domain.payment import Change
from payonce.domain.setup import MethodChange, SetupChange

# A relay writes one delivery per endpoint of an event, so this bounds the cost of an event.
MAX_ENDPOINTS_PER_MERCHANT = 100
MAX_EVENT_TYPES_PER_ENDPOINT = 50
MAX_URL_CHARACTERS = 2048
MAX_DESCRIPTION_CHARACTERS = 200
ALL_EVENTS = "*"
CUSTOM_PREFIX = "custom."
MAX_EVENT_TYPE_CHARACTERS = 80
# Consumers hold two keys at most during a rotation; a third would lengthen the header to no purpose.
MAX_ACTIVE_KEYS = 3
DEFAULT_KEY_OVERLAP_SECONDS = 24 * 3600
MAX_KEY_OVERLAP_SECONDS = 7 * 24 * 3600

_PATTERN = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?")


class EndpointStatus(StrEnum):
    """Whether events are sent. Events for a disabled endpoint are held, not dropped."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Who or what disabled an endpoint."""

    MERCHANT = "merchant"
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # the receiver accepted no event for days


class EndpointChange(StrEnum):
    """The changes of an endpoint. Each change has exactly one event, like a payment's."""

    CREATED = "webhook_endpoint.created"
    UPDATED = "webhook_endpoint.updated"
    ENABLED = "webhook_endpoint.enabled"
    DISABLED = "webhook_endpoint.disabled"
    KEY_ROTATED = "webhook_endpoint.key_rotated"
    TESTED = "webhook_endpoint.test"
    DELETED = "webhook_endpoint.deleted"


EVENT_TYPES: tuple[str, ...] = tuple(sorted(chain(Change, SetupChange, MethodChange, EndpointChange)))


class KeyKind(StrEnum):
    """The two signature schemes of Standard Webhooks: HMAC-SHA256 and Ed25519."""

    HMAC_SHA256 = "v1"
    ED25519 = "v1a"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointKey:
    """A sealed signing key. ``expires_at_ms`` is set once a newer key exists: until then both sign.

    ``public_key`` (``whpk_...``) of an Ed25519 key is what the merchant verifies with.
    """

    key_id: str
    kind: KeyKind
    sealed: bytes
    created_at_ms: int
    expires_at_ms: int | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A merchant's webhook endpoint. ``version`` counts its changes, and is the sequence number of its events."""

    merchant_id: str
    endpoint_id: str
    url: str
    event_types: tuple[str, ...]
    keys: tuple[EndpointKey, ...]
    created_at_ms: int
    updated_at_ms: int
    description: str = ""
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: DisabledReason | None = None
    disabled_at_ms: int | None = None
    version: int = 1

    def wants(self, event_type: str) -> bool:
        """Return whether the endpoint subscribes to events of this type (exactly, by ``prefix.*``, or to all)."""
        return any(_matches(pattern, event_type) for pattern in self.event_types)

    def active_keys(self, now_ms: int) -> tuple[EndpointKey, ...]:
        """Return the keys that sign now, newest first."""
        live = [key for key in self.keys if key.expires_at_ms is None or key.expires_at_ms > now_ms]
        return tuple(sorted(live, key=lambda key: key.created_at_ms, reverse=True))

    def changed(self, *, at_ms: int, **changes: Any) -> Endpoint:
        """Return the endpoint with ``changes`` applied and its version incremented."""
        return replace(self, version=self.version + 1, updated_at_ms=at_ms, **changes)

    def disabled(self, reason: DisabledReason, *, at_ms: int) -> Endpoint:
        """Return the endpoint disabled for ``reason``."""
        return self.changed(at_ms=at_ms, status=EndpointStatus.DISABLED, disabled_reason=reason, disabled_at_ms=at_ms)

    def rotated(self, key: EndpointKey, *, overlap_ms: int, at_ms: int) -> Endpoint:
        """Return the endpoint with a new key; the older keys sign for at most ``overlap_ms`` more.

        Raises ``EndpointStateConflict`` when more than ``MAX_ACTIVE_KEYS`` would sign. Dropping a key that a consumer
        still verifies with would cause an outage, so the merchant decides.
        """
        ends_ms = at_ms + overlap_ms
        older = [replace(old, expires_at_ms=min(old.expires_at_ms or ends_ms, ends_ms)) for old in self.keys]
        changed = self.changed(at_ms=at_ms, keys=(key, *older))
        active = changed.active_keys(at_ms)
        if len(active) > MAX_ACTIVE_KEYS:
            raise EndpointStateConflict(
                f"The endpoint has {MAX_ACTIVE_KEYS} keys that still sign. Wait until one expires, or rotate with "
                "overlap_seconds 0, which ends the older ones at once."
            )
        return replace(changed, keys=active)


def is_subscribable(pattern: str) -> bool:
    """Return whether ``pattern`` can match an event: ``*``, a known type, ``prefix.*`` of one, or a custom type."""
    if pattern == ALL_EVENTS or pattern in EVENT_TYPES:
        return True
    if not _PATTERN.fullmatch(pattern):
        return False
    if pattern.startswith(CUSTOM_PREFIX):
        return True
    return pattern.endswith(".*") and any(event_type.startswith(pattern[:-1]) for event_type in EVENT_TYPES)


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern in (ALL_EVENTS, event_type)
