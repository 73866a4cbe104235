"""What a page's query asks for, read strictly: a filter that can't be understood is refused and never ignored."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.durations import DAY_MS
from payonce.domain.errors import BodyMalformed
from payonce.domain.money import MAX_AMOUNT_MINOR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

MAX_TEXT_CHARACTERS = 255
END_MS = 10**13 - DAY_MS  # a list's key has 13 digits of a time: one with more would sort before the others
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT = re.compile(r"[0-9]{1,13}(?:[.,][0-9]{1,4})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def text_of(query: Mapping[str, str], name: str) -> str | None:
    """Return a parameter without blanks around it, ``None`` for an empty one. A long one raises ``BodyMalformed``."""
    text = query.get(name, "").strip()
    if len(text) > MAX_TEXT_CHARACTERS:
        raise BodyMalformed(
            f"{name} has more than {MAX_TEXT_CHARACTERS} characters; nothing stored has as many.", field=name
        )
    return text or None


def choice_of[Choice: StrEnum](query: Mapping[str, str], name: str, choices: type[Choice]) -> Choice | None:
    """Return the parameter as one of ``choices``, ``None`` for an empty one. Raises ``BodyMalformed``."""
    text = text_of(query, name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError:
        raise BodyMalformed(f"{name} is one of: {', '.join(choices)}.", field=name) from None


def currency_of(query: Mapping[str, str], name: str = "currency") -> str | None:
    """Return the parameter as an ISO 4217 code in capitals, ``None`` for an empty one. Raises ``BodyMalformed``."""
    text = text_of(query, name)
    if text is None:
        return None
    if text.upper() not in MINOR_UNIT_EXPONENTS:
        raise BodyMalformed(f"{name} is an ISO 4217 code of a currency in use, such as EUR.", field=name)
    return text.upper()


def amount_of(query: Mapping[str, str], name: str, currency: str | None) -> int | None:
    """Return a decimal amount as minor units of ``currency``, ``None`` for an empty one. Raises ``BodyMalformed``.

    An amount without a currency is refused: 10 is ten euros, ten yen or ten thousand fils.
    """
    text = text_of(query, name)
    if text is None:
        return None
    if currency is None:
        raise BodyMalformed(f"{name} needs a currency: choose one.", field="currency")
    exponent = MINOR_UNIT_EXPONENTS[currency]
    try:
        minor = Decimal(text.replace(",", ".")).scaleb(exponent) if _AMOUNT.fullmatch(text) else Decimal("NaN")
    except InvalidOperation:  # pragma: no cover - the pattern takes decimals only
        minor = Decimal("NaN")
    if not minor.is_finite() or minor != int(minor) or minor > MAX_AMOUNT_MINOR:
        raise BodyMalformed(
            f"{name} is an amount of {currency} with at most {exponent} decimals, such as 12.", field=name
        )
    return int(minor)


def field_of(moment_ms: int) -> str:
    """Return a time as a field of the type datetime-local shows it, in UTC: another form leaves such a field empty.

    ``moment_of`` reads the same time from it. The last millisecond of a minute is that minute, as an end.
    """
    if moment_ms % 60_000 in (0, 59_999):
        moment_ms -= moment_ms % 60_000
        return (_EPOCH + timedelta(milliseconds=moment_ms)).strftime("%Y-%m-%dT%H:%M")
    return (_EPOCH + timedelta(milliseconds=moment_ms)).replace(tzinfo=None).isoformat(timespec="milliseconds")


def moment_of(query: Mapping[str, str], name: str, *, is_end: bool = False) -> int | None:
    """Return an ISO 8601 date or time as epoch milliseconds, ``None`` for an empty one. Raises ``BodyMalformed``.

    A time without a zone is UTC. ``is_end``: a date stands for its last millisecond, and a minute for its last.
    """
    text = text_of(query, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        at_ms = (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise BodyMalformed(
            f"{name} is a date or a time, such as 2027-01-15 or 2027-01-15T08:30 (UTC).", field=name
        ) from None
    if not 0 <= at_ms < END_MS:
        raise BodyMalformed(f"{name} is a time between 1970 and 2286.", field=name)
    if not is_end:
        return at_ms
    if _DAY.fullmatch(text):
        return at_ms + DAY_MS - 1
    return at_ms if moment.second or moment.microsecond else at_ms + 59_999
