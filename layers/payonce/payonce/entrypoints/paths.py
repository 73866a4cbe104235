"""Ids in paths: their format, and the answer to anything that can't be an id."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound
from payonce.domain.ids import VERSION_PATTERN
from payonce.domain.setup import METHOD_PREFIX, SETUP_PREFIX
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request

ENDPOINT_PATH = "/webhook_endpoints/{endpoint_id}"
BREAK_PATH = "/breaks/{break_id}"
_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "payment_id": f"pay_{_ULID}",
        "merchant_id": f"mer_{_ULID}",
        # The id of the payment, and which dispute of it: see domain/dispute.py.
        "dispute_id": f"dp_{_ULID}_[0-9a-f]{{16}}",
        "setup_id": f"{SETUP_PREFIX}_{_ULID}",
        "payment_method_id": f"{METHOD_PREFIX}_{_ULID}",
        "endpoint_id": f"we_{_ULID}",
        "delivery_id": f"whd_{_ULID}",
        "replay_id": f"rpl_{_ULID}",
        # The id of the resource that changed, and which change of it.
        "event_id": f"evt_((pay|{SETUP_PREFIX}|{METHOD_PREFIX}|we)_{_ULID}|ext_[0-9a-f]{{64}})_{VERSION_PATTERN}",
        "break_id": "brk_[0-9a-f]{64}",
        "match_id": "mat_[0-9a-f]{64}",
        "idempotency_key": f"[!-~]{{{MIN_KEY_CHARACTERS},{MAX_KEY_CHARACTERS}}}",
    }
)
_NAMES = MappingProxyType(
    {
        "payment_id": ("payment", "pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "dispute_id": ("dispute", "dp_01JD0Z2VJ6K0Q5M8YB3W7T9XRA_ and 16 hexadecimal digits"),
        "setup_id": ("setup", "setup_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "payment_method_id": ("payment method", "method_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "endpoint_id": ("webhook endpoint", "we_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "delivery_id": ("delivery", "whd_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "replay_id": ("replay", "rpl_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"),
        "event_id": ("event", "evt_pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA_1"),
        "break_id": ("break", "brk_ and 64 hexadecimal digits"),
        "match_id": ("match", "mat_ and 64 hexadecimal digits"),
    }
)


def path_id(request: Request, name: str) -> str:
    """Return the path parameter ``name``. Raises ``NotFound`` when it does not have the format of such an id."""
    text = request.path_parameters.get(name, "")
    if not re.fullmatch(PATTERNS[name], text):
        noun, example = _NAMES[name]
        article = "An" if noun[0] in "aeiou" else "A"
        raise NotFound(f"There is no such {noun}. {article} {noun}'s id looks like {example}.")
    return text
