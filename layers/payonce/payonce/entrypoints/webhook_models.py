"""The request bodies and queries of the webhooks' routes."""

from __future__ import annotations

from typing import Annotated, Literal

from payonce.domain.endpoint import (
    DEFAULT_KEY_OVERLAP_SECONDS,
    EVENT_TYPES,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_EVENT_TYPE_CHARACTERS,
    MAX_EVENT_TYPES_PER_ENDPOINT,
    MAX_KEY_OVERLAP_SECONDS,
    MAX_URL_CHARACTERS,
    is_subscribable,
)
from payonce.entrypoints.models import Cursor, PageLimit, StrictModel, printable
from payonce.extras import needs
from payonce.payments.payment_reads import DEFAULT_PAGE_SIZE

with needs("functions"):
    from pydantic import AfterValidator, ConfigDict, Field, model_validator

MAX_TIME_MS = 9_999_999_999_999  # the year 2286; a created_key has thirteen digits


def _subscribable(pattern: str) -> str:
    if not is_subscribable(pattern):
        raise ValueError(
            f"{pattern!r} is no event type. Give a type ({EVENT_TYPES[0]}), a prefix of some (payment.*), your own "
            "(custom.NAME), or *"
        )
    return pattern


def _once(patterns: list[str]) -> list[str]:
    return list(dict.fromkeys(patterns))


EventType = Annotated[
    str,
    Field(min_length=1, max_length=MAX_EVENT_TYPE_CHARACTERS),
    AfterValidator(printable),
    AfterValidator(_subscribable),
]
EventTypes = Annotated[
    list[EventType],
    AfterValidator(_once),
    Field(
        min_length=1,
        max_length=MAX_EVENT_TYPES_PER_ENDPOINT,
        description="Which events are sent: types, prefixes such as payment.*, custom.NAME, or * for all.",
    ),
]
Url = Annotated[
    str,
    Field(min_length=1, max_length=MAX_URL_CHARACTERS, description="https:// and a public host. POSTs are sent here."),
]
Description = Annotated[str, AfterValidator(printable), Field(max_length=MAX_DESCRIPTION_CHARACTERS)]
KeyKindName = Annotated[
    Literal["v1", "v1a"], Field(description="v1: HMAC-SHA256 with a shared secret; v1a: ed25519 with a public key.")
]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS, description="Milliseconds since the epoch.")]


class EndpointBody(StrictModel):
    """Body of ``POST /webhook_endpoints``."""

    url: Url
    event_types: EventTypes = Field(default_factory=lambda: ["*"])
    description: Description = ""
    key_kind: KeyKindName = "v1"


class EndpointPatchBody(StrictModel):
    """Body of ``PATCH /webhook_endpoints/{endpoint_id}``: the members to change, at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    status: Literal["enabled", "disabled"] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> EndpointPatchBody:
        if all(value is None for value in (self.url, self.event_types, self.description, self.status)):
            raise ValueError("nothing to change: give url, event_types, description or status")
        return self


class RotationBody(StrictModel):
    """Body of ``POST /webhook_endpoints/{endpoint_id}/secret_rotations``."""

    overlap_seconds: Annotated[
        int, Field(ge=0, le=MAX_KEY_OVERLAP_SECONDS, description="How long the older keys go on signing.")
    ] = DEFAULT_KEY_OVERLAP_SECONDS
    key_kind: KeyKindName | None = None


class ReplayBody(StrictModel):
    """Body of ``POST /webhook_endpoints/{endpoint_id}/replays``: a range of time that includes both ends."""

    from_ms: TimeMs
    until_ms: TimeMs
    only: Annotated[
        Literal["undelivered", "all"],
        Field(description="undelivered: what failed, is held, or was never sent; all: what was delivered, too."),
    ] = "undelivered"

    @model_validator(mode="after")
    def _is_a_range(self) -> ReplayBody:
        if self.from_ms > self.until_ms:
            raise ValueError("from_ms is after until_ms")
        return self


class DeliveriesQuery(StrictModel):
    """Query of ``GET /webhook_endpoints/{endpoint_id}/deliveries``."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    cursor: Cursor | None = None
    status: (
        Annotated[
            Literal["pending", "delivered", "failed", "held", "canceled"],
            Field(description="Filters within a bounded page: it may be short, or empty, and yet have a next_cursor."),
        ]
        | None
    ) = None


class EventsQuery(StrictModel):
    """Query of ``GET /events``."""

    limit: PageLimit = DEFAULT_PAGE_SIZE
    after: (
        Annotated[Cursor, Field(description="next_after of the page before; without it, from the first event.")] | None
    ) = None
    type: (
        Annotated[
            str,
            Field(
                pattern=r"^[a-z][a-z0-9_.]{0,79}$",
                description="Filters within a bounded page, which may be short, or empty, and yet has_more.",
            ),
        ]
        | None
    ) = None
