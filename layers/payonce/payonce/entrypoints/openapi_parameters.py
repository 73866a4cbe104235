"""Parameters and headers of openapi.json that no model describes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.entrypoints.json_body import EXEMPTIBLE_LIST
from payonce.entrypoints.paths import PATTERNS
from payonce.entrypoints.view_schemas import INTEGER, SCHEMAS, TEXT
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_PARAMETERS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "IdempotencyKey": {
            "name": "X-Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "The same on every retry of one operation, and new for a new operation.",
            "schema": {
                "type": "string",
                "minLength": MIN_KEY_CHARACTERS,
                "maxLength": MAX_KEY_CHARACTERS,
                "pattern": "^[!-~]+$",
            },
        },
        "Prefer": {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "`wait=N`: how many seconds a copy of a request in flight waits for its answer, at most 20.",
            # Other preferences may accompany it and are ignored (RFC 7240).
            "schema": {"type": "string"},
        },
        "NotCardNumbers": {
            "name": "Payonce-Not-Card-Numbers",
            "in": "header",
            "required": False,
            "description": "Members of the body that hold references of your own which only look like card numbers: "
            "`reference`, `description`, `metadata.<name>`, separated by commas. All others are searched.",
            "schema": {"type": "string", "pattern": EXEMPTIBLE_LIST},
        },
    }
)
ADMISSION_PARAMETERS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "Priority": {
            "name": "Priority",
            "in": "header",
            "required": False,
            "description": "`u=0` to `u=7` (RFC 9218), 3 by default. Above 3 the payment can wait: when there is not "
            "enough for all, it is refused first. What can't be read is ignored.",
            "schema": {"type": "string"},
        }
    }
)
REPLAYED = "Idempotency-Replayed"
EXPIRES = "Idempotency-Expires"
RETRY_AFTER = "Retry-After"
LOCATION = "Location"
PAYMENT_STATUS = "Payment-Status"
HEADERS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        REPLAYED: {
            "description": "Whether this is the stored answer to an earlier request with this key.",
            "schema": {"type": "string", "enum": ["true", "false"]},
        },
        EXPIRES: {
            "description": "Until when the key is replayed (RFC 3339). After that it is refused, never executed again.",
            "schema": {"type": "string", "format": "date-time"},
        },
        RETRY_AFTER: {
            "description": "In how many seconds to retry. What stands between may send a date instead (RFC 9110).",
            "schema": INTEGER,
        },
        LOCATION: {"description": "The path of the resource.", "schema": TEXT},
        PAYMENT_STATUS: {
            "description": "On a replay of an answer that was not the end of a payment or set-up: where it stands now.",
            "schema": {"anyOf": [{"$ref": f"{SCHEMAS}PaymentStatus"}, {"$ref": f"{SCHEMAS}SetupStatus"}]},
        },
    }
)


def header(name: str) -> dict[str, Any]:
    """Return a reference to a header."""
    return {"$ref": f"#/components/headers/{name}"}


def parameter(name: str) -> dict[str, Any]:
    """Return a reference to a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def path_parameter(name: str, example: str | None = None) -> dict[str, Any]:
    """Return a parameter of the path, which is an id with a pattern, or a name."""
    schema = {"type": "string", "pattern": f"^{PATTERNS[name]}$"} if name in PATTERNS else TEXT
    said = {} if example is None else {"example": example}
    return {"name": name, "in": "path", "required": True, "schema": schema, **said}
