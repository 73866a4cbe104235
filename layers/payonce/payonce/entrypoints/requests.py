"""An API Gateway proxy event as a request: headers in any case, a body as bytes, JSON with no floats in it."""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from payonce.domain.errors import BodyMalformed, BodyTooLarge, CardNumberRefused, Forbidden, Unauthenticated
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock

MAX_BODY_BYTES = 32 * 1024  # the largest valid body is about 6 KB; a record must stay far below DynamoDB's 400 KB
MAX_JSON_DEPTH = 8  # a payment is two deep
MIN_PAN_DIGITS, MAX_PAN_DIGITS = 13, 19  # ISO/IEC 7812-1
_DIGIT_RUN = re.compile(r"(?<!\d)[2-6](?:[ -]?\d){12,18}(?!\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the routes see it. ``headers`` maps lower-case names to all their values, in order."""

    path_parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, list[str]]
    body: bytes
    merchant_id: str
    key_id: str
    scopes: frozenset[str]
    gateway: str
    request_id: str
    deadline: Deadline

    def require_scope(self, scope: str) -> None:
        """Raise ``Forbidden`` unless the API key has ``scope``."""
        if scope not in self.scopes:
            raise Forbidden(f"This API key lacks the scope {scope}.")

    def require_key_id(self) -> str:
        """Return the id of the API key that acts. Raises ``Unauthenticated`` when the authorizer named none."""
        if not self.key_id:
            raise Unauthenticated("Send Authorization: Bearer <API key>.")
        return self.key_id


def parse_event(event: Mapping[str, Any], context: Any, clock: Clock) -> Request:
    """Return the request of a REST API proxy event.

    Raises ``Unauthenticated`` without an authorizer's context (the function was reached past the authorizer),
    ``BodyTooLarge`` and ``BodyMalformed``.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    merchant_id = authorizer.get("merchant_id")
    if not merchant_id:
        raise Unauthenticated("Send Authorization: Bearer <API key>.")
    return Request(
        path_parameters=event.get("pathParameters") or {},
        query=event.get("multiValueQueryStringParameters") or {},
        headers=_headers(event),
        body=_body(event),
        merchant_id=merchant_id,
        key_id=str(authorizer.get("principalId") or ""),
        scopes=frozenset(str(authorizer.get("scopes", "")).split()),
        gateway=authorizer.get("gateway") or "",
        request_id=str((event.get("requestContext") or {}).get("requestId", "")),
        deadline=Deadline(clock.now_ms() + context.get_remaining_time_in_millis()),
    )


def _headers(event: Mapping[str, Any]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    many = event.get("multiValueHeaders") or {}
    for name, values in many.items():
        headers.setdefault(name.lower(), []).extend(values)
    for name, value in (event.get("headers") or {}).items():
        if name.lower() not in headers:
            headers[name.lower()] = [value]
    return headers


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise BodyMalformed("The body could not be decoded.") from None
    else:
        body = text.encode("utf-8", "surrogatepass")
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken.")
    return body


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``; an empty body is an empty object.

    Raises ``BodyMalformed`` for anything but one object of valid UTF-8 without floats, repeated names, lone surrogates
    or excessive nesting; ``CardNumberRefused`` when a string in it looks like a card number.
    """
    if not body:
        return {}
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
            object_pairs_hook=_unique_pairs,
        )
    except UnicodeDecodeError:
        raise BodyMalformed("The body is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BodyMalformed(f"The body is not valid JSON: {error.msg} at character {error.pos}.") from None
    except (RecursionError, ValueError):
        raise BodyMalformed("The body is nested too deeply or holds a number that is too long.") from None
    if not isinstance(value, dict):
        raise BodyMalformed("The body must be a JSON object.")
    _check_value(value, 1)
    return value


def _refuse_float(_text: str) -> NoReturn:
    raise BodyMalformed("Numbers must be integers: amounts are in minor units, such as 1050 for 10.50.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BodyMalformed("The body repeats a member name in one object; which one counts would be a guess.")
    return result


def _check_value(value: Any, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise BodyMalformed(f"The body is nested more than {MAX_JSON_DEPTH} deep.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _check_value(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check_value(member, depth + 1)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int) and not isinstance(value, bool) and looks_like_card_number(str(value)):
        _refuse_card_number()


def _check_text(text: str) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise BodyMalformed("A string holds half of a surrogate pair, which is not a character.")
    if looks_like_card_number(text):
        _refuse_card_number()


def _refuse_card_number() -> NoReturn:
    raise CardNumberRefused(
        "The body holds something that looks like a card number. Send a payment method token from your gateway; the "
        "request was neither stored nor logged."
    )


def looks_like_card_number(text: str) -> bool:
    """Return whether ``text`` holds 13-19 digits, perhaps grouped, that start like a card and pass the Luhn check."""
    if sum(character.isdigit() for character in text) < MIN_PAN_DIGITS:
        return False
    plain = unicodedata.normalize("NFKC", text)
    return any(_passes_luhn(re.sub(r"\D", "", match)) for match in _DIGIT_RUN.findall(plain))


def _passes_luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
