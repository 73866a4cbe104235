"""Parses a body as one JSON object, without floats, repeated names or card numbers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from payonce.domain.card_numbers import looks_like_card_number
from payonce.domain.errors import BodyMalformed, CardNumberRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_JSON_DEPTH = 8  # a payment has a depth of two
NOT_CARD_NUMBERS_HEADER = "payonce-not-card-numbers"
# The merchant's own texts. A payment method is where card numbers end up by mistake, so it is always searched.
EXEMPTIBLE = r"(?:reference|description|metadata\.[!-+\--~]{1,40})"
EXEMPTIBLE_LIST = f"^ *(?:{EXEMPTIBLE}(?: *, *{EXEMPTIBLE})*)? *$"


def parse_json_object(body: bytes, *, not_card_numbers: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the JSON object in ``body``; an empty body is an empty object.

    ``not_card_numbers``: members (``reference``, ``metadata.order``) whose values are not searched for card numbers.

    Raises ``BodyMalformed`` for anything but one object of valid UTF-8 without floats, repeated names, lone surrogates
    or excessive nesting; ``CardNumberRefused`` when a string or number in it looks like a card number.
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
    _check_value(value, (), not_card_numbers)
    return value


def members_without_card_numbers(headers: Mapping[str, list[str]]) -> frozenset[str]:
    """Return the members named in ``Payonce-Not-Card-Numbers``, which the merchant declares free of card numbers.

    ``headers`` maps lower-case names to all their values. Raises ``BodyMalformed`` for members that can't be exempt.
    """
    named = ",".join(headers.get(NOT_CARD_NUMBERS_HEADER, []))
    if not re.fullmatch(EXEMPTIBLE_LIST, named):
        raise BodyMalformed(
            "Payonce-Not-Card-Numbers names members whose values are your own and no card numbers: reference, "
            "description or metadata.<name>, separated by commas. All others are always searched."
        )
    return frozenset(name.strip() for name in named.split(",") if name.strip())


def _refuse_float(_text: str) -> NoReturn:
    raise BodyMalformed("Numbers must be integers: amounts are in minor units, such as 1050 for 10.50.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BodyMalformed("The body repeats a member name in one object; which one counts would be a guess.")
    return result


def _check_value(value: Any, path: tuple[str, ...], not_card_numbers: frozenset[str]) -> None:
    if len(path) >= MAX_JSON_DEPTH:
        raise BodyMalformed(f"The body is nested more than {MAX_JSON_DEPTH} deep.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name, path, may_be_card_number=True)
            _check_value(member, (*path, name), not_card_numbers)
    elif isinstance(value, list):
        for member in value:
            _check_value(member, (*path, ""), not_card_numbers)
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        _check_text(str(value), path, may_be_card_number=".".join(path) not in not_card_numbers)


def _check_text(text: str, path: tuple[str, ...], *, may_be_card_number: bool) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise BodyMalformed("A string holds half of a surrogate pair, which is not a character.")
    if may_be_card_number and looks_like_card_number(text):
        # Name the place only by members that the API knows: any other name may be part of the card number.
        place = path[0] if path and path[0] in {"reference", "metadata", "payment_method", "description"} else "body"
        raise CardNumberRefused(
            f"The {place} holds something that looks like a card number. Send a payment method token from your "
            "gateway; the request was neither stored nor logged. If it is a reference of your own that only looks like "
            "one, name its member in the header Payonce-Not-Card-Numbers."
        )
