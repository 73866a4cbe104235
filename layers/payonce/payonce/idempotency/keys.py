"""The header contract: how a request names its idempotency key (IETF draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, KeyMalformed, KeyMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY_HEADER = "x-idempotency-key"
IETF_KEY_HEADER = "idempotency-key"
MIN_KEY_CHARACTERS = 16  # shorter keys are counters or typos, and collide
MAX_KEY_CHARACTERS = 255  # the limit of other payment APIs, so that clients' key generators fit
DEFAULT_WAIT_SECONDS = 5  # longer than nearly every gateway call, shorter than a client's patience
MAX_WAIT_SECONDS = 20  # an API Gateway response must be under way by 29 s

_VISIBLE_ASCII = re.compile(rf"[\x21-\x7e]{{{MIN_KEY_CHARACTERS},{MAX_KEY_CHARACTERS}}}")
# A string, then parameters: ;name or ;name=value. Unambiguous, so that matching never backtracks.
_QUOTED = re.compile(
    r'"((?:[ !#-\[\]-~]|\\["\\])*)"'
    r'(?:[ \t]*;[ \t]*[a-z*][a-z0-9_\-.*]*(?:=(?:%?"(?:[ !#-\[\]-~]|\\["\\])*"|[!#-:<-~]+))?)*'
)
_PREFER_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([^",;\s]*)"?', re.IGNORECASE)


def _spelled(names: Sequence[str]) -> str:
    return " and ".join("-".join(part.capitalize() for part in name.split("-")) for name in names)


def _how_to(names: Sequence[str]) -> str:
    return (
        f"Send {_spelled(names[:1])} with {MIN_KEY_CHARACTERS} to {MAX_KEY_CHARACTERS} visible ASCII characters, such "
        "as a UUID, and repeat it on every retry."
    )


def _bare(value: str, names: Sequence[str]) -> str:
    """Return the key in a header value: a quoted structured-field string (RFC 9651) and the bare value are equal.

    Parameters of the string are ignored, as the draft requires for parameters that it does not define.
    """
    value = value.strip(" \t")
    if not value.startswith('"'):
        # A repeated header may arrive as one line (RFC 9110, 5.3): the same key twice is that key.
        once = {part.strip(" \t") for part in value.split(",")}
        return once.pop() if len(once) == 1 else value
    quoted = _QUOTED.fullmatch(value)
    if quoted is None:
        raise KeyMalformed(f"The quoted idempotency key is no structured-field string (RFC 9651). {_how_to(names)}")
    return re.sub(r'\\(["\\])', r"\1", quoted[1])


def parse_key(headers: Mapping[str, list[str]], names: Sequence[str] = (KEY_HEADER, IETF_KEY_HEADER)) -> str:
    """Return the idempotency key of a request. ``headers`` maps lower-case names to all their values.

    ``names`` are the headers that may hold the key, in lower case.

    Raises ``KeyMissing`` when there is no key, and ``KeyMalformed`` when it is not 16-255 visible ASCII characters or
    when several values disagree.
    """
    values = [_bare(value, names) for name in names for value in headers.get(name, [])]
    if not values or not any(values):
        raise KeyMissing(f"This route needs an idempotency key. {_how_to(names)}")
    if len(set(values)) > 1:
        raise KeyMalformed(f"{_spelled(names)} (or repeated headers) name different keys. Send one key, once.")
    key = values[0]
    if not _VISIBLE_ASCII.fullmatch(key):
        raise KeyMalformed(f"The idempotency key is not usable. {_how_to(names)}")
    return key


def parse_wait_seconds(
    headers: Mapping[str, list[str]],
    *,
    default_seconds: int = DEFAULT_WAIT_SECONDS,
    max_seconds: int = MAX_WAIT_SECONDS,
) -> int:
    """Return for how many seconds a duplicate may wait: ``Prefer: wait=N`` (RFC 7240), or the default.

    A larger value is reduced to ``max_seconds``, as a preference may be honoured in part. Raises ``BodyMalformed`` when
    N is not a whole number of seconds.
    """
    match = _PREFER_WAIT.search(", ".join(headers.get("prefer", [])))
    if match is None:
        return default_seconds
    if not re.fullmatch(r"[0-9]{1,9}", match.group(1)):
        raise BodyMalformed("Prefer: wait=N needs a whole number of seconds, for example: Prefer: wait=10")
    return min(int(match.group(1)), max_seconds)


def record_id(scope: str, operation: str, key: str) -> str:
    """Return the stored identity of (scope, operation, key).

    It contains the SHA-256 of the key and no detail of a deployment: renaming a function must not forget a charge.
    """
    return f"{scope}#{operation}#{hashlib.sha256(key.encode('ascii')).hexdigest()}"
